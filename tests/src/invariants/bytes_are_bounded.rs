use std::collections::BTreeMap;

use niagara_engine::sim::WaitingBytes;

use super::{Broken, hold};

/// What waits on a server behind something slow takes no more bytes than configured, and than one entry, or one message, may
/// add to what is just within.
#[derive(Debug)]
pub struct BytesAreBounded {
    limits: Limits,
    groups: u64,
    /// The largest entry so far.
    largest: u64,
    /// Per server: what its logs held at its start, all of it to be merged once more.
    at_start: BTreeMap<u64, u64>,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a group, for the disk.
    pub unsynced: u64,
    /// Pulled and not merged, and merged and not executed.
    pub merge: u64,
    /// Beyond what is merged.
    pub behind: u64,
}

impl BytesAreBounded {
    /// Bounds of servers with so many groups.
    pub fn new(limits: Limits, groups: usize) -> BytesAreBounded {
        BytesAreBounded { limits, groups: groups as u64, largest: 0, at_start: BTreeMap::new() }
    }

    /// A leader has appended an entry of so many bytes.
    pub fn appended(&mut self, bytes: u64) {
        self.largest = self.largest.max(bytes);
    }

    /// A server has been started.
    pub fn started(&mut self, server: u64, waiting: &WaitingBytes) {
        self.at_start.insert(server, waiting.behind);
    }

    /// A server's thread has gone round.
    pub fn check(&self, server: u64, waiting: &WaitingBytes) -> Result<(), Broken> {
        let Limits { unsynced, merge, behind } = self.limits;
        let message = self.largest.max(unsynced / 2);
        let (group, bytes) = waiting.unsynced;
        within(server, bytes, unsynced + message, || format!("for the disk, in group {}", group + 1))?;
        // One that is awaited may pull an entry whatever the others hold, and each is in its turn.
        let pulled = merge + (self.groups + 1) * self.largest;
        within(server, waiting.pulled, pulled, || "for the merge".into())?;
        within(server, waiting.executing, merge + pulled, || "for execution".into())?;
        // What leaders have in flight may come besides, in each group: a window, and what pads it.
        let in_flight = self.groups * (message + 10 * self.largest);
        let behind = behind.max(self.at_start.get(&server).copied().unwrap_or(0));
        within(server, waiting.behind, behind + in_flight, || "in all logs, to be merged".into())
    }
}

fn within(server: u64, bytes: u64, limit: u64, place: impl FnOnce() -> String) -> Result<(), Broken> {
    hold(bytes <= limit, "bytes_are_bounded", || {
        format!("on server {server}, {bytes} bytes wait {}, where {limit} may", place())
    })
}
