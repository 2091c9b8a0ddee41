//! How many files an engine may have open at once, including sockets.
//!
//! Whoever runs an engine keeps that many free: an engine that cannot open the next file of its log has to
//! end.

use niagara_log::Durability;

use super::Config;

/// Accepted connections of a link that have not identified themselves, besides one for each member. A
/// stranger can occupy that many on each link.
pub(crate) const MOST_PENDING: usize = 8;

/// The most followers that a member supplies at a time.
pub(crate) const MOST_FOLLOWERS: usize = 32;

/// A poll and its registry, a waker, the listener, and two for resolving a name.
const LINK: u64 = 6;
/// The segment that is written, the next one and the one that it is recycled from, a directory to be synced,
/// and one reader each on the group's and the sequencer's thread, and for followers.
const LOG: u64 = 7;
/// A snapshot being written, one being received, one being read, and their directory.
const SNAPSHOTS: u64 = 4;
/// The lock, the identity and its replacement, the directory.
const IDENTITY: u64 = 4;

impl Config {
    /// The most files and sockets that an engine with this configuration has open at once, whatever its logs
    /// hold.
    pub fn open_files(&self) -> u64 {
        if self.follows() {
            // One connection to each member, and one on its way.
            return LINK + 2 * self.members.len() as u64 + SNAPSHOTS + IDENTITY;
        }
        let (groups, peers) = (u64::from(self.groups()), self.members.len().saturating_sub(1) as u64);
        // For each peer: a connection, the one about to replace it, and one that has not been welcomed.
        let link = LINK + 3 * peers + 1 + MOST_PENDING as u64;
        let files = match self.durability {
            Durability::Memory => IDENTITY,
            Durability::Fsync | Durability::Os => groups * LOG + SNAPSHOTS + peers + IDENTITY,
        };
        // Each follower has a connection, may be about to replace it, and may receive a snapshot.
        let followers = 1 + MOST_PENDING as u64 + 3 * MOST_FOLLOWERS as u64;
        (groups + 1) * link + files + followers
    }
}
