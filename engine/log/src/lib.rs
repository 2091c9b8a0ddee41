//! The log of one group: where Raft's entries and hard state are kept, in memory and on disk.
//!
//! Raft may answer for an entry only when it would survive a crash (Raft, figure 2: "updated on stable
//! storage before responding to RPCs"). But syncing to disk takes from a fraction of a millisecond to
//! several, and a group's messages and reads must not wait for that. So a log has two halves:
//!
//! * [`LogStore`], the view that threads share. The group's thread appends, and the entries are visible at
//!   once: Raft sends them to the followers from here, and the sequencer's thread pulls them in ranges. Hot
//!   entries are served from memory, the rest from disk.
//! * [`LogWriter`], which lives on one thread and makes batches durable, each with one write that is durable
//!   when it returns, or a write and a sync where the file system takes no such writes ([`SyncMethod`]).
//!
//! [`open`] replays what an earlier process of the server has left, and returns both.
//!
//! On disk a log is a directory of segment files, written from start to end. Each write is one *frame* with a
//! sequence number and a checksum. So a start can distinguish the torn end of an interrupted write, which was
//! never acknowledged and is cut off, from damage to acknowledged entries, which makes it refuse the log.
//! `FORMAT.md` beside this file gives every byte, and the assumptions about the disk.
//!
//! | file | holds |
//! |---|---|
//! | `entry.rs` | Raft entries, as a log stores them |
//! | `format.rs`, `frame.rs` | bytes: segment headers, records, frames; pure functions |
//! | `table.rs` | where each entry is on disk, 24 bytes an entry |
//! | `store.rs`, `read.rs` | the shared view, and reading a range from it |
//! | `writer.rs`, `tail.rs` | the writing side, and its position |
//! | `directory.rs`, `segment.rs`, `preparer.rs` | segments: names, zero-filling ahead of use, recycling |
//! | `files.rs`, `direct.rs`, `memory_files.rs` | the file system below, with writes past the page cache, and one in memory |
//! | `sync_method.rs` | how writes become durable |
//! | `recover.rs`, `replay.rs` | the start |
//! | `marks.rs` | what is kept apart from a log, so that its loss is noticed |
//! | `inspect.rs` | inspects a log without changing it |
//!
//! The log knows nothing of slots, commands or leaders: an entry's kind, context and data are opaque to it.

mod direct;
mod directory;
mod entry;
mod error;
mod files;
mod format;
mod frame;
mod inspect;
mod marks;
mod memory_files;
mod preparer;
mod read;
mod recover;
mod replay;
mod segment;
mod store;
mod sync_method;
mod table;
mod tail;
#[cfg(test)]
mod tests;
pub mod thread;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use niagara_planted as planted;

use format::{PACKED_BLOCK, is_block};

pub use direct::DirectFile;
pub use entry::{EntryId, LogEntry};
pub use error::LogError;
pub use files::{Files, LogFile, SystemFiles};
pub use inspect::{Inspection, SegmentReport, inspect};
pub use marks::{Held, LogMarks, NoMarks};
pub use memory_files::MemoryFiles;
pub use recover::open;
pub use store::{LogSize, LogStore};
pub use sync_method::SyncMethod;
pub use writer::LogWriter;

/// What Raft must remember besides its entries (Raft, figure 2, "persistent state").
///
/// The paper does not require the commit index. With it, a restarted server can execute what it knows to be
/// committed before it hears from a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// Latest term that this server has seen.
    pub term: u64,
    /// Server that it voted for in that term; 0 for none.
    pub vote: u64,
    /// Highest index known to be committed.
    pub commit: u64,
}

/// What a start reads from the log, in the order in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed<'a> {
    /// An entry. One with a lower index than the one before replaces everything from that index on.
    Entry(&'a LogEntry),
    /// Drops all entries so far. The log continues above this one, whether or not the log held it.
    Reset(EntryId),
}

/// What a write that has returned survives.
///
/// ```
/// use niagara_log::Durability;
///
/// assert_eq!("fsync".parse(), Ok(Durability::Fsync));
/// assert_eq!(Durability::Os.to_string(), "os");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Durability {
    /// A crash of the machine or a loss of power: written and synced.
    #[default]
    Fsync,
    /// A crash of the process: handed to the operating system.
    Os,
    /// Nothing: the log lives in memory. For experiments.
    Memory,
}

/// A word that is not a [`Durability`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown durability {0:?}: choose fsync, os or memory")]
pub struct UnknownDurability(String);

impl Durability {
    /// The word for it in configurations: `fsync`, `os` or `memory`.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Fsync => "fsync",
            Durability::Os => "os",
            Durability::Memory => "memory",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(word: &str) -> Result<Self, UnknownDurability> {
        [Durability::Fsync, Durability::Os, Durability::Memory]
            .into_iter()
            .find(|durability| durability.name() == word)
            .ok_or_else(|| UnknownDurability(word.to_owned()))
    }
}

/// How one group's log is kept.
///
/// ```
/// use niagara_log::{Durability, LogConfig};
///
/// let mut config = LogConfig::new("/var/lib/niagara/group-1", Durability::Fsync, 0x0c1_0001_0001);
/// config.segment_bytes = 64 << 20;
/// ```
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directory for this log alone. It is created if it does not exist. Unused in [`Durability::Memory`].
    pub dir: PathBuf,
    /// What a write that has returned survives.
    pub durability: Durability,
    /// Size of a segment file, in bytes, from [`SEGMENT_BYTES_MIN`] to [`SEGMENT_BYTES_MAX`]. An entry that
    /// does not fit gets a longer segment of its own. With the default, 16 MiB, the log rarely changes files,
    /// and compaction still frees space in small steps.
    pub segment_bytes: u64,
    /// Size of a new log's first segment, in bytes. Later ones double until they have `segment_bytes`, so
    /// that an idle log takes little room. Values outside [`SEGMENT_BYTES_MIN`] to `segment_bytes` are
    /// clamped. The default is 256 KiB.
    pub first_segment_bytes: u64,
    /// How many bytes of entries stay in memory although they are on disk. The default is 2 MiB: a hot part
    /// that fits the processor's cache was 27 % faster than a large one.
    pub cache_bytes: usize,
    /// Identifies the log. Logs that could be mixed up must have different ids, derived for example from
    /// cluster, server and group. Segments of another log are refused.
    pub log_id: u64,
    /// File system of the directory: the machine's, unless a simulator supplies its own.
    pub files: Arc<dyn Files>,
    /// Whether a thread prepares the next segment, and retires old ones, concurrently with writes. That is
    /// the default; a simulator, which has one thread, does it in place.
    pub prepare_beside: bool,
    /// Length of a block, in bytes: each write starts and ends at a block's border, so that no write touches a
    /// block that holds what an earlier one has made durable. A power of two from 8 to 65,536. The default is
    /// 4,096 with [`Durability::Fsync`], and 8 otherwise, which saves space. Segments that have other blocks
    /// are read, but not continued.
    pub block_bytes: u64,
    /// Whether writes bypass the page cache where they must be durable and the file system takes that. The
    /// default is `true`.
    pub direct: bool,
    /// Where the log records what it has held: nowhere, unless its owner has a place outside the log's
    /// directory.
    pub marks: Arc<dyn LogMarks>,
    /// Whether the log has been written with [`Durability::Fsync`] so far, so that a sync can have failed for
    /// its last frame only. Otherwise a sync may have failed for any frame, and a start rewrites all of them.
    /// The default is `true`.
    pub was_synced: bool,
    /// Finds the CRC-32 (IEEE) of an entry's data in its context, where an owner keeps it. Long data is not summed
    /// again then. A wrong sum makes a record that counts as damaged when it is read. By default, none is found.
    pub data_sum: fn(context: &[u8]) -> Option<u32>,
}

/// The least segment size, in bytes: room for a segment's opening and a small entry.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 10;
/// The greatest segment size, in bytes. Offsets within a segment are kept in 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The greatest entry that a log takes, in bytes: context, data and 32 bytes of head.
pub const ENTRY_BYTES_MAX: u64 = 1 << 30;

// Offsets fit 32 bits, also in a segment made longer for the greatest entry and what surrounds it.
const _: () = assert!(SEGMENT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(ENTRY_BYTES_MAX + (256 << 10) <= u32::MAX as u64);

impl LogConfig {
    /// Configuration with the defaults.
    pub fn new(dir: impl Into<PathBuf>, durability: Durability, log_id: u64) -> Self {
        LogConfig {
            dir: dir.into(),
            durability,
            segment_bytes: 16 << 20,
            first_segment_bytes: 256 << 10,
            cache_bytes: 2 << 20,
            log_id,
            files: Arc::new(SystemFiles),
            prepare_beside: true,
            block_bytes: if durability == Durability::Fsync {
                SystemFiles.block_bytes()
            } else {
                PACKED_BLOCK
            },
            direct: true,
            marks: Arc::new(NoMarks),
            was_synced: true,
            data_sum: |_| None,
        }
    }

    fn check(&self) -> Result<(), LogError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(LogError::SegmentBytes { given: self.segment_bytes });
        }
        if !is_block(self.block_bytes) {
            return Err(LogError::BlockBytes { given: self.block_bytes });
        }
        Ok(())
    }
}

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
