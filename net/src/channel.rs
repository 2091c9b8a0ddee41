//! One channel of a transport: its links to the peers.

use std::net::SocketAddr;
use std::time::Instant;

use crate::event::Event;
use crate::links::Links;
use crate::slot::Slot;

/// A channel that is open.
pub(crate) struct Channel {
    pub(crate) number: u32,
    pub(crate) slot: Slot,
    /// Where its connections come in.
    pub(crate) local: SocketAddr,
    pub(crate) links: Links,
}

impl Channel {
    /// Takes over, reads and dials.
    pub(crate) fn work(&mut self, now: Instant, events: &mut Vec<(u32, Event)>) {
        self.links.welcome_arrivals(now);
        self.links.read(now);
        // Only now, since the bytes just read may complete a greeting in time.
        self.links.expire(now);
        self.links.dial_resolved(now);
        self.links.dial_due(now);
        let number = self.number;
        events.extend(self.links.events.drain(..).map(|event| (number, event)));
    }
}
