//! Slots, rounds and global positions.
//!
//! With R groups, place p of group r is *slot (p, r)*; the R slots with the same p are *round p*. The global
//! log takes the rounds in order, and the groups in order within each round, so slot (p, r) has the global
//! position `(p - 1) * R + r`. That is a bijection (invariant `position_bijection`), and it needs no
//! agreement beyond R itself: every server computes the same global log from the same local logs.
//!
//! ```text
//!            round 1   round 2   round 3
//! group 1       1         4         7
//! group 2       2         5         8
//! group 3       3         6         9
//! ```
//!
//! A layout may begin above a *base*, the last position of an earlier layout with another number of groups: then
//! slot (p, r) is at `base + (p - 1) * R + r`.

use std::fmt;

/// The most groups that a layout can have. A server runs one pinned thread for each group, so 1024 exceeds
/// any machine in sight, while what costs O(R) still costs microseconds.
pub const MAX_GROUPS: u16 = 1024;

/// The highest place in any local log; at a million rounds a second, it is reached after 285 years. Check a
/// place from another server or a file against this limit before passing it to this crate, which panics on a
/// higher one.
pub const MAX_PLACE: u64 = 1 << 53;

/// The highest base of a layout.
pub const MAX_BASE: u64 = 1 << 62;

// Arithmetic on checked places cannot overflow: the highest barrier of the largest layout still fits.
const _: () = assert!((MAX_PLACE * (MAX_GROUPS as u64 + 1)).checked_add(MAX_BASE).is_some());

/// Identifies one Raft group: a number r in `1..=R`.
///
/// ```
/// use niagara_sequencer::GroupId;
///
/// let group = GroupId::new(3);
/// assert_eq!(group.get(), 3);
/// assert_eq!(group.index(), 2);
/// assert_eq!(group.to_string(), "3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u16);

impl GroupId {
    /// Group `r`, from 1; panics on 0.
    #[must_use]
    pub const fn new(r: u16) -> Self {
        assert!(r >= 1, "groups are numbered from 1");
        Self(r)
    }

    /// The group's number r, at least 1.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Index of the group in a list of all groups: r - 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in the global log, numbered from 1. Zero, the default, means before the first.
///
/// ```
/// use niagara_sequencer::GlobalPosition;
///
/// assert_eq!(GlobalPosition::default(), GlobalPosition::ZERO);
/// assert!(GlobalPosition::new(7) > GlobalPosition::ZERO);
/// assert_eq!(GlobalPosition::new(7).get(), 7);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct GlobalPosition(u64);

impl GlobalPosition {
    /// Before the first position: what a new server has emitted, applied and acknowledged.
    pub const ZERO: Self = Self(0);

    /// Position `g`; 0 is [`GlobalPosition::ZERO`].
    #[must_use]
    pub const fn new(g: u64) -> Self {
        Self(g)
    }

    /// The position's number g; 0 before the first position.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for GlobalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Place `place` (from 1) of group `group`. Slots are ordered as in the global log.
///
/// ```
/// use niagara_sequencer::{GroupId, Slot};
///
/// let (a, b) = (Slot { place: 1, group: GroupId::new(3) }, Slot { place: 2, group: GroupId::new(1) });
/// assert!(a < b);
/// assert_eq!(b.to_string(), "(2, 1)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The place p in the group's local log, at least 1. Only [`Layout::barrier_above`] accepts place 0, for
    /// a group whose log fills no place yet.
    pub place: u64,
    /// The group r.
    pub group: GroupId,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.place, self.group)
    }
}

/// The number of groups R, the position above which they begin, and all arithmetic on slots and positions.
///
/// ```
/// use niagara_sequencer::{GlobalPosition, GroupId, Layout, Slot};
///
/// let layout = Layout::new(3);
/// let slot = Slot { place: 2, group: GroupId::new(1) };
/// assert_eq!(layout.position_of(slot), GlobalPosition::new(4));
/// assert_eq!(layout.slot_at(GlobalPosition::new(4)), slot);
/// assert_eq!(layout.round_end(2), GlobalPosition::new(6));
///
/// // After two rounds, two groups continue.
/// let next = Layout::above(layout.round_end(2), 2);
/// assert_eq!(next.position_of(slot), GlobalPosition::new(9));
/// assert_eq!(next.slot_at(GlobalPosition::new(9)), slot);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    groups: u16,
    base: u64,
}

impl Layout {
    /// A layout of `groups` groups that begins the global log. Panics unless that is in `1..=MAX_GROUPS`.
    #[must_use]
    pub const fn new(groups: u16) -> Self {
        Self::above(GlobalPosition::ZERO, groups)
    }

    /// A layout of `groups` groups whose first slot follows the position `base`. Panics unless `groups` is in
    /// `1..=MAX_GROUPS`, and `base` at most [`MAX_BASE`].
    #[must_use]
    pub const fn above(base: GlobalPosition, groups: u16) -> Self {
        assert!(groups >= 1, "a layout has at least one group");
        assert!(groups <= MAX_GROUPS, "a layout has at most MAX_GROUPS groups");
        assert!(base.0 <= MAX_BASE, "the base is at most MAX_BASE");
        Self { groups, base: base.0 }
    }

    /// The position before the first slot.
    #[must_use]
    pub const fn base(self) -> GlobalPosition {
        GlobalPosition(self.base)
    }

    /// The number of groups, R.
    #[must_use]
    pub const fn groups(self) -> u16 {
        self.groups
    }

    /// All groups, from 1 to R.
    pub fn group_ids(self) -> impl DoubleEndedIterator<Item = GroupId> {
        (1..=self.groups).map(GroupId)
    }

    /// The global position of `slot`: `base + (p - 1) * R + r`. Panics if the layout has no such slot.
    #[must_use]
    pub const fn position_of(self, slot: Slot) -> GlobalPosition {
        assert!(slot.place >= 1, "places are numbered from 1");
        GlobalPosition(self.barrier_above(Slot { place: slot.place - 1, group: slot.group }).0)
    }

    /// The slot at `position`. Panics at and below the base, where it has no slot.
    #[must_use]
    pub const fn slot_at(self, position: GlobalPosition) -> Slot {
        assert!(position.0 > self.base, "no slot is at or below the base");
        let before = position.0 - self.base - 1;
        let groups = self.groups as u64;
        Slot { place: before / groups + 1, group: GroupId((before % groups) as u16 + 1) }
    }

    /// The slot that follows `slot` in the global log.
    #[must_use]
    pub const fn slot_after(self, slot: Slot) -> Slot {
        if slot.group.0 < self.groups {
            Slot { place: slot.place, group: GroupId(slot.group.0 + 1) }
        } else {
            Slot { place: slot.place + 1, group: GroupId(1) }
        }
    }

    /// The last position of round `round`: `base + p * R`; the base for round 0, before the first.
    #[must_use]
    pub const fn round_end(self, round: u64) -> GlobalPosition {
        assert!(round <= MAX_PLACE, "places end at MAX_PLACE");
        GlobalPosition(self.base + round * self.groups as u64)
    }

    /// The number of rounds that the global log up to `position` completes: the greatest p whose
    /// [`Layout::round_end`] is not above it. Panics below the base.
    #[must_use]
    pub const fn rounds_within(self, position: GlobalPosition) -> u64 {
        assert!(position.0 >= self.base, "no round is below the base");
        (position.0 - self.base) / self.groups as u64
    }

    /// The position of the slot that follows `slot` in the *same* group: `base + p * R + r`. If `p` is the last
    /// committed place of group r (0 if there is none), a strong read waits for all positions below this one.
    #[must_use]
    pub const fn barrier_above(self, slot: Slot) -> GlobalPosition {
        assert!(slot.group.0 <= self.groups, "the layout has no such group");
        GlobalPosition(self.round_end(slot.place).0 + slot.group.0 as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(place: u64, group: u16) -> Slot {
        Slot { place, group: GroupId::new(group) }
    }

    proptest! {
        /// Invariant `position_bijection`, from both sides; and the order is kept.
        #[test]
        fn position_bijection(
            (groups, base) in (1..=MAX_GROUPS, prop_oneof![Just(0), 0..=MAX_BASE]),
            (place, r) in (1..=MAX_PLACE, 0..MAX_GROUPS),
            g: u64,
        ) {
            let layout = Layout::above(GlobalPosition(base), groups);
            let there = slot(place, r % groups + 1);
            let position = layout.position_of(there);
            prop_assert_eq!(layout.slot_at(position), there);
            prop_assert_eq!(layout.slot_after(there), layout.slot_at(GlobalPosition(position.0 + 1)));

            let g = base + g % (layout.round_end(MAX_PLACE).0 - base) + 1;
            let here = layout.slot_at(GlobalPosition(g));
            prop_assert_eq!(layout.position_of(here), GlobalPosition(g));
            prop_assert_eq!(here < there, GlobalPosition(g) < position);
        }

        /// A barrier is just above the slot's next round, and rounds end where they should.
        #[test]
        fn rounds_and_barriers(
            (groups, base) in (1..=MAX_GROUPS, 0..=MAX_BASE),
            (place, r) in (0..MAX_PLACE, 0..MAX_GROUPS),
        ) {
            let layout = Layout::above(GlobalPosition(base), groups);
            let group = r % groups + 1;
            prop_assert_eq!(layout.barrier_above(slot(place, group)), layout.position_of(slot(place + 1, group)));
            prop_assert_eq!(layout.round_end(place + 1), layout.position_of(slot(place + 1, groups)));
            prop_assert_eq!(layout.rounds_within(layout.round_end(place)), place);
            prop_assert_eq!(layout.rounds_within(layout.barrier_above(slot(place, group))), place + u64::from(group == groups));
        }
    }

    #[test]
    fn the_first_positions_go_round_robin() {
        let layout = Layout::new(3);
        let slots: Vec<_> = (1..=7).map(|g| layout.slot_at(GlobalPosition(g))).collect();
        assert_eq!(
            slots,
            [slot(1, 1), slot(1, 2), slot(1, 3), slot(2, 1), slot(2, 2), slot(2, 3), slot(3, 1)]
        );
        assert_eq!(layout.round_end(0), GlobalPosition::ZERO);
        assert_eq!(layout.barrier_above(slot(0, 2)), GlobalPosition(2));
        assert_eq!(layout.group_ids().collect::<Vec<_>>(), [GroupId(1), GroupId(2), GroupId(3)]);
    }

    #[test]
    #[should_panic(expected = "MAX_PLACE")]
    fn a_place_out_of_range_stops_the_process() {
        let _ = Layout::new(2).barrier_above(slot(MAX_PLACE + 1, 1));
    }

    #[test]
    #[should_panic(expected = "no such group")]
    fn a_group_out_of_range_stops_the_process() {
        let _ = Layout::new(2).position_of(slot(1, 3));
    }
}
