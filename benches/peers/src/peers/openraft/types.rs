//! The types that the crate is used with.

use std::io::Cursor;

use crate::command::Command;

openraft::declare_raft_types!(
    /// Commands in, their numbers out.
    pub Types:
        D = Command,
        R = u64,
        Node = (),
        SnapshotData = Cursor<Vec<u8>>,
);

/// An entry of the log.
pub type Entry = openraft::Entry<Types>;
/// Where an entry stands.
pub type LogId = openraft::LogId<u64>;
/// What the storage says when it fails.
pub type StorageError = openraft::StorageError<u64>;
