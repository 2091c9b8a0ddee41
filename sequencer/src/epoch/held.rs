//! Held: whether a server's disk alone leads it to the end of an epoch.

use super::chain::Chain;
use super::cut::Cut;
use super::record::{Epoch, Record};
use crate::layout::GroupId;

/// What a server's disk has of a group's log, in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Entries that fill places up to here may be gone: a snapshot replaces them. 0 if the log is there from its beginning.
    pub gone: u64,
    /// The place of the last entry that is known to be committed and is written durably; 0 if there is none. A place beyond the
    /// end of the epoch counts: that entry proves that the slots before it are no-ops.
    pub proven: u64,
}

/// The first group of an epoch whose log does not lead from the end of round `from` to the end of round `to`. `logs` are in the
/// order of the groups.
///
/// ```
/// use niagara_sequencer::GroupId;
/// use niagara_sequencer::epoch::{OnDisk, gap_below};
///
/// let logs = [OnDisk { gone: 3, proven: 9 }, OnDisk { gone: 5, proven: 8 }];
/// assert_eq!(gap_below(5, 8, logs), None);
/// assert_eq!(gap_below(4, 8, logs), Some(GroupId::new(2)), "its place 5 may be gone");
/// assert_eq!(gap_below(5, 9, logs), Some(GroupId::new(2)), "nothing proves what its place 9 holds");
/// ```
#[must_use]
pub fn gap_below(from: u64, to: u64, logs: impl IntoIterator<Item = OnDisk>) -> Option<GroupId> {
    let leads = |log: OnDisk| log.gone <= from && log.proven >= to;
    logs.into_iter().zip(1..).find(|(log, _)| !leads(*log)).map(|(_, group)| GroupId::new(group))
}

/// Whether `epoch`, which the chain says has ended, is *held*: from its own disk alone, this server can come to its end. Then,
/// and not before, it may start the next one. Merged is not enough, nor is committed: a quorum that commits in the next epoch must
/// not lose what was acknowledged in this one if it restarts, with nobody else left.
///
/// `kept` are the cuts of the durable, checked snapshots, the older first. One at or beyond the end suffices. Else the logs must
/// lead there from the *older* one on, since a start falls back on that if the newer turns out to be damaged. `logs` says what the
/// disk has of a group.
///
/// ```
/// use niagara_sequencer::epoch::{Chain, Cut, Epoch, OnDisk, Terms, is_held};
///
/// let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
/// let mut chain = Chain::genesis(terms(2)).expect("two groups");
/// chain.extend(9, terms(1)).expect("one group");
///
/// let cut = |round| Cut { epoch: Epoch::FIRST, round };
/// let held = |kept: &[Cut], gone, proven| is_held(kept, Epoch::FIRST, &chain, |_, _| OnDisk { gone, proven });
/// assert!(held(&[], 0, 9) && !held(&[], 0, 8));
/// assert!(held(&[cut(4), cut(6)], 4, 9) && !held(&[cut(4), cut(6)], 5, 9));
/// assert!(held(&[cut(4), Cut::start_of(Epoch::new(2))], 5, 0));
/// ```
#[must_use]
pub fn is_held(
    kept: &[Cut],
    epoch: Epoch,
    chain: &Chain,
    mut logs: impl FnMut(Epoch, GroupId) -> OnDisk,
) -> bool {
    if kept.last().is_some_and(|newest| newest.epoch > epoch) {
        return true;
    }
    let from = kept.first().copied().unwrap_or(Cut::start_of(Epoch::FIRST));
    let since = |record: &&Record| (from.epoch..=epoch).contains(&record.epoch);
    chain.links().iter().map(|link| &link.record).filter(since).all(|record| {
        let Some(last_round) = chain.last_round(record.epoch) else { return false };
        let from = if record.epoch == from.epoch { from.round } else { 0 };
        let logs = record.layout().group_ids().map(|group| logs(record.epoch, group));
        gap_below(from, last_round, logs).is_none()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::Layout;
    use crate::merge::{Fill, Merge};

    /// The places that a log's entries fill, whether each is a skip, how many of them are gone, and how many are on disk.
    type Log = (Vec<(u64, bool)>, usize, usize);

    fn log() -> impl Strategy<Value = Log> {
        (prop::collection::vec((1..4u64, any::<bool>()), 0..12), 0..6usize, 0..13usize).prop_map(
            |(gaps, gone, disk)| {
                let place = |place: &mut u64, (gap, skip): (u64, bool)| {
                    *place += gap;
                    Some((*place, skip))
                };
                let entries: Vec<(u64, bool)> = gaps.into_iter().scan(0, place).collect();
                let disk = disk.min(entries.len());
                (entries, gone.min(disk), disk)
            },
        )
    }

    proptest! {
        /// There is no gap exactly if a merge that resumes there comes to the end with what the disk has, and nothing that it
        /// needs is gone.
        #[test]
        fn a_merge_of_what_the_disk_has_comes_to_the_end(
            logs in prop::collection::vec(log(), 1..4),
            (from, more) in (0..8u64, 1..8u64),
        ) {
            let to = from + more;
            let mut merge = Merge::resume(Layout::new(logs.len() as u16), from, GroupId::new(1));
            merge.end_after(to);
            let mut needed_is_gone = false;
            for (group, (entries, gone, disk)) in (1..).map(GroupId::new).zip(&logs) {
                for (place, skip) in &entries[*gone..*disk] {
                    merge.push(group, *place, if *skip { Fill::Skip } else { Fill::Commands(()) });
                }
                needed_is_gone |= entries[..*gone].last().is_some_and(|last| last.0 > from);
            }
            while merge.next().is_some() {}
            let on_disk = |(entries, gone, disk): &Log| {
                let last = |upto: usize| entries[..upto].last().map_or(0, |entry| entry.0);
                OnDisk { gone: last(*gone), proven: last(*disk) }
            };
            let gap = gap_below(from, to, logs.iter().map(on_disk));
            prop_assert_eq!(gap.is_none(), merge.has_ended() && !needed_is_gone);
        }
    }
}
