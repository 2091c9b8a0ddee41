//! What a driver is told once.

use std::ops::Range;

/// What a driver must know from the start.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// This server.
    pub server: u64,
    /// The lane whose commands come to this group: its zero-based index.
    pub lane: u16,
    /// All voters of the group.
    pub voters: Vec<u64>,
    /// The server that should lead this group.
    pub wanted_leader: u64,
    /// A number that differs between two starts of a server: contexts of reads must never repeat.
    pub boot: u64,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u32,
    /// Ticks for which a follower trusts its leader.
    pub election_ticks: u32,
    /// Ticks after which a campaign begins, drawn at random for each; above `election_ticks`. One number alone leaves
    /// nothing to chance.
    pub campaign_ticks: Range<u32>,
    /// Entries with commands that may be ahead of the merge.
    pub window: usize,
    /// Bytes of commands in an entry.
    pub entry_bytes: usize,
    /// Bytes of forwarded commands that may wait.
    pub foreign_bytes: usize,
    /// A log that takes more bytes is compacted in spite of followers that are getting a snapshot.
    pub pin_bytes: u64,
}
