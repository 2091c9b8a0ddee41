//! The entries of a log: their terms, and where they are on disk.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;

use super::EntryId;

/// Where an entry's record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub segment: NonZeroU64,
    /// Where in the segment the record starts, in bytes.
    pub offset: u32,
    /// Length of the record, in bytes.
    pub length: u32,
}

impl Location {
    /// Where the record ends, in bytes.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// What is known of an entry. There is one for every entry above the floor, so it is kept small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableEntry {
    pub term: u64,
    /// `None` until it is written.
    pub at: Option<Location>,
}

const _: () = assert!(size_of::<TableEntry>() == 24);

/// The entries above the floor, without their payload.
#[derive(Debug, Default)]
pub(super) struct Table {
    floor: EntryId,
    places: VecDeque<TableEntry>,
    /// How many of the entries each segment holds. Kept as entries come and go, so that compaction takes as
    /// long as what it removes, however much stays.
    held: BTreeMap<NonZeroU64, u64>,
}

impl Table {
    /// An empty table, which begins above the floor.
    pub fn new(floor: EntryId) -> Self {
        Table { floor, ..Table::default() }
    }

    pub fn floor(&self) -> EntryId {
        self.floor
    }

    pub fn first(&self) -> u64 {
        self.floor.index + 1
    }

    pub fn last(&self) -> u64 {
        self.floor.index + self.places.len() as u64
    }

    pub fn len(&self) -> u64 {
        self.places.len() as u64
    }

    /// `None` up to the floor and after the last entry.
    pub fn get(&self, index: u64) -> Option<&TableEntry> {
        self.places.get(self.position(index)?)
    }

    /// The entry's term; also known for the floor itself.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.floor.index {
            Some(self.floor.term)
        } else {
            self.get(index).map(|place| place.term)
        }
    }

    /// Puts an entry at its index, and drops all others from there on.
    ///
    /// # Panics
    /// If the index is not above the floor (invariant compaction_floor) or would leave a hole.
    pub fn put(&mut self, index: u64, place: TableEntry) {
        assert!(index > self.floor.index, "compaction_floor: entry {index} is compacted away");
        assert!(index <= self.last() + 1, "no_holes: entry {index} does not follow {}", self.last());
        let dropped = self.places.drain((index - self.first()) as usize..);
        dropped.for_each(|place| leave(&mut self.held, place.at));
        join(&mut self.held, place.at);
        self.places.push_back(place);
    }

    /// Records where an entry was written. Does nothing if the entry has been replaced or compacted away
    /// meanwhile: both may overtake a write.
    pub fn written(&mut self, id: EntryId, at: Location) {
        let place = self.position(id.index).and_then(|position| self.places.get_mut(position));
        if let Some(place) = place.filter(|place| place.term == id.term) {
            leave(&mut self.held, place.at.replace(at));
            join(&mut self.held, Some(at));
        }
    }

    /// Raises the floor to an entry in the table.
    pub fn compact_to(&mut self, floor: EntryId) {
        assert!(self.term(floor.index) == Some(floor.term), "compaction_floor: {floor:?} is not in the log");
        let dropped = self.places.drain(..(floor.index - self.floor.index) as usize);
        dropped.for_each(|place| leave(&mut self.held, place.at));
        self.floor = floor;
    }

    /// Sets the floor's term, which a start did not know at first.
    pub fn restate_floor(&mut self, floor: EntryId) {
        assert!(floor.index == self.floor.index, "compaction_floor: {floor:?} is not {:?}", self.floor);
        self.floor = floor;
    }

    /// Number of the oldest segment that holds an entry; `None` if none is written. Mostly it is the first
    /// entry's. But an entry that was replaced, and has come back, may be in a later segment than its
    /// successors until those are written again.
    pub fn first_segment(&self) -> Option<u64> {
        self.held.first_key_value().map(|(segment, _)| segment.get())
    }

    fn position(&self, index: u64) -> Option<usize> {
        Some(index.checked_sub(self.first())? as usize)
    }
}

/// An entry is in a segment from now on.
fn join(held: &mut BTreeMap<NonZeroU64, u64>, at: Option<Location>) {
    if let Some(at) = at {
        *held.entry(at.segment).or_default() += 1;
    }
}

/// An entry is no longer in a segment.
fn leave(held: &mut BTreeMap<NonZeroU64, u64>, at: Option<Location>) {
    let Some(Location { segment, .. }) = at else { return };
    match held.get_mut(&segment) {
        Some(count @ 2..) => *count -= 1,
        held_one => {
            assert!(held_one.is_some(), "an entry leaves segment {segment}, which holds none");
            held.remove(&segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put, replaced, written and compacted, the oldest segment is that of a look at all entries.
        #[test]
        fn the_oldest_segment_is_known_without_a_look_at_all_entries(
            steps in prop::collection::vec((0u8..3, 1u64..30, 1u64..5, any::<bool>()), 1..200),
        ) {
            let mut table = Table::default();
            for (step, index, segment, written) in steps {
                let at = Location { segment: segment.try_into().unwrap(), offset: 0, length: 1 };
                let index = table.first() + index % (table.len() + 1);
                match step {
                    0 => table.put(index, TableEntry { term: segment, at: written.then_some(at) }),
                    1 => table.written(EntryId { index, term: segment }, at),
                    _ => {
                        if let Some(term) = table.term(index) {
                            table.compact_to(EntryId { index, term });
                        }
                    }
                }
                let all = table.places.iter().filter_map(|place| Some(place.at?.segment.get()));
                prop_assert_eq!(table.first_segment(), all.min());
            }
        }
    }
}
