//! What a server says of itself when a connection begins.

use niagara_net::{Hello, Levels};
use niagara_sequencer::epoch::Record as EpochRecord;

use super::Identity;
use crate::config::{Config, FIRST_LEVEL};

impl Identity {
    /// What this server tells its peers about itself on a channel.
    pub fn hello(&self, config: &Config, channel: u32, epoch: Option<&EpochRecord>) -> Hello {
        let record = self.record.lock();
        // What belongs to no epoch names the first one: later ones are not known everywhere.
        let first = record.epochs.as_ref().map(|(chain, _)| &chain.links()[0].record);
        let epoch = epoch.or(first);
        let begun = record.incarnation == self.incarnation;
        Hello {
            cluster: config.cluster,
            server: config.server,
            channel,
            channels: epoch.map_or(config.groups(), |epoch| epoch.terms.groups).into(),
            store: record.store,
            incarnation: self.incarnation,
            lives: if begun { record.lives } else { self.lives_after(&record.lives) },
            application: config.application,
            members: epoch.map_or_else(|| config.servers(), |epoch| sorted(&epoch.terms.members)),
            promise_us: config.promise().map_or(0, |promise| promise.as_micros() as u64),
            levels: (config.known_level > FIRST_LEVEL).then_some(Levels {
                in_force: epoch.map_or(record.first_level, |epoch| epoch.terms.level),
                known: config.known_level,
            }),
        }
    }

    /// What this server says on the channel for the snapshots of the members of an epoch.
    pub fn transfer_hello(&self, config: &Config, channel: u32, record: &EpochRecord) -> Hello {
        let hello = self.hello(config, channel, Some(record));
        // Number 0 is older than epochs, and counts with those of the groups.
        if channel == 0 { hello } else { Hello { channels: 1, ..hello } }
    }

    /// What both ends say on the channel of followers. Neither has to know the same epochs or members, nor promises votes.
    pub fn feed_hello(&self, config: &Config, channel: u32) -> Hello {
        let hello = self.hello(config, channel, None);
        Hello { channels: 1, members: Vec::new(), promise_us: 0, ..hello }
    }
}

pub(super) fn sorted(members: &[u64]) -> Vec<u64> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members
}
