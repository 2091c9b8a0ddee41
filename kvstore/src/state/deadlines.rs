//! The keys that expire, in the order of their deadlines.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::place::Place;

/// Deadlines of all entries that have one. A key without a deadline takes no room here.
///
/// An entry is known by its deadline and its place, which names its key but for a collision of hashes: so
/// keys are counted, and those of equal place and deadline are due together.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeMap<(u64, Place), u32>);

impl Deadlines {
    pub(super) fn add(&mut self, entry: &Entry) {
        if let Some(deadline) = entry.attributes.deadline() {
            *self.0.entry((deadline, entry.place)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        let Some(deadline) = entry.attributes.deadline() else { return };
        let at = (deadline, entry.place);
        let count = self.0.get_mut(&at).expect("each entry with a deadline was added");
        *count -= 1;
        if *count == 0 {
            self.0.remove(&at);
        }
    }

    /// The earliest deadline, and the place of its key.
    pub(super) fn first(&self) -> Option<(u64, Place)> {
        self.0.keys().next().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
