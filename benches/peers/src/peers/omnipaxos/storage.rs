//! The log: in memory for the crate to read, with a file behind it where it has to be durable.
//!
//! The crate writes entries one by one. The file takes them without syncing; the driver syncs once for all that a turn has
//! written, before anything leaves that depends on it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{NoSnapshot, StopSign, Storage, StorageOp, StorageResult};

use crate::command::Command;
use crate::log_file::LogFile;

/// The log.
pub struct Log {
    file: Rc<RefCell<LogFile>>,
    /// Those after the trimmed ones.
    entries: VecDeque<Command>,
    trimmed: usize,
    compacted: usize,
    promise: Option<Ballot>,
    accepted: Option<Ballot>,
    decided: usize,
    stop: Option<StopSign>,
}

impl Log {
    /// An empty log.
    pub fn new(file: Rc<RefCell<LogFile>>) -> Log {
        Log {
            file,
            entries: VecDeque::new(),
            trimmed: 0,
            compacted: 0,
            promise: None,
            accepted: None,
            decided: 0,
            stop: None,
        }
    }

    fn offset(&self, index: usize) -> usize {
        index.saturating_sub(self.trimmed).min(self.entries.len())
    }

    fn record_ballot(&self, ballot: Ballot) {
        // No entry has this index, so this cannot be taken for one.
        self.file.borrow_mut().append(u64::from(ballot.n), u64::MAX, &ballot.pid.to_le_bytes());
    }
}

impl Storage<Command> for Log {
    fn write_atomically(&mut self, operations: Vec<StorageOp<Command>>) -> StorageResult<()> {
        // None of them can fail, and one write takes them to the file together.
        for operation in operations {
            match operation {
                StorageOp::AppendEntry(entry) => self.append_entry(entry)?,
                StorageOp::AppendEntries(entries) => self.append_entries(entries)?,
                StorageOp::AppendOnPrefix(from, entries) => self.append_on_prefix(from, entries)?,
                StorageOp::SetPromise(ballot) => self.set_promise(ballot)?,
                StorageOp::SetDecidedIndex(index) => self.set_decided_idx(index)?,
                StorageOp::SetAcceptedRound(ballot) => self.set_accepted_round(ballot)?,
                StorageOp::SetCompactedIdx(index) => self.set_compacted_idx(index)?,
                StorageOp::Trim(index) => self.trim(index)?,
                StorageOp::SetStopsign(stop) => self.set_stopsign(stop)?,
                StorageOp::SetSnapshot(snapshot) => self.set_snapshot(snapshot)?,
            }
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: Command) -> StorageResult<()> {
        let index = (self.trimmed + self.entries.len()) as u64;
        let round = self.accepted.map_or(0, |ballot| ballot.n);
        self.file.borrow_mut().append(u64::from(round), index, &entry.0);
        self.entries.push_back(entry);
        Ok(())
    }

    fn append_entries(&mut self, entries: Vec<Command>) -> StorageResult<()> {
        entries.into_iter().try_for_each(|entry| self.append_entry(entry))
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<Command>) -> StorageResult<()> {
        self.entries.truncate(self.offset(from));
        self.append_entries(entries)
    }

    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.promise = Some(ballot);
        self.record_ballot(ballot);
        Ok(())
    }

    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        // A replica that restarts learns it anew, so it need not be durable.
        self.decided = index;
        Ok(())
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.decided)
    }

    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.accepted = Some(ballot);
        self.record_ballot(ballot);
        Ok(())
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.accepted)
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Command>> {
        let (from, to) = (self.offset(from), self.offset(to));
        Ok(self.entries.range(from..to.max(from)).cloned().collect())
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.entries.len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Command>> {
        Ok(self.entries.range(self.offset(from)..).cloned().collect())
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.promise)
    }

    fn set_stopsign(&mut self, stop: Option<StopSign>) -> StorageResult<()> {
        // Nobody changes the membership.
        self.stop = stop;
        Ok(())
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(self.stop.clone())
    }

    fn trim(&mut self, index: usize) -> StorageResult<()> {
        self.entries.drain(..self.offset(index));
        self.trimmed = index;
        Ok(())
    }

    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.compacted = index;
        Ok(())
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(self.compacted)
    }

    fn set_snapshot(&mut self, _snapshot: Option<NoSnapshot>) -> StorageResult<()> {
        Ok(())
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        Ok(None)
    }
}
