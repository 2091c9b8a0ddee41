//! Padding: slots are a Lamport clock, and skips keep quiet groups level with it.
//!
//! The merge waits for every slot, so a group without commands would hold up all others. The paper pads it
//! with no-ops: a leader whose log is shorter than the longest by `c_max - c_l` proposes that many (Deyerl
//! and Distler, PaPoC 2019). As a *count*, that fails while no-ops are still in flight: the leader looks
//! again, sees the same difference, and proposes the same number once more. Here padding is a *level*:
//!
//! - The **level** is the highest place of commands seen in any local log, including entries that are only
//!   appended: so padding travels alongside the replication of the commands instead of after it. Skips do not
//!   raise the level, else they would answer each other.
//! - A leader gives its next commands the place [`next_place`]: above its own log, and not below the level.
//!   So the commands of a busy group keep it level with the others.
//! - A leader whose log ends below the level proposes one entry that fills every place up to the level with
//!   no-ops: a *skip*, as in Mencius and Multi-Ring Paxos. Proposing it twice is pointless, but harmless.
//! - An **idle** leader skips ahead of the level, by [`SKIP_AHEAD_ROUNDS`], so that commands of other groups
//!   find its slots passed already and do not wait a round trip for them.
//! - One group, the **anchor** ([`Merge::anchor`](crate::Merge::anchor)), never skips ahead of the level, so
//!   that the frontier of the global log stays where the commands are, and strong reads have a group to ask.
//!
//! Why this ends (invariant `pads_are_bounded`): after a skip, [`Padding::skip_to`] returns `None` until the
//! level rises or the leader is no longer the anchor, and either takes a command of another group. If all
//! leaders learn of both at once, each command entry costs any other group at most one skip. If a leader
//! learns of the level first, and only later that the anchor has moved on, at most two. An idle group that is
//! ahead skips once every 500 rounds.

/// How far an idle leader skips beyond the level, in rounds. Far enough that a group with commands in every
/// round, which makes thousands of rounds a second, costs an idle one only a few skips a second. A skip costs
/// the same whatever its length, and so does the run of no-ops that the merge makes of it.
pub const SKIP_AHEAD_ROUNDS: u64 = 1000;

/// A group that skips ahead does so again when it is less than this far ahead. At half the distance, the next
/// skip has the time of 500 rounds to commit before anyone would wait for it.
const REFILL_BELOW_ROUNDS: u64 = SKIP_AHEAD_ROUNDS / 2;

/// The place of a leader's next commands: above `last`, the last place that its own log fills, and not below
/// `level`.
///
/// ```
/// use niagara_sequencer::next_place;
///
/// assert_eq!(next_place(4, 9), 9, "joins the others in their round");
/// assert_eq!(next_place(9, 9), 10, "every place once");
/// ```
#[must_use]
pub fn next_place(last: u64, level: u64) -> u64 {
    level.max(last + 1)
}

/// What a leader without commands knows when it decides whether to pad.
///
/// ```
/// use niagara_sequencer::Padding;
///
/// let padding = Padding { last: 3, level: 8, ahead: false };
/// assert_eq!(padding.skip_to(), Some(8));
/// assert_eq!(Padding { last: 8, ..padding }.skip_to(), None, "one skip is enough");
/// assert_eq!(Padding { last: 8, ahead: true, ..padding }.skip_to(), Some(1008));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// The last place that its own log fills, with commands or a skip, committed or not; 0 if none.
    pub last: u64,
    /// The highest place of commands seen in any log; 0 if none.
    pub level: u64,
    /// Whether it may skip ahead of the level: its group is not the anchor, and it is idle. Idle means that
    /// no commands wait to be cut, and none of its own are on their way to the global log: until the merge
    /// has reached those, the group is about to become the anchor.
    pub ahead: bool,
}

impl Padding {
    /// The place up to which to propose a skip now; `None` for no skip. An empty global log is not padded.
    #[must_use]
    pub fn skip_to(&self) -> Option<u64> {
        (self.level >= self.wake_at()).then(|| self.level + if self.ahead { SKIP_AHEAD_ROUNDS } else { 0 })
    }

    /// The least level at which [`skip_to`](Padding::skip_to) would return a skip, whatever the level is now:
    /// a sleeping leader need not be woken before.
    #[must_use]
    pub fn wake_at(&self) -> u64 {
        let slack = if self.ahead { REFILL_BELOW_ROUNDS } else { 0 };
        (self.last + 1).saturating_sub(slack).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_cluster_is_not_padded() {
        for ahead in [false, true] {
            assert_eq!(Padding { last: 0, level: 0, ahead }.skip_to(), None);
        }
    }

    #[test]
    fn a_busy_anchor_costs_an_idle_group_a_skip_per_500_rounds() {
        let mut padding = Padding { last: 0, level: 0, ahead: true };
        let mut skips = Vec::new();
        for level in 1..=2_500 {
            padding.level = level;
            if let Some(target) = padding.skip_to() {
                skips.push((level, target));
                padding.last = target;
            }
        }
        assert_eq!(skips, [(1, 1001), (502, 1502), (1003, 2003), (1504, 2504), (2005, 3005)]);
    }

    proptest! {
        /// The rule as the module states it, against the shared formula that computes it.
        #[test]
        fn skip_to_is_the_rule(last in 0..5000u64, level in 0..5000u64) {
            let level_only = Padding { last, level, ahead: false }.skip_to();
            prop_assert_eq!(level_only, (last < level).then_some(level));
            let ahead = Padding { last, level, ahead: true }.skip_to();
            prop_assert_eq!(ahead, (level > 0 && last < level + 500).then_some(level + 1000));
        }

        #[test]
        fn wake_at_is_the_least_level_that_wants_a_skip(last in 0..5000u64, level in 0..5000u64, ahead: bool) {
            let wake_at = Padding { last, level, ahead }.wake_at();
            let wants = |level| Padding { last, level, ahead }.skip_to().is_some();
            prop_assert!(wants(wake_at));
            prop_assert!(!wants(wake_at - 1));
        }

        #[test]
        fn a_skip_silences_itself(last in 0..5000u64, level in 0..5000u64, ahead: bool) {
            let padding = Padding { last, level, ahead };
            if let Some(target) = padding.skip_to() {
                prop_assert!(target > last);
                prop_assert_eq!(Padding { last: target, ..padding }.skip_to(), None);
                prop_assert_eq!(Padding { last: target, ahead: false, ..padding }.skip_to(), None);
            }
        }

        #[test]
        fn the_next_place_rises_and_reaches_the_level(last in 0..5000u64, level in 0..5000u64) {
            let place = next_place(last, level);
            prop_assert!(place > last && place >= level);
            prop_assert!(place == last + 1 || place == level, "no higher than need be");
        }
    }
}
