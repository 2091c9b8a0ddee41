//! Fixed settings of a driver.

use std::ops::Range;
use std::time::Duration;

/// Settings that a driver keeps for its lifetime.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Id of this server.
    pub server: u64,
    /// Zero-based index of the group.
    pub group: u16,
    /// The lanes of each server that feed this group.
    pub lanes: Vec<u16>,
    /// Those below this number come later, from the groups of the epoch before.
    pub lanes_before: u16,
    /// Incarnation of this server; each start raises it.
    pub incarnation: u64,
    /// All voters of the group.
    pub voters: Vec<u64>,
    /// The highest level that this server knows: it takes no entry that ends the epoch for a higher one.
    pub known_level: u32,
    /// Server that should lead this group.
    pub wanted_leader: u64,
    /// Server that should lead it at first: another one, if the wanted one has yet to receive the state.
    pub first_leader: u64,
    /// Differs between any two starts of a server, so that contexts of reads never repeat.
    pub boot: u64,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u32,
    /// Ticks for which a follower trusts its leader after hearing from it.
    pub election_ticks: u32,
    /// How long a follower promises not to vote, so that its leader may answer reads by a lease: an election
    /// timeout. `None` if the cluster has no leases.
    pub promise: Option<Duration>,
    /// Ticks without a leader after which a replica campaigns, drawn at random each time. Starts above
    /// `election_ticks`.
    pub campaign_ticks: Range<u32>,
    /// If set, the draw is deterministic: it follows from this seed and the term. Two replicas that split the
    /// votes of one term do not split those of every term.
    pub campaign_seed: Option<u64>,
    /// The most entries with commands that may be ahead of the merge.
    pub window: usize,
    /// About the most bytes of commands in an entry.
    pub entry_bytes: usize,
    /// The most bytes in a forwarded sub-batch. A larger one would not fit into a frame to the followers.
    pub sub_batch_bytes: usize,
    /// The most bytes of forwarded commands that may wait.
    pub foreign_bytes: usize,
    /// The most bytes that may be queued for a peer on the fastest link.
    pub send_queue_bytes: usize,
    /// A log of more bytes than this is compacted even if a follower that is receiving a snapshot needs it.
    pub pin_bytes: u64,
    /// The most bytes of entries that may wait for this server's disk.
    pub unsynced_bytes: usize,
}

impl DriverConfig {
    /// Ticks after which a replica campaigns in this term; `None` if they are drawn at random.
    pub fn campaign_after(&self, term: u64) -> Option<u32> {
        let Range { start, end } = self.campaign_ticks;
        let drawn = spread(self.campaign_seed? ^ spread(term)) % u64::from(end - start);
        Some(start + drawn as u32)
    }
}

/// Maps neighbouring seeds to numbers that differ in all bits (the finalizer of SplitMix64).
fn spread(seed: u64) -> u64 {
    let bits = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
impl DriverConfig {
    /// Server 1 of three, with small limits.
    pub fn small() -> DriverConfig {
        DriverConfig {
            server: 1,
            group: 0,
            lanes: vec![0],
            lanes_before: 0,
            incarnation: 2,
            voters: vec![1, 2, 3],
            known_level: 1,
            wanted_leader: 1,
            first_leader: 1,
            boot: 1,
            heartbeat_ticks: 2,
            election_ticks: 10,
            promise: None,
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
