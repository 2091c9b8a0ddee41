//! How many files an engine may have open at once, its sockets included.
//!
//! Who runs one keeps so many free of anything else: an engine that cannot open the next file of its log has to end.

use niagara_log::Durability;

use super::Config;

/// Accepted connections of a link that have not said who they are, besides one for each member. A stranger can have so many of
/// each link's.
pub(crate) const MOST_PENDING: usize = 8;

/// A poll and its registry, a waker, the listener; and two for looking up a name.
const LINK: u64 = 6;
/// The segment that is written, the next one and the one that it is made from, a directory to be synced, and a reader each on
/// the group's and the sequencer's thread.
const LOG: u64 = 6;
/// A snapshot that is written, one that is received, one that is read, their directory.
const SNAPSHOTS: u64 = 4;
/// The lock, the identity and its successor, the directory.
const IDENTITY: u64 = 4;

impl Config {
    /// The most files and sockets that an engine of this configuration has open at once, whatever its logs hold.
    pub fn open_files(&self) -> u64 {
        let (groups, peers) = (u64::from(self.groups()), self.members.len().saturating_sub(1) as u64);
        // To each peer a connection, the one that is about to take its place, and one that has not been welcomed.
        let link = LINK + 3 * peers + 1 + MOST_PENDING as u64;
        let files = match self.durability {
            Durability::Memory => IDENTITY,
            Durability::Fsync | Durability::Os => groups * LOG + SNAPSHOTS + peers + IDENTITY,
        };
        (groups + 1) * link + files
    }
}
