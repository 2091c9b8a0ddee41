//! Errors of a snapshot's file, and what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use crate::frozen::MalformedState;
use crate::identity::IdentityError;

/// Why a snapshot could not be written, read or received. A running server continues with the snapshots and
/// logs that it has, and retries; a starting one looks for an older file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("cannot {operation} {}: {source}; check the disk's space, health and permissions", path.display())]
    Io {
        /// Attempted operation, as a verb and its object.
        operation: &'static str,
        /// File or directory that it was attempted on.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The receipt of a snapshot cannot be recorded.
    #[error(
        "cannot record that a snapshot was received: {0}; check the disk's space, health and permissions"
    )]
    Identity(#[from] IdentityError),
    /// The file differs from what was written.
    #[error("the snapshot {} is damaged at offset {offset}: {reason}", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage was found in the file, in bytes.
        offset: u64,
        /// Description of the damage.
        reason: &'static str,
    },
    /// Another version of the program wrote the file.
    #[error(
        "{} has format version {found}, and this program reads version {supported}: start the version of the \
         program that wrote it",
        path.display()
    )]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Version of its format.
        found: u32,
        /// Version that this program reads and writes.
        supported: u32,
    },
    /// The file is of a cluster at a level that this program does not know.
    #[error(
        "{} is of a cluster at level {level}, and this program knows levels up to {known}: start a newer release on this server",
        path.display()
    )]
    Level {
        /// Path of the file.
        path: PathBuf,
        /// The cluster's level.
        level: u32,
        /// The highest that this program knows.
        known: u32,
    },
    /// The file belongs to another cluster, or to one with another number of groups.
    #[error(
        "{} is a snapshot of cluster {found}, but this server belongs to cluster {expected}: remove the \
         file, or correct the data directory in the configuration",
        path.display()
    )]
    Foreign {
        /// Path of the file.
        path: PathBuf,
        /// The cluster that it belongs to.
        found: String,
        /// This server's cluster.
        expected: String,
    },
    /// The chunks are whole, but the state machine cannot read them.
    #[error("{}: {source}", path.display())]
    State {
        /// Path of the file.
        path: PathBuf,
        /// Error from the state machine.
        source: MalformedState,
    },
}

impl SnapshotError {
    /// For `map_err` on an operation with a file.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
        move |source| SnapshotError::Io { operation, path: path.to_owned(), source }
    }
}
