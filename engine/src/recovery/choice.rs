//! Which of several copies of a group's log to continue from.

use niagara_log::EntryId;

use crate::planted::{self, Bug};

/// What a copy of a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copy {
    /// Last entry that is compacted away.
    pub floor: EntryId,
    /// Last entry; the floor if there is none above it.
    pub last: EntryId,
    /// Term of the entry at the snapshot's floor, if the log reaches that far back and ahead.
    pub term_at_base: Option<u64>,
}

/// What to continue a group from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The snapshot holds all that is known of the group.
    Snapshot,
    /// The copy with this index, above the snapshot's floor.
    Copy(usize),
    /// The copy with this index holds more, but begins above the snapshot's floor: what lies between is missing.
    OutOfReach(usize),
}

/// Chooses the copy that a voter would prefer: the one with the latest last entry, by term, then by index (Raft, section
/// 5.4.1). `base` is the last entry of this group that the snapshot holds.
///
/// Whatever one of the copies knows to be committed is in the chosen one, too. An entry that was committed in term t is in the
/// log of every leader of a later term (leader completeness). So it is in any log whose last entry has a later term, since that
/// entry came from such a leader, and in any longer log of the same term.
pub(super) fn choose(base: EntryId, copies: &[Copy]) -> Choice {
    // One from before the snapshot was received lacks its floor, and is superseded.
    let continues = |copy: &Copy| copy.floor.index <= base.index && copy.term_at_base == Some(base.term);
    let best = pick(copies, continues).filter(|best| rank(copies[*best].last) > rank(base));
    let reached = best.map_or(rank(base), |best| rank(copies[best].last));
    match pick(copies, |copy| copy.floor.index > base.index) {
        Some(beyond) if rank(copies[beyond].last) > reached => Choice::OutOfReach(beyond),
        _ => best.map_or(Choice::Snapshot, Choice::Copy),
    }
}

/// The latest of those copies, the first of equals.
fn pick(copies: &[Copy], which: impl Fn(&Copy) -> bool) -> Option<usize> {
    let those = (0..copies.len()).rev().filter(|index| which(&copies[*index]));
    those.max_by_key(|index| rank(copies[*index].last))
}

fn rank(last: EntryId) -> (u64, u64) {
    if planted::is(Bug::LongestLogRecovered) {
        return (last.index, last.term);
    }
    (last.term, last.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> EntryId {
        EntryId { index, term }
    }

    fn copy(last: EntryId) -> Copy {
        Copy { floor: EntryId::default(), last, term_at_base: Some(0) }
    }

    #[test]
    fn the_latest_term_wins_then_the_longest_log() {
        let nothing = EntryId::default();
        assert_eq!(choose(nothing, &[copy(entry(9, 1)), copy(entry(3, 2))]), Choice::Copy(1));
        assert_eq!(choose(nothing, &[copy(entry(9, 2)), copy(entry(3, 2))]), Choice::Copy(0));
        assert_eq!(choose(nothing, &[copy(nothing)]), Choice::Snapshot);
        assert_eq!(choose(nothing, &[]), Choice::Snapshot);
    }

    #[test]
    fn a_log_from_before_the_snapshot_is_superseded() {
        let base = entry(10, 3);
        let old = Copy { term_at_base: None, ..copy(entry(7, 2)) };
        let branched_off = Copy { term_at_base: Some(2), ..copy(entry(12, 2)) };
        assert_eq!(choose(base, &[old, branched_off]), Choice::Snapshot);
        let ahead = Copy { term_at_base: Some(3), ..copy(entry(12, 3)) };
        assert_eq!(choose(base, &[old, ahead]), Choice::Copy(1));
    }

    #[test]
    fn a_log_that_begins_above_the_snapshot_is_out_of_reach_unless_another_holds_as_much() {
        let base = entry(10, 3);
        let above = Copy { floor: entry(11, 3), last: entry(20, 3), term_at_base: None };
        assert_eq!(choose(base, &[above]), Choice::OutOfReach(0));
        let whole = Copy { term_at_base: Some(3), ..copy(entry(20, 3)) };
        assert_eq!(choose(base, &[whole, above]), Choice::Copy(0));
        assert_eq!(choose(base, &[above, whole]), Choice::Copy(1));
    }
}
