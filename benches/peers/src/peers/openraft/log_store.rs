//! The log: in memory for the crate to read, and with a writer behind it where it has to be durable.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{EntryPayload, LogState, OptionalSend, RaftLogId as _, RaftLogReader, StorageIOError, Vote};

use super::types::{Entry, LogId, StorageError, Types};
use super::writer::{Record, Writer};
use crate::log_file::LogFile;

/// The log, as the crate's tasks share it.
#[derive(Clone)]
pub struct LogStore {
    kept: Arc<Mutex<Kept>>,
    writer: Option<Writer>,
}

#[derive(Debug, Default)]
struct Kept {
    vote: Option<Vote<u64>>,
    purged: Option<LogId>,
    /// Those after the purged ones, without a gap.
    entries: VecDeque<Entry>,
}

impl LogStore {
    /// An empty log.
    pub fn new(log: LogFile) -> LogStore {
        let writer = log.is_durable().then(|| Writer::start(log));
        LogStore { kept: Arc::default(), writer }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn first_index(&self) -> u64 {
        self.purged.map_or(0, |purged| purged.index + 1)
    }

    /// How many entries stand before an index.
    fn before(&self, index: u64) -> usize {
        (index.saturating_sub(self.first_index()) as usize).min(self.entries.len())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let kept = self.kept();
        let begin = match range.start_bound() {
            Bound::Included(index) => kept.before(*index),
            Bound::Excluded(index) => kept.before(*index + 1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => kept.before(*index + 1),
            Bound::Excluded(index) => kept.before(*index),
            Bound::Unbounded => kept.entries.len(),
        };
        Ok(kept.entries.range(begin..end.max(begin)).cloned().collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let kept = self.kept();
        let last = kept.entries.back().map(|entry| *entry.get_log_id());
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError> {
        self.kept().vote = Some(*vote);
        if let Some(writer) = &self.writer {
            let (term, candidate) = (vote.leader_id.term, vote.leader_id.node_id);
            let record = Record { term, index: 0, bytes: Bytes::from(candidate.to_le_bytes().to_vec()) };
            writer.vote(record).await.map_err(|error| StorageIOError::write_vote(&error))?;
        }
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError> {
        Ok(self.kept().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let Some(writer) = &self.writer else {
            self.kept().entries.extend(entries);
            callback.log_io_completed(Ok(()));
            return Ok(());
        };
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records = entries.iter().map(record).collect();
        self.kept().entries.extend(entries);
        writer.append(records, callback).map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let mut kept = self.kept();
        let length = kept.before(log_id.index);
        kept.entries.truncate(length);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let mut kept = self.kept();
        let count = kept.before(log_id.index + 1);
        kept.entries.drain(..count);
        kept.purged = Some(log_id);
        Ok(())
    }
}

/// What of an entry goes to the disk. Blank ones and the first membership, of which a run has a handful, go there empty.
fn record(entry: &Entry) -> Record {
    let bytes = match &entry.payload {
        EntryPayload::Normal(command) => command.0.clone(),
        EntryPayload::Blank | EntryPayload::Membership(_) => Bytes::new(),
    };
    Record { term: entry.log_id.leader_id.term, index: entry.log_id.index, bytes }
}
