//! Compaction: how much of each local log a shared snapshot makes superfluous.
//!
//! One snapshot serves all groups. It is taken at the end of a round, position `k * R`: there every group has
//! contributed the same places, 1 to k. Group r's *floor* for round k is the Raft index of its last entry
//! that fills a place up to k. Entries that fill none (a new leader's empty entry, membership changes) stay
//! above the floor if they come after that entry.
//!
//! A group compacts to the floor of the *older* of the last two snapshots. Servers take snapshots at
//! different rounds, so what one of them needs above its own newest snapshot, the others still have
//! (invariant `compaction_floor`).

use std::collections::VecDeque;

use crate::layout::MAX_PLACE;

/// Maps the Raft indexes of one group's log to places, to find the floor for a round. Holds one pair of
/// numbers for each entry that fills places and is not forgotten; a floor costs a binary search.
///
/// ```
/// use niagara_sequencer::FloorIndex;
///
/// let mut index = FloorIndex::new();
/// index.push(2, 1); // Raft entry 1 is the leader's empty one, and fills no place.
/// index.push(3, 5);
/// assert_eq!(index.floor(4), Some(2), "entry 3 also fills places 2 to 4, but not only these");
/// assert_eq!(index.floor(5), Some(3));
/// ```
#[derive(Clone, Debug)]
pub struct FloorIndex {
    /// (Raft index, place), both rising. The first pair always exists and is the base: nothing is known below
    /// it.
    entries: VecDeque<(u64, u64)>,
}

impl FloorIndex {
    /// For a log that begins at Raft index 1.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(0, 0)
    }

    /// For a log that begins above a snapshot of round `round`, whose floor in this group is Raft index
    /// `floor`.
    #[must_use]
    pub fn starting_at(floor: u64, round: u64) -> Self {
        Self { entries: VecDeque::from([(floor, round)]) }
    }

    /// Adds the next entry that fills places, appended at Raft index `index`. Panics unless index and place
    /// are above all earlier ones (invariant `slots_rise`).
    pub fn push(&mut self, index: u64, place: u64) {
        let (last_index, last_place) = self.entries[self.entries.len() - 1];
        assert!(index > last_index, "entry {index} is pushed after entry {last_index}");
        assert!(place > last_place, "slots_rise: entry {index} fills place {place} after place {last_place}");
        assert!(place <= MAX_PLACE, "entry {index} fills place {place}, above MAX_PLACE");
        self.entries.push_back((index, place));
    }

    /// The Raft index of the last entry that fills a place up to `round`; 0 if there never was one. `None` if
    /// that entry has been forgotten.
    #[must_use]
    pub fn floor(&self, round: u64) -> Option<u64> {
        let above = self.entries.partition_point(|&(_, place)| place <= round);
        above.checked_sub(1).map(|last| self.entries[last].0)
    }

    /// Removes the entries at and above `index`: a new leader has others (Raft, section 5.3). Panics if that
    /// reaches forgotten entries, which are committed and in a snapshot.
    pub fn truncate_from(&mut self, index: u64) {
        let base = self.entries[0].0;
        assert!(index > base, "compaction_floor: entry {index} is taken back, but entry {base} is compacted");
        self.entries.truncate(self.entries.partition_point(|&(at, _)| at < index));
    }

    /// Forgets the entries below `index`, up to which the log has been compacted. Keeps the last entry at or
    /// below `index`, so that the floor of the snapshot behind the compaction, and of all later ones, can
    /// still be found.
    pub fn forget_below(&mut self, index: u64) {
        let above = self.entries.partition_point(|&(at, _)| at <= index);
        self.entries.drain(..above.saturating_sub(1));
    }

    /// The Raft index up to which the group's log may be compacted, given the rounds of the kept durable
    /// snapshots and the group's own applied index, above which raft-rs does not compact. `None` if nothing
    /// can be compacted.
    ///
    /// ```
    /// use niagara_sequencer::FloorIndex;
    ///
    /// let mut index = FloorIndex::new();
    /// (1..=9).for_each(|i| index.push(i, 10 * i));
    /// assert_eq!(index.compactable(&[40], 9), None, "the older of two is kept, and there is but one");
    /// assert_eq!(index.compactable(&[40, 75], 9), Some(4));
    /// assert_eq!(index.compactable(&[40, 75], 3), Some(3));
    /// ```
    #[must_use]
    pub fn compactable(&self, kept_rounds: &[u64], applied_index: u64) -> Option<u64> {
        let round = compaction_point(kept_rounds)?;
        let above = self.entries.partition_point(|&(at, place)| place <= round && at <= applied_index);
        // If there is only the base, everything up to it has been dropped already.
        (above > 1).then(|| self.entries[above - 1].0)
    }
}

impl Default for FloorIndex {
    fn default() -> Self {
        Self::new()
    }
}

/// The point that logs may be compacted to: that of the older of the last two durable snapshots, whose points are given in rising
/// order, as rounds or as [cuts](crate::epoch::Cut). `None` with fewer than two: a server without a snapshot may then still need
/// everything.
#[must_use]
pub fn compaction_point<T: Copy + Ord>(kept: &[T]) -> Option<T> {
    assert!(kept.is_sorted(), "snapshots are kept in the order of the global log");
    kept.iter().rev().nth(1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: scan the whole log.
    fn naive_floor(log: &[(u64, u64)], round: u64) -> u64 {
        log.iter().filter(|&&(_, place)| place <= round).map(|&(index, _)| index).max().unwrap_or(0)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { index_gap: u64, place_gap: u64 },
        TruncateFrom(u64),
        ForgetBelow(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => (1..4u64, 1..9u64).prop_map(|(index_gap, place_gap)| Step::Push { index_gap, place_gap }),
            1 => (0..100u64).prop_map(Step::TruncateFrom),
            1 => (0..100u64).prop_map(Step::ForgetBelow),
        ]
    }

    proptest! {
        /// After any history, every floor is what a scan of the log finds, or is known to be forgotten.
        #[test]
        fn floors_are_those_of_a_scan(steps in prop::collection::vec(step(), 0..60)) {
            let mut index = FloorIndex::new();
            let mut log: Vec<(u64, u64)> = Vec::new();
            let mut forgotten = 0;
            for step in steps {
                match step {
                    Step::Push { index_gap, place_gap } => {
                        let (last_index, last_place) = log.last().copied().unwrap_or((0, 0));
                        let entry = (last_index.max(forgotten) + index_gap, last_place + place_gap);
                        log.push(entry);
                        index.push(entry.0, entry.1);
                    }
                    Step::TruncateFrom(at) => {
                        let at = at.max(forgotten + 1);
                        log.retain(|entry| entry.0 < at);
                        index.truncate_from(at);
                    }
                    Step::ForgetBelow(at) => {
                        forgotten = forgotten.max(at.min(log.last().map_or(0, |entry| entry.0)));
                        index.forget_below(at.min(forgotten));
                    }
                }
            }
            let base_place = log.iter().rfind(|entry| entry.0 <= forgotten).map_or(0, |entry| entry.1);
            for round in 0..=log.last().map_or(0, |entry| entry.1) + 1 {
                let expected = (round >= base_place).then(|| naive_floor(&log, round));
                prop_assert_eq!(index.floor(round), expected, "round {}", round);
            }
        }

        /// Invariant `compaction_floor`: dropped entries fill places up to the older snapshot, all of which
        /// are applied.
        #[test]
        fn compaction_floor(
            gaps in prop::collection::vec(1..5u64, 1..30),
            (older, newer) in (1..80u64, 0..80u64),
            applied in 0..40u64,
        ) {
            let mut index = FloorIndex::new();
            let mut log = Vec::new();
            let mut place = 0;
            for (at, gap) in (1..).zip(gaps) {
                place += gap;
                index.push(at, place);
                log.push((at, place));
            }
            let may_go = |&&(at, place): &&(u64, u64)| place <= older && at <= applied;
            let last_to_go = log.iter().rfind(may_go).map(|entry| entry.0);
            prop_assert_eq!(index.compactable(&[0, older, older + newer], applied), last_to_go);
            if let Some(to) = last_to_go {
                index.forget_below(to);
                prop_assert_eq!(index.compactable(&[0, older, older + newer], applied), None, "done already");
            }
        }
    }

    #[test]
    fn entries_without_a_slot_stay_above_the_floor() {
        let mut index = FloorIndex::new();
        index.push(1, 1);
        index.push(2, 2);
        // Entries 3 and 4 are a new leader's, and fill no place.
        index.push(5, 3);
        assert_eq!(index.floor(2), Some(2));
        assert_eq!(index.floor(3), Some(5));
    }

    #[test]
    fn a_log_above_a_snapshot_knows_that_snapshots_floor() {
        let mut index = FloorIndex::starting_at(70, 30);
        index.push(72, 31);
        assert_eq!(index.floor(29), None);
        assert_eq!(index.floor(30), Some(70));
        assert_eq!(index.compactable(&[30, 31], 72), None, "the log begins there already");
        assert_eq!(index.compactable(&[31, 40], 72), Some(72));
    }

    #[test]
    #[should_panic(expected = "compaction_floor")]
    fn what_is_compacted_cannot_be_taken_back() {
        let mut index = FloorIndex::starting_at(70, 30);
        index.truncate_from(70);
    }

    #[test]
    #[should_panic(expected = "slots_rise")]
    fn slots_rise() {
        let mut index = FloorIndex::new();
        index.push(1, 5);
        index.push(2, 5);
    }
}
