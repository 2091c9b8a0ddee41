//! What a driver is told once.

use std::ops::Range;

/// What a driver must know from the start.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// This server.
    pub server: u64,
    /// The lane whose commands come to this group: its zero-based index.
    pub lane: u16,
    /// Which of its lives this server is in: raised with each start.
    pub incarnation: u64,
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
    /// Ticks after which a campaign begins, drawn at random for each; above `election_ticks`.
    pub campaign_ticks: Range<u32>,
    /// Leaves nothing to chance: the number follows from this and the term, so that two replicas that have split the votes of
    /// one term do not split those of all.
    pub campaign_seed: Option<u64>,
    /// Entries with commands that may be ahead of the merge.
    pub window: usize,
    /// Bytes of commands in an entry.
    pub entry_bytes: usize,
    /// Most bytes of a sub-batch that another server may forward: larger ones would not fit a frame on their way to followers.
    pub sub_batch_bytes: usize,
    /// Bytes of forwarded commands that may wait.
    pub foreign_bytes: usize,
    /// Bytes that may be queued for one peer on the fastest link.
    pub send_queue_bytes: usize,
    /// A log that takes more bytes is compacted in spite of followers that are getting a snapshot.
    pub pin_bytes: u64,
    /// Bytes of entries that may wait for this server's own disk.
    pub unsynced_bytes: usize,
}

impl DriverConfig {
    /// Ticks after which a campaign begins in this term, if that is not left to chance.
    pub fn campaign_after(&self, term: u64) -> Option<u32> {
        let Range { start, end } = self.campaign_ticks;
        let drawn = spread(self.campaign_seed? ^ spread(term)) % u64::from(end - start);
        Some(start + drawn as u32)
    }
}

/// A number that differs in all bits for seeds that are neighbours (the finaliser of SplitMix64).
fn spread(seed: u64) -> u64 {
    let bits = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
impl DriverConfig {
    /// Of server 1 among three, with small limits.
    pub fn small() -> DriverConfig {
        DriverConfig {
            server: 1,
            lane: 0,
            incarnation: 2,
            voters: vec![1, 2, 3],
            wanted_leader: 1,
            boot: 1,
            heartbeat_ticks: 2,
            election_ticks: 10,
            campaign_ticks: 11..20,
            campaign_seed: Some(1),
            window: 4,
            entry_bytes: 1 << 10,
            sub_batch_bytes: 1 << 10,
            foreign_bytes: 1 << 20,
            pin_bytes: 0,
            unsynced_bytes: 80 << 20,
            send_queue_bytes: 1 << 20,
        }
    }
}
