//! What is kept of all entries together, and follows each change.

use super::deadlines::Deadlines;
use super::digest::StateDigest;
use super::entry::Entry;

/// How many entries there are, their digest, and their deadlines.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) keys: u64,
    pub(super) digest: StateDigest,
    pub(super) deadlines: Deadlines,
}

impl Ledger {
    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.keys += 1;
        self.digest.add(entry);
        self.deadlines.add(entry);
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.keys -= 1;
        self.digest.remove(entry);
        self.deadlines.remove(entry);
    }
}
