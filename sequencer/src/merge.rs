//! The merge: R local logs in, one global log out, slot by slot.
//!
//! The merge emits slot (1, 1), (1, 2) .. (1, R), (2, 1) and so on. It waits for a slot until that group's
//! log is known to have filled or passed it, whatever the other logs hold. So its output depends on the local
//! logs alone, never on the order in which they arrive (invariant `global_prefix`). Places that a log leaves
//! out are no-ops.
//!
//! Only commands take memory and time. A skip merely raises the place up to which its group is known, and a
//! run of no-ops is emitted as one value, however many slots and rounds it spans.
//!
//! A merge can be told to [end](Merge::end_after) after a round. Slots of later rounds are *void*: they are not
//! part of the global log, whatever they hold.

use std::collections::VecDeque;

use crate::layout::{GlobalPosition, GroupId, Layout, MAX_PLACE, Slot};

/// What an entry of a local log puts into the slots that it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill<T> {
    /// Commands at the entry's own place; the places left out before it are no-ops.
    Commands(T),
    /// No-ops in every place of the group up to and including the entry's.
    Skip,
}

/// The next piece of the global log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitted<T> {
    /// One slot with commands.
    Commands {
        /// Position in the global log.
        position: GlobalPosition,
        /// The item pushed for the slot.
        item: T,
    },
    /// A run of no-ops at the `count` positions from `first` on. The run is maximal: commands follow it, or a
    /// slot that is not known yet.
    Noops {
        /// First position of the run.
        first: GlobalPosition,
        /// Number of positions, at least 1.
        count: u64,
    },
}

/// Merges the committed entries of all local logs. Feed it with [`push`](Merge::push), and poll
/// [`next`](Merge::next).
///
/// ```
/// use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge};
///
/// let mut merge = Merge::new(Layout::new(2));
/// merge.push(GroupId::new(2), 1, Fill::Commands('b'));
/// assert_eq!(merge.next(), None, "group 1 goes first");
/// assert_eq!(merge.awaited().group, GroupId::new(1));
///
/// merge.push(GroupId::new(1), 1, Fill::Commands('a'));
/// assert_eq!(merge.next(), Some(Emitted::Commands { position: GlobalPosition::new(1), item: 'a' }));
/// assert_eq!(merge.next(), Some(Emitted::Commands { position: GlobalPosition::new(2), item: 'b' }));
/// assert_eq!(merge.next(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Merge<T> {
    layout: Layout,
    lanes: Vec<GroupQueue<T>>,
    /// The first slot that has not been emitted.
    awaited: Slot,
    /// The position before `awaited`, kept so that a slot costs no multiplication.
    emitted: u64,
    /// Everything up to this round was emitted before this merge started.
    resumed: u64,
    /// The last round that belongs to the global log, if that is known.
    last_round: Option<u64>,
    anchor: GroupId,
}

/// What the merge holds of one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct GroupQueue<T> {
    /// Commands that are pushed but not emitted, by rising place.
    held: VecDeque<(u64, T)>,
    /// The last pushed place; everything up to it is known.
    last: u64,
}

impl<T> GroupQueue<T> {
    /// The first place, at or above the merge's, that is not known to be a no-op: it holds commands, or is
    /// open.
    fn noops_end(&self, resumed: u64) -> u64 {
        match self.held.front() {
            Some(&(place, _)) => place,
            None => self.last.max(resumed) + 1,
        }
    }
}

impl<T> Merge<T> {
    /// A merge that starts with an empty global log.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self::resume(layout, 0, GroupId::new(1))
    }

    /// A merge that resumes after round `rounds_done`, that of a snapshot, whose latest commands were in
    /// group `anchor`. Panics if the round is above [`MAX_PLACE`].
    #[must_use]
    pub fn resume(layout: Layout, rounds_done: u64, anchor: GroupId) -> Self {
        let emitted = layout.round_end(rounds_done);
        Self {
            layout,
            lanes: layout.group_ids().map(|_| GroupQueue { held: VecDeque::new(), last: 0 }).collect(),
            awaited: Slot { place: rounds_done + 1, group: GroupId::new(1) },
            emitted: emitted.get(),
            resumed: rounds_done,
            last_round: None,
            anchor,
        }
    }

    /// Ends the global log after `round`: the rest of that round is merged as ever, and later slots are void. Call
    /// it when the commands that say so have been emitted. Panics if later slots have been emitted, or another end
    /// was set.
    ///
    /// ```
    /// use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge};
    ///
    /// let mut merge = Merge::new(Layout::new(2));
    /// merge.push(GroupId::new(1), 1, Fill::Commands("the last"));
    /// merge.push(GroupId::new(2), 9, Fill::Skip);
    /// merge.push(GroupId::new(1), 2, Fill::Commands("too late"));
    /// assert!(merge.next().is_some());
    /// merge.end_after(1);
    /// assert_eq!(merge.next(), Some(Emitted::Noops { first: GlobalPosition::new(2), count: 1 }));
    /// assert!(merge.has_ended() && merge.next().is_none());
    /// ```
    pub fn end_after(&mut self, round: u64) {
        let first_void = Slot { place: round + 1, group: GroupId::new(1) };
        assert!(
            self.awaited <= first_void,
            "global_prefix: {} is beyond the last round, {round}",
            self.awaited
        );
        assert!(self.last_round.is_none_or(|last| last == round), "global_prefix: a log ends once");
        self.last_round = Some(round);
    }

    /// Whether everything up to the [end](Merge::end_after) has been emitted.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.last_round.is_some_and(|last| self.awaited.place > last)
    }

    /// Takes the next committed entry of `group`'s log that fills places, at `place`. Ignores entries at or
    /// below the round that the merge resumed from: a log may begin below the snapshot.
    ///
    /// Panics unless `place` is above all places pushed for the group before (invariant `slots_rise`): a
    /// local log that goes back would let two servers' global logs differ.
    pub fn push(&mut self, group: GroupId, place: u64, fill: Fill<T>) {
        let lane = &mut self.lanes[group.index()];
        assert!(place > lane.last, "slots_rise: group {group} fills place {place} after place {}", lane.last);
        assert!(place <= MAX_PLACE, "group {group} fills place {place}, above MAX_PLACE");
        lane.last = place;
        if let Fill::Commands(item) = fill
            && place > self.resumed
        {
            lane.held.push_back((place, item));
        }
    }

    /// The next piece of the global log, or `None` while the awaited slot is open. Costs O(1) for commands
    /// and for `None`, and O(min(slots, R)) for a run of no-ops.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator's does not")]
    pub fn next(&mut self) -> Option<Emitted<T>> {
        if self.has_ended() {
            return None;
        }
        let Slot { place, group } = self.awaited;
        let Some((_, item)) = self.lanes[group.index()].held.pop_front_if(|held| held.0 == place) else {
            return self.next_noops();
        };
        self.emitted += 1;
        self.awaited = self.layout.slot_after(self.awaited);
        self.anchor = group;
        Some(Emitted::Commands { position: self.emitted(), item })
    }

    /// The run of no-ops that starts at the awaited slot, if any.
    fn next_noops(&mut self) -> Option<Emitted<T>> {
        let mut end = self.noops_end();
        if let Some(last) = self.last_round {
            end = end.min(Slot { place: last + 1, group: GroupId::new(1) });
        }
        if end == self.awaited {
            return None;
        }
        let first = GlobalPosition::new(self.emitted + 1);
        let count = self.layout.position_of(end).get() - first.get();
        self.emitted += count;
        self.awaited = end;
        Some(Emitted::Noops { first, count })
    }

    /// The first slot, from the awaited one on, that is not known to be a no-op.
    ///
    /// Walks once through the groups in slot order and asks each where its no-ops end. If they end at the
    /// very slot that the walk has reached, that is the answer, so a short run costs as many steps as it has
    /// slots. A run that outlasts the walk ends at the least of the R ends, without a walk from slot to slot.
    fn noops_end(&self) -> Slot {
        let mut slot = self.awaited;
        let mut least = Slot { place: u64::MAX, group: slot.group };
        for _ in 0..self.layout.groups() {
            let end =
                Slot { place: self.lanes[slot.group.index()].noops_end(self.resumed), group: slot.group };
            assert!(end >= slot, "global_prefix: the merge stands at {slot}, behind which {end} is open");
            if end == slot {
                return slot;
            }
            least = least.min(end);
            slot = self.layout.slot_after(slot);
        }
        least
    }

    /// The slot that the merge waits for, or is about to emit.
    #[must_use]
    pub fn awaited(&self) -> Slot {
        self.awaited
    }

    /// The last emitted position.
    #[must_use]
    pub fn emitted(&self) -> GlobalPosition {
        GlobalPosition::new(self.emitted)
    }

    /// How many of `group`'s entries with commands are pushed but not emitted. Skips are not held.
    #[must_use]
    pub fn queued(&self, group: GroupId) -> usize {
        self.lanes[group.index()].held.len()
    }

    /// The highest place of commands that the merge holds, in any group; all of them are at or after the
    /// awaited slot. A stuck merge sends it to the leader of the awaited group, which may not have heard of
    /// these commands. A log that ends has to be filled up to its last round. Costs O(R).
    #[must_use]
    pub fn held_level(&self) -> Option<u64> {
        let held = self.lanes.iter().filter_map(|lane| lane.held.back()).map(|held| held.0).max();
        held.max(self.last_round)
    }

    /// The anchor: the group of the latest emitted commands; group 1 if there were none. See
    /// [`padding`](crate::padding).
    #[must_use]
    pub fn anchor(&self) -> GroupId {
        self.anchor
    }
}

#[cfg(test)]
mod tests;
