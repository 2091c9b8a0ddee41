//! What can go wrong with a log, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// Why a log could not be opened, read or written.
///
/// None of these is cured by calling again, save [`LogError::Unavailable`], which a reader meets in normal operation, and
/// [`LogError::NoRoom`].
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused. After a failed write or sync nobody knows what is on the disk, and a second sync
    /// may claim success for data that the first one has lost: end the process, and let the next start find out.
    #[error("cannot {operation} {}: {source}; check the disk's space, health and permissions, then start again", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no room on the disk for a write, of which therefore nothing counts. It may be tried again when there is room.
    #[error("cannot {operation} {}: {source}; remove other files, or give the file system more space", path.display())]
    NoRoom {
        /// What was tried, as a verb.
        operation: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something that had been acknowledged is damaged or missing.
    #[error(
        "the log is damaged in {} at offset {offset}: {reason}. Entries that this server has acknowledged would be \
         lost, so it must not start with this log: restore the file if the damage is in a copy, else remove this \
         server from the cluster, delete its data directory, and add it again under a new id",
        path.display()
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The hard state says that entries are committed which the log does not hold.
    #[error(
        "the log in {} ends at entry {last}, but entry {commit} is known to be committed: acknowledged entries were \
         lost. Remove this server from the cluster, delete its data directory, and add it again under a new id",
        dir.display()
    )]
    Lost {
        /// The log's directory.
        dir: PathBuf,
        /// The commit index on disk.
        commit: u64,
        /// The last entry on disk.
        last: u64,
    },
    /// The log holds less than it is known to have held.
    #[error(
        "the log in {} has lost what this server acknowledged: {what}. Restore the directory, whole and as it was when the \
         server last ran; else remove this server from the cluster, delete its data directory, and add it again under a new id",
        dir.display()
    )]
    Vanished {
        /// The log's directory.
        dir: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The directory holds a log of another group, server or cluster.
    #[error(
        "{} belongs to log {found:#x}, not to {expected:#x}: the data directory is that of another server or group; \
         correct the directory in the configuration",
        path.display()
    )]
    Foreign {
        /// The segment that says so.
        path: PathBuf,
        /// The log id that it carries.
        found: u64,
        /// The log id that was to be opened.
        expected: u64,
    },
    /// A segment was written by another version of the program.
    #[error(
        "{} has format version {found}, and this program reads version {supported}: start the version of the program \
         that wrote it",
        path.display()
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads and writes.
        supported: u32,
    },
    /// A configured segment size is out of bounds.
    #[error(
        "a segment of {given} bytes is not possible: choose from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX} bytes"
    )]
    SegmentBytes {
        /// The size that was asked for.
        given: u64,
    },
    /// A range that the log does not hold: compacted already, or not there yet.
    #[error("entry {index} is not in the log, which holds {first} to {last}")]
    Unavailable {
        /// The first entry that is not there.
        index: u64,
        /// The first entry that the log holds.
        first: u64,
        /// The last entry that the log holds.
        last: u64,
    },
    /// An earlier write failed; see [`LogError::Io`].
    #[error("an earlier write to the log failed: end the process")]
    Failed,
}

impl LogError {
    /// For `map_err` on an operation with a file.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| LogError::Io { operation, path: path.to_owned(), source }
    }

    /// For `map_err` on an operation that takes room, and leaves nothing behind that counts if there is none. A sync is no such
    /// operation: what it has failed to make durable may be lost.
    pub(super) fn write(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LogError::NoRoom { operation, path: path.to_owned(), source }
            }
            _ => LogError::Io { operation, path: path.to_owned(), source },
        }
    }
}
