//! What a server that is driven by hand tells of itself.

use std::sync::atomic::Ordering::SeqCst;

use super::SimServer;
use crate::lane::Lane;
use crate::server::replica::Replica;
use crate::state_machine::StateMachine;

/// State of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Raft term.
    pub term: u64,
    /// Server that it has voted for in that term; 0 for none.
    pub vote: u64,
    /// Whether it leads.
    pub leads: bool,
    /// Leader that it knows of; 0 for none.
    pub leader: u64,
    /// Raft index of the last entry that it knows to be committed.
    pub commit: u64,
    /// Raft index of the last entry.
    pub last: u64,
    /// Server that it is handing leadership to; 0 for none.
    pub transferee: u64,
}

/// Bytes of entries that wait in various places of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingBytes {
    /// The group with the most bytes waiting for the disk: its zero-based index, and the bytes.
    pub unsynced: (usize, u64),
    /// Bytes pulled from the logs that wait for the merge.
    pub pulled: u64,
    /// Bytes merged that wait for execution.
    pub executing: u64,
    /// Bytes in the logs of all groups that wait to be merged.
    pub behind: u64,
    /// The same, as the groups that are open say.
    pub behind_of_groups: u64,
    /// Whether `behind` is so much that only the awaited group's entries are accepted.
    pub is_behind: bool,
    /// Whether the disk has no room for commands.
    pub is_read_only: bool,
}

/// What a server has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Times that a lane was resent.
    pub lanes_sent_again: u64,
    /// Copies of commands that were not executed again.
    pub duplicates: u64,
    /// Sub-batches that were skipped since earlier ones were missing.
    pub gaps: u64,
    /// Strong reads answered by a lease.
    pub lease_reads: u64,
    /// Messages of leaders whose entries were refused.
    pub untaken: u64,
    /// Times that the merge asked a group's leader to pad.
    pub pad_requests: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Snapshots received.
    pub snapshots_received: u64,
    /// Snapshots that could not be written or received.
    pub snapshot_failures: u64,
    /// Received files that turned out to be damaged.
    pub damaged_transfers: u64,
}

impl<S: StateMachine> SimServer<S> {
    /// Bytes that wait on this server behind something slow.
    pub fn waiting(&self) -> WaitingBytes {
        let progress = &self.shared.progress;
        let groups = self.groups.iter().flatten().map(|group| &group.parts.replica);
        let unsynced = groups.clone().map(|replica| replica.driver.unsynced_bytes());
        WaitingBytes {
            unsynced: unsynced.enumerate().max_by_key(|(_, bytes)| *bytes).expect("there is a group"),
            pulled: progress.bounds.pulled(),
            executing: progress.bounds.executing(),
            behind: progress.bounds.behind(),
            behind_of_groups: groups.map(Replica::behind).sum(),
            is_behind: progress.bounds.is_behind(),
            is_read_only: progress.room.is_lacking(),
        }
    }

    /// Whether a group is its epoch's anchor, and the epoch's level, as far as the server knows them.
    pub fn anchor_and_level(&self, group: usize) -> (bool, u64) {
        let replica = &self.parts(group).replica;
        let epoch = replica.epoch();
        (epoch.anchor.load(SeqCst) as usize == replica.group, epoch.level())
    }

    /// Number of commands in this server's lanes that are not executed.
    pub fn pending_commands(&self) -> usize {
        self.shared.lanes.iter().map(Lane::pending).sum()
    }

    /// What this server has counted since its start.
    pub fn figures(&self) -> Figures {
        let metrics = &self.shared.metrics;
        Figures {
            lanes_sent_again: metrics.groups.iter().map(|group| group.attempts.get()).sum(),
            duplicates: metrics.duplicates.get(),
            gaps: metrics.gaps.get(),
            lease_reads: metrics.lease_reads.get(),
            untaken: metrics.groups.iter().map(|group| group.untaken.get()).sum(),
            pad_requests: metrics.pad_requests.get(),
            snapshots: metrics.snapshots.get(),
            snapshots_received: metrics.snapshots_received.get(),
            snapshot_failures: metrics.snapshot_failures.get(),
            damaged_transfers: self.manager.damaged_transfers(),
        }
    }

    /// State of a group's replica.
    pub fn standing(&self, group: usize) -> Standing {
        let driver = &self.parts(group).replica.driver;
        Standing {
            term: driver.term(),
            vote: driver.hard_state().vote,
            leads: driver.leads(),
            leader: driver.leader(),
            commit: driver.commit(),
            last: driver.last_index(),
            transferee: driver.transferee(),
        }
    }

    /// State of this server's lane in a group, in words.
    pub fn describe_lane(&self, group: usize) -> String {
        let replica = &self.parts(group).replica;
        let lane = &self.shared.lanes[replica.group];
        format!("{}; {}", lane.describe(), replica.driver.describe_lane(replica.group as u16))
    }
}
