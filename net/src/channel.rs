//! One channel of a transport: its listener, and its links to the peers.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::event::Event as Readiness;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};

use crate::counters::Counters;
use crate::event::Event;
use crate::links::Links;
use crate::listener::Listener;

/// Tokens of a channel have its slot in the upper bits: which one it is of those that its transport has ever
/// opened. Below them, 1 is the listener's, and the connections' follow.
const SLOT_SHIFT: u32 = usize::BITS - u16::BITS;
const LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 2;

/// Connections accepted per turn, so that a flood of them leaves time for messages.
const ACCEPTS_PER_TURN: usize = 64;

/// Slot of the channel that a token belongs to.
pub(crate) fn slot_of(token: Token) -> u16 {
    (token.0 >> SLOT_SHIFT) as u16
}

/// The token of a channel's first connection.
pub(crate) fn first_connection(slot: u16) -> usize {
    usize::from(slot) << SLOT_SHIFT | FIRST_CONNECTION
}

/// A channel that is open.
pub(crate) struct Channel {
    pub(crate) number: u32,
    pub(crate) slot: u16,
    pub(crate) local: SocketAddr,
    pub(crate) links: Links,
    listener: Listener,
}

impl Channel {
    pub(crate) fn new(
        (number, slot): (u32, u16),
        mut listener: TcpListener,
        links: Links,
        registry: &Registry,
    ) -> io::Result<Channel> {
        let local = listener.local_addr()?;
        let token = Token(usize::from(slot) << SLOT_SHIFT | LISTENER);
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Channel { number, slot, local, links, listener: Listener::new(listener) })
    }

    /// Whether there is work that no socket will announce.
    pub(crate) fn is_busy(&self) -> bool {
        self.links.is_busy() || self.listener.is_busy()
    }

    /// When there will be work even if no socket becomes ready.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.links.next_deadline().into_iter().chain(self.listener.next_deadline()).min()
    }

    pub(crate) fn on_ready(&mut self, event: &Readiness, now: Instant) {
        if event.token().0 & ((1 << SLOT_SHIFT) - 1) == LISTENER {
            self.listener.now_ready();
        } else {
            self.links.on_ready(event, now);
        }
    }

    /// Accepts, reads and dials.
    pub(crate) fn work(&mut self, now: Instant, events: &mut Vec<(u32, Event)>) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(stream) = self.listener.accept(now) else { break };
            self.links.accept(stream, now);
        }
        self.links.read(now);
        // Only now, since the bytes just read may complete a greeting in time.
        self.links.expire(now);
        self.links.dial_resolved(now);
        self.links.dial_due(now);
        let number = self.number;
        events.extend(self.links.events.drain(..).map(|event| (number, event)));
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters { accept_errors: self.listener.errors, ..self.links.counters }
    }
}
