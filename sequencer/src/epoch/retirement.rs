//! Retirement: when an epoch's logs may go, and a server that is no member any more.

use super::chain::Chain;
use super::cut::Cut;
use super::record::Epoch;

/// Snapshots that a server keeps. A start falls back on the older one.
const KEPT: usize = 2;

/// Whether the groups of `epoch` may be closed: no votes any more, no logs. Both snapshots that are kept must be at or beyond its
/// end, or a start that falls back on the older one would need the logs. This needs no quorum: whoever is behind takes a
/// snapshot.
///
/// ```
/// use niagara_sequencer::epoch::{Cut, Epoch, may_close};
///
/// let cut = |epoch, round| Cut { epoch: Epoch::new(epoch), round };
/// assert!(!may_close(Epoch::FIRST, &[cut(1, 700), cut(2, 0)]));
/// assert!(may_close(Epoch::FIRST, &[cut(2, 0), cut(2, 1)]));
/// assert!(!may_close(Epoch::FIRST, &[cut(2, 0)]), "nothing is there to fall back on");
/// ```
#[must_use]
pub fn may_close(epoch: Epoch, kept: &[Cut]) -> bool {
    kept.len() >= KEPT && kept.iter().all(|cut| cut.epoch > epoch)
}

/// Whether a snapshot is due for the sake of retirement, whatever has been written since the last one: an epoch is over but not
/// closed, and another snapshot `at` the cut where the merge stands brings its closing nearer. `open` is the first epoch that is not
/// closed.
///
/// ```
/// use niagara_sequencer::epoch::{Cut, Epoch, snapshot_is_due};
///
/// let cut = |epoch, round| Cut { epoch: Epoch::new(epoch), round };
/// assert!(!snapshot_is_due(Epoch::FIRST, cut(1, 900), &[cut(1, 700)]), "nothing is over");
/// assert!(snapshot_is_due(Epoch::FIRST, cut(2, 0), &[cut(1, 700)]), "at the end of an epoch, at once");
/// assert!(!snapshot_is_due(Epoch::FIRST, cut(2, 0), &[cut(1, 700), cut(2, 0)]), "there is one already");
/// assert!(snapshot_is_due(Epoch::FIRST, cut(2, 1), &[cut(1, 700), cut(2, 0)]));
/// assert!(!snapshot_is_due(Epoch::FIRST, cut(2, 2), &[cut(2, 0), cut(2, 1)]), "it can be closed");
/// ```
#[must_use]
pub fn snapshot_is_due(open: Epoch, at: Cut, kept: &[Cut]) -> bool {
    at.epoch > open && !may_close(open, kept) && kept.last().is_none_or(|newest| *newest < at)
}

/// Whether the leaders of the `running` epoch should fill a round although nobody has written anything: an epoch is over but not
/// closed, and this server needs another snapshot to close it, for which its merge stands at no cut. `at` is the cut where the
/// merge stands, `None` amid a round. Without this, a cluster that falls idle never closes an epoch.
///
/// ```
/// use niagara_sequencer::epoch::{Cut, Epoch, round_wanted};
///
/// let second = Epoch::new(2);
/// let cut = |epoch, round| Cut { epoch: Epoch::new(epoch), round };
/// assert!(!round_wanted(Epoch::FIRST, second, Some(cut(2, 0)), &[cut(1, 700)]), "a snapshot is due here");
/// assert!(round_wanted(Epoch::FIRST, second, Some(cut(2, 0)), &[cut(1, 700), cut(2, 0)]));
/// assert!(round_wanted(Epoch::FIRST, second, None, &[cut(1, 700), cut(2, 0)]));
/// assert!(!round_wanted(Epoch::FIRST, second, None, &[cut(2, 0), cut(2, 1)]), "it can be closed");
/// ```
#[must_use]
pub fn round_wanted(open: Epoch, running: Epoch, at: Option<Cut>, kept: &[Cut]) -> bool {
    running > open && !may_close(open, kept) && at.is_none_or(|at| !snapshot_is_due(open, at, kept))
}

/// Whether a server that the newest epoch of its chain has removed may stop: a quorum of that epoch's members has `started` it, so
/// they hold all that was before, durably. Until then it votes, and hands out what it has. It needs no snapshot for that.
///
/// ```
/// use niagara_sequencer::epoch::{Chain, Terms, may_stop};
///
/// let terms = |members: &[u64]| Terms { groups: 1, members: members.to_vec(), level: 1, ..Terms::default() };
/// let mut chain = Chain::genesis(terms(&[1, 2, 3])).expect("three members");
/// chain.extend(5, terms(&[2, 3, 4])).expect("server 1 is replaced");
/// assert!(!may_stop(&chain, 1, |id| id == 2), "one of three is no quorum");
/// assert!(may_stop(&chain, 1, |id| id != 3));
/// assert!(!may_stop(&chain, 2, |_| true), "it is a member");
/// ```
#[must_use]
pub fn may_stop(chain: &Chain, server: u64, started: impl Fn(u64) -> bool) -> bool {
    let record = &chain.newest().record;
    let all_started = record.terms.members.iter().filter(|id| started(**id)).count();
    chain.was_member(server) && !record.is_member(server) && all_started >= record.quorum()
}
