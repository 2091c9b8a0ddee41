//! What can go wrong with a snapshot's file, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::frozen::MalformedState;
use crate::identity::IdentityError;

/// Why a snapshot could not be written, read or received. A server that runs goes on with the snapshots and logs that it
/// has, and tries again; one that starts looks for an older file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("cannot {operation} {}: {source}; check the disk's space, health and permissions", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be noted that a snapshot was received.
    #[error("cannot note that a snapshot was received: {0}; check the disk's space, health and permissions")]
    Identity(#[from] IdentityError),
    /// The file is not what was written.
    #[error("the snapshot {} is damaged at offset {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file was written by another version of the program.
    #[error(
        "{} has format version {found}, and this program reads version {supported}: start the version of the program \
         that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads and writes.
        supported: u32,
    },
    /// The file belongs to another cluster, or to one with another number of groups.
    #[error(
        "{} is a snapshot of cluster {found}, and this server is one of cluster {expected}: remove the file, or correct \
         the data directory in the configuration",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The chunks are whole, but the state machine cannot read them.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the state machine says.
        source: MalformedState,
    },
}

impl SnapshotError {
    /// For `map_err` on an operation with a file.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
        move |source| SnapshotError::Io { operation, path: path.to_owned(), source }
    }
}
