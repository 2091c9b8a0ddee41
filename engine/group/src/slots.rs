//! Which slot each entry of a local log fills, for the part of the log that the merge has not passed.

use std::collections::VecDeque;

use crate::batch::EntryFill;
use crate::planted::{self, Bug};

/// Slots of a local log's recent entries, by Raft index. Of the entries that the merge has passed, only the
/// last place remains.
#[derive(Debug, Default)]
pub struct SlotIndex {
    /// Last place filled at or below `merged_index`.
    merged_place: u64,
    merged_index: u64,
    /// Place of the entry at `merged_index`, as far as it is known: a snapshot says only which places are
    /// filled by then. Committed entries after it fill later places. Entries of a deposed leader, which will
    /// be replaced, may not.
    least_place: u64,
    filled: VecDeque<FilledSlot>,
    commands: usize,
    bytes: u64,
    merged_commands: u64,
    level: u64,
    /// An entry takes at most whole blocks of so many bytes on disk; 0 where it takes what it has.
    block: u64,
}

#[derive(Clone, Copy, Debug)]
struct FilledSlot {
    index: u64,
    place: u64,
    commands: bool,
    bytes: u64,
}

impl SlotIndex {
    /// Slots of a log that is written in blocks of so many bytes. An entry counts as if it had blocks of its
    /// own: as much as it takes on disk, or more.
    pub fn in_blocks_of(bytes: u64) -> Self {
        SlotIndex { block: bytes, ..SlotIndex::default() }
    }

    /// Notes the entry at `index`, which has `bytes` and replaces everything from there on.
    ///
    /// # Panics
    /// If places do not rise along the log (`position_bijection`): a leader has filled a slot twice.
    pub fn append(&mut self, index: u64, fill: &EntryFill, bytes: u64) {
        self.truncate_from(index);
        let (place, commands) = match *fill {
            EntryFill::Nothing => return,
            EntryFill::Commands { place } => (place, true),
            EntryFill::Skip { place } => (place, false),
        };
        let before = self.filled.back().map_or(self.least_place, |slot| slot.place);
        assert!(
            place > before,
            "position_bijection: entry {index} fills place {place}, but the log has filled {before} already"
        );
        let bytes = bytes.next_multiple_of(self.block.max(1));
        self.filled.push_back(FilledSlot { index, place, commands, bytes });
        self.bytes += bytes;
        self.commands += usize::from(commands);
        if commands || planted::is(Bug::SkipsRaiseLevel) {
            self.level = self.level.max(place);
        }
    }

    /// Lets the log begin above `index`, with everything up to and including `place` filled: the slots of a
    /// snapshot's round, and of those before it. Known entries above `index` stay.
    pub fn begin_above(&mut self, index: u64, place: u64) {
        self.merged(index);
        (self.merged_index, self.merged_place) = (index, self.merged_place.max(place));
    }

    /// Drops all entries. The empty log begins above `index`; see [`begin_above`](Self::begin_above).
    pub fn reset(&mut self, index: u64, place: u64) {
        self.filled.clear();
        (self.commands, self.bytes) = (0, 0);
        (self.merged_index, self.merged_place, self.least_place) = (index, place, 0);
    }

    /// Forgets the entries from `index` on.
    fn truncate_from(&mut self, index: u64) {
        while let Some(slot) = self.filled.pop_back_if(|slot| slot.index >= index) {
            self.commands -= usize::from(slot.commands);
            self.bytes -= slot.bytes;
        }
        assert!(
            index > self.merged_index,
            "leader_completeness: entry {index} would replace one that the merge has passed"
        );
    }

    /// Forgets the entries up to `index`, which the merge has passed.
    pub fn merged(&mut self, index: u64) {
        while let Some(slot) = self.filled.pop_front_if(|slot| slot.index <= index) {
            self.commands -= usize::from(slot.commands);
            self.bytes -= slot.bytes;
            self.merged_commands += u64::from(slot.commands);
            self.merged_place = self.merged_place.max(slot.place);
            self.least_place = slot.place;
        }
        self.merged_index = self.merged_index.max(index);
    }

    /// Highest place of a command that the log has held, including replaced ones.
    pub fn level(&self) -> u64 {
        self.level
    }

    /// Last place that the log fills; 0 for none.
    pub fn last_place(&self) -> u64 {
        self.filled.back().map_or(self.merged_place, |slot| slot.place.max(self.merged_place))
    }

    /// Last place filled at or below `index`. For an index that the merge has passed, this is the merge's
    /// place: later than requested, so a read waits no less than it must.
    pub fn place_at(&self, index: u64) -> u64 {
        let at = self.filled.partition_point(|slot| slot.index <= index);
        at.checked_sub(1).map_or(self.merged_place, |last| self.filled[last].place)
    }

    /// Place that entries after `index` must exceed, as far as it is known; see [`append`](Self::append).
    pub fn place_before(&self, index: u64) -> u64 {
        let at = self.filled.partition_point(|slot| slot.index <= index);
        at.checked_sub(1).map_or(self.least_place, |last| self.filled[last].place)
    }

    /// Number of entries with commands that the merge has not passed.
    pub fn unmerged_commands(&self) -> usize {
        self.commands
    }

    /// Bytes of entries that the merge has not passed.
    pub fn unmerged_bytes(&self) -> u64 {
        self.bytes
    }

    /// Index that the merge has to pass until only this many entries with commands remain; 0 if there are no
    /// more already.
    pub fn index_leaving(&self, entries: usize) -> u64 {
        let mut newest_first = self.filled.iter().rev().filter(|slot| slot.commands);
        newest_first.nth(entries).map_or(0, |slot| slot.index)
    }

    /// Number of entries with commands that the merge has passed since this process started.
    pub fn merged_commands(&self) -> u64 {
        self.merged_commands
    }

    /// Number of unmerged entries with commands up to `index`.
    pub fn unmerged_commands_through(&self, index: u64) -> usize {
        let later = self.filled.iter().rev().take_while(|slot| slot.index > index);
        self.commands - later.filter(|slot| slot.commands).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_followed_through_truncation_and_merge() {
        let mut slots = SlotIndex::default();
        slots.append(1, &EntryFill::Nothing, 10);
        slots.append(2, &EntryFill::Commands { place: 1 }, 10);
        slots.append(3, &EntryFill::Skip { place: 9 }, 10);
        slots.append(4, &EntryFill::Commands { place: 10 }, 10);
        assert_eq!((slots.last_place(), slots.place_at(3), slots.place_at(1)), (10, 9, 0));
        assert_eq!((slots.unmerged_commands(), slots.unmerged_commands_through(3)), (2, 1));
        assert_eq!(slots.unmerged_bytes(), 30);
        assert_eq!([0, 1, 2].map(|left| slots.index_leaving(left)), [4, 2, 0]);
        // A new leader's entry replaces the suffix.
        slots.append(3, &EntryFill::Nothing, 10);
        assert_eq!((slots.last_place(), slots.unmerged_commands()), (1, 1));
        slots.merged(2);
        assert_eq!((slots.last_place(), slots.place_at(0), slots.unmerged_commands()), (1, 1, 0));
    }

    #[test]
    fn an_entry_counts_with_the_blocks_that_it_takes_on_disk() {
        let mut slots = SlotIndex::in_blocks_of(64);
        slots.append(1, &EntryFill::Commands { place: 1 }, 10);
        slots.append(2, &EntryFill::Commands { place: 2 }, 65);
        assert_eq!(slots.unmerged_bytes(), 64 + 128);
        slots.merged(1);
        assert_eq!(slots.unmerged_bytes(), 128);
    }

    /// Say the floor fills place 3, and the snapshot's round is 9. A leader that was deposed without knowing
    /// it continues with place 4; the entry that is committed instead fills 10.
    #[test]
    fn behind_a_snapshot_may_stand_what_a_deposed_leader_has_put_there() {
        let mut slots = SlotIndex::default();
        slots.append(1, &EntryFill::Commands { place: 2 }, 10);
        slots.reset(7, 9);
        assert_eq!((slots.last_place(), slots.unmerged_commands()), (9, 0));
        slots.append(8, &EntryFill::Commands { place: 4 }, 10);
        assert_eq!(slots.last_place(), 9);
        slots.append(8, &EntryFill::Commands { place: 10 }, 10);
        slots.merged(8);
        assert_eq!((slots.last_place(), slots.place_at(7)), (10, 10));
    }

    #[test]
    #[should_panic(expected = "position_bijection")]
    fn a_slot_is_never_filled_twice() {
        let mut slots = SlotIndex::default();
        slots.append(1, &EntryFill::Commands { place: 5 }, 10);
        slots.append(2, &EntryFill::Commands { place: 5 }, 10);
    }
}
