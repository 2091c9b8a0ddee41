//! The keys that expire, in the order of their deadlines, and in that of their places.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::place::Place;

/// Deadlines of all entries that have one. A key without a deadline takes no room here.
///
/// An entry is known by its deadline and its place, which names its key but for a collision of hashes: so
/// keys are counted, and those of equal place and deadline are due together.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeMap<(u64, Place), u32>,
    by_place: BTreeMap<Place, u32>,
}

impl Deadlines {
    pub(super) fn add(&mut self, entry: &Entry) {
        if let Some(deadline) = entry.deadline() {
            *self.by_time.entry((deadline, entry.place())).or_default() += 1;
            *self.by_place.entry(entry.place()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        let Some(deadline) = entry.deadline() else { return };
        take_one(&mut self.by_time, &(deadline, entry.place()));
        take_one(&mut self.by_place, &entry.place());
    }

    /// The earliest deadline, and the place of its key.
    pub(super) fn first(&self) -> Option<(u64, Place)> {
        self.by_time.keys().next().copied()
    }

    /// The earliest deadline, and the places of the keys that have it and are called alike, each in a space of its own. Which
    /// space is whose differs between servers, so none of these places comes first.
    pub(super) fn first_alike(&self) -> Option<(u64, impl Iterator<Item = Place>)> {
        let (deadline, first) = self.first()?;
        let alike = self.by_time.range((deadline, first)..).map(|((other, place), _)| (*other, *place));
        let is_alike =
            move |(other, place): &(u64, Place)| *other == deadline && place.alike() == first.alike();
        Some((deadline, alike.take_while(is_alike).map(|(_, place)| place)))
    }

    /// The places of keys with deadlines, from one on.
    pub(super) fn places_from(&self, from: Place) -> impl Iterator<Item = Place> {
        self.by_place.range(from..).map(|(place, _)| *place)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u32>, at: &K) {
    let count = counts.get_mut(at).expect("each entry with a deadline was added");
    *count -= 1;
    if *count == 0 {
        counts.remove(at);
    }
}
