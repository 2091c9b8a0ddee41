//! Raft entries, as a log stores them.

use bytes::Bytes;

/// One Raft entry, as it is stored and replicated. Its parts are shared buffers, so a clone copies no
/// payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Raft index, from 1.
    pub index: u64,
    /// Term of the leader that created the entry.
    pub term: u64,
    /// Kind of entry; opaque to the log.
    pub kind: u8,
    /// Raft's context of the entry; opaque to the log.
    pub context: Bytes,
    /// The payload; opaque to the log.
    pub data: Bytes,
}

/// Approximate memory that an entry takes besides its payload, in bytes: its place in the tables of the log,
/// the driver and the merge.
const ENTRY_OVERHEAD: u64 = 64;

impl LogEntry {
    /// Approximate memory that the entry takes, in bytes. Every bound in bytes counts this.
    pub fn memory_bytes(&self) -> u64 {
        LogEntry::bytes_in_memory(&self.context, &self.data)
    }

    /// The same for an entry with this context and payload.
    pub fn bytes_in_memory(context: &[u8], data: &[u8]) -> u64 {
        (context.len() + data.len()) as u64 + ENTRY_OVERHEAD
    }

    /// Index and term of this entry.
    pub fn id(&self) -> EntryId {
        EntryId { index: self.index, term: self.term }
    }
}

/// Identifies an entry. No two entries of a log have the same index and term (Raft, section 5.3, "log
/// matching"), so it also distinguishes an entry from one that has replaced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryId {
    /// Raft index; 0 is the position before the first entry.
    pub index: u64,
    /// Term of the entry; 0 for index 0.
    pub term: u64,
}
