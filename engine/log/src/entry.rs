//! What a log holds.

use bytes::Bytes;

/// One Raft entry, as it is stored and replicated. Its parts are shared buffers: a clone copies no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Raft's index, from 1.
    pub index: u64,
    /// The term of the leader that created the entry.
    pub term: u64,
    /// What the entry is; opaque to the log.
    pub kind: u8,
    /// What Raft calls the entry's context; opaque to the log.
    pub context: Bytes,
    /// The payload; opaque to the log.
    pub data: Bytes,
}

/// What an entry takes in memory beside its payload, about: its place in the tables of the log, the driver and the merge.
const ENTRY_OVERHEAD: u64 = 64;

impl LogEntry {
    /// About what the entry takes in memory; every bound in bytes counts this.
    pub fn memory_bytes(&self) -> u64 {
        LogEntry::bytes_in_memory(&self.context, &self.data)
    }

    /// The same for an entry with this context and payload.
    pub fn bytes_in_memory(context: &[u8], data: &[u8]) -> u64 {
        (context.len() + data.len()) as u64 + ENTRY_OVERHEAD
    }

    /// Names this entry.
    pub fn id(&self) -> EntryId {
        EntryId { index: self.index, term: self.term }
    }
}

/// Names an entry. No two entries of a log have the same index and term (Raft, section 5.3, "log matching"), so it also
/// tells an entry from one that has replaced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryId {
    /// Raft's index; 0 stands before the first entry.
    pub index: u64,
    /// The entry's term; 0 for index 0.
    pub term: u64,
}
