use std::collections::BTreeMap;

use niagara_engine::internals::sim::WaitingBytes;

use super::{Broken, hold};

/// What waits on a server behind something slow takes no more bytes than configured, plus one entry or one
/// message that was started just below the bound.
#[derive(Debug)]
pub struct BytesAreBounded {
    limits: Limits,
    groups: u64,
    /// The largest entry so far.
    largest: u64,
    /// For each server, what its logs held at its start, all of which must be merged again.
    at_start: BTreeMap<u64, u64>,
}

/// Configured bounds, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a group, waiting for the disk.
    pub unsynced: u64,
    /// Pulled but not merged, plus merged but not executed.
    pub merge: u64,
    /// In all logs, beyond what is merged.
    pub behind: u64,
    /// Of the entries of one message, as they are sent.
    pub message: u64,
}

/// The smallest entry, a skip, takes 16 bytes in a message. In memory it takes 73, and 128 in the index of
/// slots, which rounds up: so many times as much, at most.
const IN_MEMORY: u64 = 5;
const IN_SLOTS: u64 = 8;

impl BytesAreBounded {
    /// For servers with so many groups.
    pub fn new(limits: Limits, groups: usize) -> BytesAreBounded {
        BytesAreBounded { limits, groups: groups as u64, largest: 0, at_start: BTreeMap::new() }
    }

    /// A leader has appended an entry of so many bytes.
    pub fn appended(&mut self, bytes: u64) {
        self.largest = self.largest.max(bytes);
    }

    /// A server has started.
    pub fn started(&mut self, server: u64, waiting: &WaitingBytes) {
        self.at_start.insert(server, waiting.behind);
    }

    /// A server's thread has made a round.
    pub fn check(&self, server: u64, waiting: &WaitingBytes) -> Result<(), Broken> {
        let Limits { unsynced, merge, behind, message } = self.limits;
        let (group, bytes) = waiting.unsynced;
        // A message that exceeds all the room goes alone.
        let unsynced = unsynced.max(message * IN_MEMORY) + self.largest;
        within(server, bytes, unsynced, || format!("for the disk, in group {}", group + 1))?;
        // An awaited group may pull an entry whatever the others hold, and each group is awaited in its turn.
        let pulled = merge + (self.groups + 1) * self.largest;
        within(server, waiting.pulled, pulled, || "for the merge".into())?;
        within(server, waiting.executing, merge + pulled, || "for execution".into())?;
        // In each group, one message more may arrive, and leaders may have a window and its padding in flight.
        let in_flight = self.groups * (message * IN_SLOTS + 10 * self.largest);
        let behind = behind.max(self.at_start.get(&server).copied().unwrap_or(0));
        within(server, waiting.behind, behind + in_flight, || "in all logs, to be merged".into())?;
        // What is void in an ended epoch waits for nothing, and would count for ever when its group has gone.
        hold(waiting.behind == waiting.behind_of_groups, "bytes_are_bounded", || {
            let (counted, held) = (waiting.behind, waiting.behind_of_groups);
            format!("server {server} counts {counted} bytes behind its merge, and its groups have {held}")
        })
    }
}

fn within(server: u64, bytes: u64, limit: u64, place: impl FnOnce() -> String) -> Result<(), Broken> {
    hold(bytes <= limit, "bytes_are_bounded", || {
        format!("on server {server}, {bytes} bytes wait {}, where {limit} may", place())
    })
}
