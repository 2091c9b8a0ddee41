//! The local log as raft-rs sees it.

use niagara_log::{HardState, LogEntry, LogStore};
use raft::eraftpb::{ConfState, Entry, EntryType, HardState as RaftHardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::behind::SnapshotFloor;

/// raft-rs's `Storage` over a group's log.
pub(super) struct RaftStore {
    pub log: LogStore,
    /// This server's snapshots, the older one first.
    pub snapshots: Vec<SnapshotFloor>,
    hard_state: HardState,
    voters: Vec<u64>,
}

impl RaftStore {
    pub fn new(log: LogStore, hard_state: HardState, voters: Vec<u64>) -> Self {
        RaftStore { log, snapshots: Vec::new(), hard_state, voters }
    }

    /// Entries without their payloads. raft-rs requests entries to send them, and otherwise only to look at
    /// their types (is there a membership change?) or to count committed ones, which the driver pulls from
    /// the log by range.
    fn headers(&self, low: u64, high: u64) -> Vec<Entry> {
        let header = |index| Entry { index, term: self.log.term(index).unwrap_or(0), ..Entry::default() };
        (low..high).map(header).collect()
    }
}

impl Storage for RaftStore {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let HardState { term, vote, commit } = self.hard_state;
        let hard_state = RaftHardState { term, vote, commit, ..RaftHardState::default() };
        let conf_state = ConfState { voters: self.voters.clone(), ..ConfState::default() };
        Ok(RaftState { hard_state, conf_state })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.log.first_index() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if !context.can_async() {
            return Ok(self.headers(low, high));
        }
        let max_bytes = max_size.into().map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let mut read = Vec::new();
        match self.log.read(low, high - 1, max_bytes, &mut read) {
            Ok(()) => Ok(read.into_iter().map(entry_for_raft).collect()),
            // A log that cannot be read means a broken disk: this replica must not continue as if it were
            // whole.
            Err(error) => panic!("cannot read the log back: {error}"),
        }
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index + 1 < self.log.first_index() {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.log.term(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.log.first_index())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.log.last_index())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // A snapshot that ends before the log begins would leave a gap, and one without an entry stands for
        // nothing. Of the others, the older one is offered: anything at least as new will do, so a transfer
        // that has started can continue.
        let will_do = self.snapshots.iter().find(|snapshot| {
            let index = snapshot.floor.entry.index;
            index > 0 && index + 1 >= self.log.first_index()
        });
        will_do.map(SnapshotFloor::for_raft).ok_or(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// An entry of the log in raft-rs's form. The payload is shared.
pub(super) fn entry_for_raft(entry: LogEntry) -> Entry {
    let entry_type = match entry.kind {
        0 => EntryType::EntryNormal,
        1 => EntryType::EntryConfChange,
        _ => EntryType::EntryConfChangeV2,
    };
    Entry {
        entry_type,
        term: entry.term,
        index: entry.index,
        data: entry.data,
        context: entry.context,
        ..Entry::default()
    }
}

/// An entry from raft-rs in the log's form. The payload is shared.
pub(super) fn entry_for_log(entry: Entry) -> LogEntry {
    LogEntry {
        index: entry.index,
        term: entry.term,
        kind: entry.entry_type as u8,
        context: entry.context,
        data: entry.data,
    }
}
