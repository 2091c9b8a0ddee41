//! Balance: how much more than its share each group brings to the global log.
//!
//! The merge takes the groups in turn. So under overload a round lasts as long as its fullest entry, and a
//! group that brings fewer bytes leaves its link idle for the rest of it. A server that chooses a group for a
//! command knows only its own commands in flight. But all servers see the same global log, and in it how many
//! bytes each group has brought to each round.
//!
//! A group's **surplus** is the sum of what it has brought to the recent rounds, each less the mean of its
//! round, divided by [`CAUTION`]. Whoever chooses a group counts the surplus as if it were so many bytes in
//! flight there. Thus commands go to the groups that have brought too little, until all bring the same. Then
//! the surpluses stay as they are: they are what keeps the groups even.
//!
//! Under light load, commands that share a group share its entries. So only *full* rounds count: those in which
//! several groups have commands, and the fullest entry has at least half of an entry's size. In every other
//! round, the surpluses fade.

use crate::layout::Slot;

/// One byte too many in each of so many rounds counts as a byte in flight. The effect of a surplus shows
/// in the global log only after a few rounds, and all servers react to it at once, so a faster
/// reaction would overshoot.
pub const CAUTION: i64 = 8;

/// Surpluses fade by one part in so many per round that is not full.
const FADES: u64 = 8;

/// Watches the global log for one server.
///
/// ```
/// use niagara_sequencer::{Balance, GroupId, Slot};
///
/// // Two groups, entries of 64 KiB, and surpluses of 256 KiB at most.
/// let mut balance = Balance::new(2, 64 << 10, 256 << 10);
/// let slot = |place, group| Slot { place, group: GroupId::new(group) };
/// for round in 1..=8 {
///     balance.merged(slot(round, 1), 64 << 10);
///     balance.merged(slot(round, 2), 32 << 10);
/// }
/// // The eighth round may not be complete.
/// assert_eq!(balance.surpluses().collect::<Vec<_>>(), [28 << 10, 0], "a mean of 48 KiB, and 32 KiB apart");
/// ```
#[derive(Clone, Debug)]
pub struct Balance {
    groups: Vec<Share>,
    /// The round of the latest commands.
    place: u64,
    /// The least bytes of the fullest entry of a full round.
    full: u64,
    most: i64,
}

/// What one group brings.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Bytes in the latest round.
    bytes: u64,
    /// The surplus, times the number of groups and [`CAUTION`], so that no byte is lost to rounding.
    scaled: i64,
}

impl Balance {
    /// For `groups` groups with entries of `entry_bytes`. The surpluses of two groups never differ by more than
    /// `most` bytes.
    #[must_use]
    pub fn new(groups: u16, entry_bytes: u64, most: u64) -> Self {
        let scale = i64::from(groups) * CAUTION;
        let most = i64::try_from(most).unwrap_or(i64::MAX).saturating_mul(scale) / 2;
        Self {
            groups: vec![Share::default(); groups.into()],
            place: 0,
            full: entry_bytes.div_ceil(2).max(1),
            most,
        }
    }

    /// Takes the next slot with commands, and the bytes of these. Slots come in the order of the global log;
    /// no-ops are left out.
    pub fn merged(&mut self, slot: Slot, bytes: u64) {
        if slot.place != self.place {
            self.end_round();
            self.place = slot.place;
        }
        self.groups[slot.group.index()].bytes += bytes;
    }

    /// The surplus of each group in bytes, beyond the least of them, in the order of the groups.
    pub fn surpluses(&self) -> impl ExactSizeIterator<Item = u64> {
        let least = self.groups.iter().map(|group| group.scaled).min().unwrap_or(0);
        let scale = self.scale();
        self.groups.iter().map(move |group| ((group.scaled - least) / scale) as u64)
    }

    fn scale(&self) -> i64 {
        self.groups.len() as i64 * CAUTION
    }

    fn end_round(&mut self) {
        let fullest = self.groups.iter().map(|group| group.bytes).max().unwrap_or(0);
        let busy = self.groups.iter().filter(|group| group.bytes > 0).count();
        let (count, total) =
            (self.groups.len() as i64, self.groups.iter().map(|group| group.bytes as i64).sum::<i64>());
        let is_full = busy > 1 && fullest >= self.full;
        for group in &mut self.groups {
            let bytes = std::mem::take(&mut group.bytes) as i64;
            group.scaled = match is_full {
                true => (group.scaled + count * bytes - total).clamp(-self.most, self.most),
                false => {
                    let faded = group.scaled.unsigned_abs().div_ceil(FADES) as i64;
                    group.scaled - group.scaled.signum() * faded
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::GroupId;

    const ENTRY: u64 = 64 << 10;
    const MOST: u64 = 4 * ENTRY;

    /// Rounds, each with the bytes of each group; 0 for a no-op.
    fn after(groups: u16, rounds: &[Vec<u64>]) -> Balance {
        let mut balance = Balance::new(groups, ENTRY, MOST);
        for (place, round) in (1..).zip(rounds) {
            for (group, bytes) in (1..).zip(round).filter(|(_, bytes)| **bytes > 0) {
                balance.merged(Slot { place, group: GroupId::new(group) }, *bytes);
            }
        }
        balance.end_round();
        balance
    }

    fn surpluses(balance: &Balance) -> Vec<u64> {
        balance.surpluses().collect()
    }

    fn rounds(groups: u16) -> impl Strategy<Value = Vec<Vec<u64>>> {
        let entry = prop_oneof![Just(0), 1..=ENTRY];
        prop::collection::vec(prop::collection::vec(entry, usize::from(groups)), 0..50)
    }

    #[test]
    fn a_group_that_takes_everything_alone_has_no_surplus() {
        assert_eq!(surpluses(&after(3, &vec![vec![0, ENTRY, 0]; 100])), [0, 0, 0]);
    }

    #[test]
    fn rounds_of_small_entries_make_no_difference() {
        assert_eq!(surpluses(&after(2, &vec![vec![ENTRY / 4, 100]; 100])), [0, 0]);
    }

    #[test]
    fn a_surplus_is_bounded_however_long_it_lasts_and_goes_as_fast_as_it_came() {
        let mut rounds = vec![vec![ENTRY, 1]; 10_000];
        assert_eq!(surpluses(&after(2, &rounds)), [MOST, 0]);
        rounds.extend(vec![vec![1, ENTRY]; 33]);
        let [first, second] = surpluses(&after(2, &rounds))[..] else { panic!("two groups") };
        assert!(first == 0 && second < ENTRY / CAUTION as u64, "{first} {second}");
    }

    proptest! {
        #[test]
        fn even_rounds_change_nothing(before in rounds(4), bytes in ENTRY / 2..=ENTRY) {
            let one = surpluses(&after(4, &before));
            let mut more = before;
            more.extend(vec![vec![bytes; 4]; 10]);
            prop_assert_eq!(surpluses(&after(4, &more)), one);
        }

        #[test]
        fn light_rounds_end_every_surplus(before in rounds(4)) {
            let mut more = before;
            more.extend(vec![vec![100, 0, 0, 0]; 300]);
            prop_assert_eq!(surpluses(&after(4, &more)), [0, 0, 0, 0]);
        }

        #[test]
        fn they_are_bounded_and_the_least_is_none(before in rounds(4)) {
            let all = surpluses(&after(4, &before));
            prop_assert_eq!(all.iter().min(), Some(&0));
            prop_assert!(all.iter().all(|surplus| *surplus <= MOST), "{all:?}");
        }

        /// Rules are the same for all groups.
        #[test]
        fn groups_can_be_renamed(before in rounds(3), shift in 0..3usize) {
            let mut renamed = before.clone();
            renamed.iter_mut().for_each(|round| round.rotate_left(shift));
            let mut all = surpluses(&after(3, &before));
            all.rotate_left(shift);
            prop_assert_eq!(surpluses(&after(3, &renamed)), all);
        }
    }
}
