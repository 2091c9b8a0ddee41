//! The snapshots' channels: one for each list of members that some server may still have. A server that is behind knows
//! an earlier list, and one that has left knows no other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use niagara_net::{Event, Frame, Transport};
use niagara_sequencer::epoch::Chain;

use super::channels::{open_transfer, transfer_channel};
use super::start_error::StartError;
use crate::config::{Config, ServerId};
use crate::identity::Identity;

/// The open channels, and who is connected on which of them.
pub(crate) struct Transfers {
    config: Config,
    identity: Arc<Identity>,
    /// By number.
    open: BTreeMap<u32, Membership>,
    /// Where they listen.
    listening: Option<SocketAddr>,
    /// The servers that have left, and know it.
    know: BTreeSet<ServerId>,
}

/// A channel of servers that are members together.
struct Membership {
    members: Vec<ServerId>,
    /// Those that are connected now, and those that ever were.
    up: BTreeSet<ServerId>,
    seen: BTreeSet<ServerId>,
}

impl Transfers {
    /// No channel is open yet.
    pub fn new(config: &Config, identity: &Arc<Identity>) -> Transfers {
        let (config, identity) = (config.clone(), Arc::clone(identity));
        Transfers { config, identity, open: BTreeMap::new(), listening: None, know: BTreeSet::new() }
    }

    /// Opens what this chain of epochs needs, and is not open: the channel of the newest members, and those of earlier ones
    /// that others may not have left yet.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn follow(&mut self, transport: &mut dyn Transport, chain: &Chain) -> Result<(), StartError> {
        for record in chain.memberships().filter(|record| record.is_member(self.config.server)) {
            if self.open.contains_key(&transfer_channel(record.epoch)) {
                continue;
            }
            let number = open_transfer(transport, &self.config, record, &self.identity, self.listening)?;
            self.listening = self.listening.or(transport.local_addr(number));
            let members = self.config.peers(record);
            self.open.insert(number, Membership { members, up: BTreeSet::new(), seen: BTreeSet::new() });
        }
        Ok(())
    }

    /// Where the channels listen; `None` if the transport does not.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// What an event on one of the channels says of the server at its other end: it is connected as long as it is on one of
    /// them.
    pub fn event(&mut self, number: u32, event: Event) -> Option<Event> {
        let channel = self.open.get_mut(&number)?;
        match event {
            Event::Up { peer } => {
                channel.up.insert(peer);
                channel.seen.insert(peer);
                (self.connections(peer) == 1).then_some(Event::Up { peer })
            }
            Event::Down { peer, reason } => {
                channel.up.remove(&peer);
                (self.connections(peer) == 0).then_some(Event::Down { peer, reason })
            }
            other => Some(other),
        }
    }

    fn connections(&self, peer: ServerId) -> usize {
        self.open.values().filter(|channel| channel.up.contains(&peer)).count()
    }

    /// Notes that a server that has left knows it.
    pub fn knows(&mut self, server: ServerId) {
        self.know.insert(server);
    }

    /// Sends on the newest channel on which the server is connected. What a broken link drops is requested again.
    pub fn send(&self, transport: &mut dyn Transport, to: ServerId, frame: Frame) {
        let channel = self.open.iter().rfind(|(_, channel)| channel.up.contains(&to));
        if let Some((number, _)) = channel {
            let _ = transport.send(*number, to, frame);
        }
    }

    /// Ends the connections to a server.
    pub fn disconnect(&self, transport: &mut dyn Transport, server: ServerId) {
        let connected = self.open.iter().filter(|(_, channel)| channel.up.contains(&server));
        connected.for_each(|(number, _)| transport.disconnect(*number, server));
    }

    /// Closes the channels that nobody needs any more: all members have met on the newest one, and those that have left know
    /// it. A server that left before the last change of members, and has not been heard since, learns it from its operator.
    pub fn tidy(&mut self, transport: &mut dyn Transport) {
        let Some((newest_number, newest)) = self.open.last_key_value() else { return };
        let newest_number = *newest_number;
        let before = self.open.range(..newest_number).next_back().map(|(number, _)| *number);
        let is_settled = |number: u32, server: &ServerId| {
            let is_member = newest.members.contains(server);
            if is_member {
                newest.seen.contains(server)
            } else {
                self.know.contains(server) || Some(number) != before
            }
        };
        let needless = |(number, channel): (&u32, &Membership)| {
            let is_over =
                *number < newest_number && channel.members.iter().all(|server| is_settled(*number, server));
            is_over.then_some(*number)
        };
        let needless: Vec<u32> = self.open.iter().filter_map(needless).collect();
        for number in needless {
            transport.close(number);
            self.open.remove(&number);
        }
    }
}
