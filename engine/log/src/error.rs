//! Errors of a log, and what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use super::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// Why a log could not be opened, read or written.
///
/// Calling again helps only after [`LogError::Unavailable`], which readers meet in normal operation, and
/// [`LogError::NoRoom`].
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused. After a failed write or sync nobody knows what is on the disk, and a
    /// second sync may report success for data that the first one lost: end the process, and let the next
    /// start find out.
    #[error("cannot {operation} {}: {source}; check the disk's space, health and permissions, then start again", path.display())]
    Io {
        /// Attempted operation, as a verb and its object.
        operation: &'static str,
        /// File or directory that it was attempted on.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The disk has no room for a write, so nothing of the write counts. Retry when there is room.
    #[error("cannot {operation} {}: {source}; remove other files, or give the file system more space", path.display())]
    NoRoom {
        /// Attempted operation, as a verb and its object.
        operation: &'static str,
        /// File or directory that it was attempted on.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// Acknowledged data is damaged or missing.
    #[error(
        "the log is damaged in {} at offset {offset}: {reason}. Entries that this server has acknowledged would be \
         lost, so it must not start with this log: restore the file if the damage is in a copy, else \
         leave this server stopped. The others serve while they are more than half, and a new cluster can be made of the \
         directories that are whole (docs/recovery.md)",
        path.display()
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage starts in the file, in bytes.
        offset: u64,
        /// Description of the damage.
        reason: String,
    },
    /// The hard state commits entries that the log does not hold.
    #[error(
        "the log in {} ends at entry {last}, but entry {commit} is known to be committed: acknowledged entries were \
         lost. Leave this server stopped: the others serve while they are more than half, and a new cluster can be made of the \
         directories that are whole (docs/recovery.md)",
        dir.display()
    )]
    Lost {
        /// Directory of the log.
        dir: PathBuf,
        /// Commit index on disk.
        commit: u64,
        /// Index of the last entry on disk.
        last: u64,
    },
    /// The log holds less than its marks say it has held.
    #[error(
        "the log in {} has lost what this server acknowledged: {what}. Restore the directory, whole and as it was when the \
         server last ran; else leave this server stopped: the others serve while they are more than half, and a new cluster can be \
         made of the directories that are whole (docs/recovery.md)",
        dir.display()
    )]
    Vanished {
        /// Directory of the log.
        dir: PathBuf,
        /// What is missing, as a sentence about the log.
        what: String,
    },
    /// The directory holds a log of another group, server or cluster.
    #[error(
        "{} belongs to log {found:#x}, not to {expected:#x}: the data directory is that of another server or group; \
         correct the directory in the configuration",
        path.display()
    )]
    Foreign {
        /// The segment that carries the other id.
        path: PathBuf,
        /// Log id in its header.
        found: u64,
        /// Log id in the configuration.
        expected: u64,
    },
    /// A segment was written by another version of the program.
    #[error(
        "{} has format version {found}, and this program reads versions up to {supported}: start the version of the program \
         that wrote it",
        path.display()
    )]
    Version {
        /// The segment's file.
        path: PathBuf,
        /// Format version in its header.
        found: u32,
        /// The version that this program writes. It reads that and earlier ones.
        supported: u32,
    },
    /// A configured segment size is out of bounds.
    #[error(
        "a segment of {given} bytes is not possible: choose from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX} bytes"
    )]
    SegmentBytes {
        /// Configured size, in bytes.
        given: u64,
    },
    /// A configured length of blocks is impossible.
    #[error("blocks of {given} bytes are not possible: choose a power of two from 8 to 65536 bytes")]
    BlockBytes {
        /// Configured length, in bytes.
        given: u64,
    },
    /// The log does not hold all of a range: entries are compacted away, or not appended yet.
    #[error("entry {index} is not in the log, which holds {first} to {last}")]
    Unavailable {
        /// Index of the first missing entry.
        index: u64,
        /// Index of the first entry in the log.
        first: u64,
        /// Index of the last entry in the log.
        last: u64,
    },
    /// An earlier write failed; see [`LogError::Io`].
    #[error("an earlier write to the log failed: end the process")]
    Failed,
}

impl LogError {
    /// For `map_err` on an operation with a file.
    /// Whether nothing but room on the disk is missing, so that another attempt may succeed.
    #[must_use]
    pub fn is_lack_of_room(&self) -> bool {
        match self {
            LogError::NoRoom { .. } => true,
            LogError::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| LogError::Io { operation, path: path.to_owned(), source }
    }

    /// For `map_err` on an operation that takes room and leaves nothing that counts if there is none. A sync
    /// does not qualify: what it failed to make durable may be lost.
    pub(super) fn write(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LogError::NoRoom { operation, path: path.to_owned(), source }
            }
            _ => LogError::Io { operation, path: path.to_owned(), source },
        }
    }
}
