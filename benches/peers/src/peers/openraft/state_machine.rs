//! The state machine: it counts commands. Its snapshots hold nothing, and exist only for the crate to cut the log.

use std::io::{self, Cursor};

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, StorageIOError, StoredMembership,
};

use super::types::{Entry, LogId, StorageError, Types};
use crate::tally::SharedTally;

/// What has been applied.
#[derive(Clone)]
pub struct StateMachine {
    tally: SharedTally,
    last: Option<LogId>,
    membership: StoredMembership<u64, ()>,
}

impl StateMachine {
    /// Nothing yet.
    pub fn new(tally: SharedTally) -> StateMachine {
        StateMachine { tally, last: None, membership: StoredMembership::default() }
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let index = self.last.map_or(0, |last| last.index);
        let meta = SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
            snapshot_id: index.to_string(),
        };
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(Vec::new())) })
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership<u64, ()>), StorageError> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<u64>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        let mut numbers = Vec::new();
        for entry in entries {
            self.last = Some(entry.log_id);
            let number = match entry.payload {
                EntryPayload::Normal(command) => {
                    let number = command.number().map_err(|error| unreadable(entry.log_id, &error))?;
                    numbers.push(number);
                    number
                }
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(self.last, members);
                    0
                }
                EntryPayload::Blank => 0,
            };
            answers.push(number);
        }
        self.tally.apply(numbers);
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, ()>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        // A replica that skipped commands this way could not be checked.
        let error = io::Error::other("no replica is ever to need a snapshot");
        Err(StorageIOError::write_snapshot(Some(meta.signature()), &error).into())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        // The crate asks for it only to send it.
        Ok(None)
    }
}

fn unreadable(at: LogId, error: &anyhow::Error) -> StorageError {
    StorageIOError::apply(at, &io::Error::other(error.to_string())).into()
}
