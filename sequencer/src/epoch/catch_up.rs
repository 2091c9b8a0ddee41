//! Catching up: how a server that is behind comes to a later epoch.

use super::chain::Chain;
use super::cut::Cut;
use super::record::Epoch;

/// Whether a server must be told that epochs are over: it is or was a member, and has not said that it has started `newest`, the
/// newest one of whoever asks, nor closed the one before, nor stopped. `said` is the newest epoch that it has said any of this
/// of.
///
/// It is told in answer to every message of an earlier epoch, and unasked once in an election timeout: its groups may have nobody
/// left who would send it anything. The news closes nothing. Its replicas go on voting until [`may_close`](super::may_close).
///
/// ```
/// use niagara_sequencer::epoch::{Chain, Epoch, Terms, must_be_told};
///
/// let terms = |members: &[u64]| Terms { groups: 1, members: members.to_vec(), level: 1, ..Terms::default() };
/// let mut chain = Chain::genesis(terms(&[1, 2, 3])).expect("three members");
/// chain.extend(5, terms(&[1, 2, 4])).expect("server 3 is replaced");
/// assert!(must_be_told(&chain, 3, Some(Epoch::FIRST)), "it cannot stop before it knows");
/// assert!(must_be_told(&chain, 4, None));
/// assert!(!must_be_told(&chain, 2, Some(Epoch::new(2))) && !must_be_told(&chain, 7, None));
/// ```
#[must_use]
pub fn must_be_told(chain: &Chain, server: u64, said: Option<Epoch>) -> bool {
    chain.was_member(server) && said < Some(chain.newest().record.epoch)
}

/// Whether a server whose merge has completed the cut `merged` may install another server's snapshot at `offered`, of an epoch
/// whose groups it votes in or not.
///
/// One of a later epoch brings it forward whatever became of its groups, which may be retired, or lack a quorum. One of its own
/// epoch would go into logs that Raft owns: a voter gets it from its leader, as ever, and not by this rule.
///
/// ```
/// use niagara_sequencer::epoch::{Cut, Epoch, may_install};
///
/// let cut = |epoch, round| Cut { epoch: Epoch::new(epoch), round };
/// let voter = true;
/// assert!(may_install(voter, cut(1, 9), cut(2, 0)));
/// assert!(!may_install(voter, cut(1, 9), cut(1, 20)) && may_install(!voter, cut(1, 9), cut(1, 20)));
/// assert!(!may_install(!voter, cut(2, 0), cut(1, 20)), "rounds of different epochs are not compared");
/// ```
#[must_use]
pub fn may_install(voter: bool, merged: Cut, offered: Cut) -> bool {
    offered > merged && (!voter || offered.epoch > merged.epoch)
}

/// Whether a server may write entries of an epoch that others hand it, known to be committed, into that epoch's logs. A voter's
/// logs belong to Raft: what others write there would count as acknowledged by it.
#[must_use]
pub fn may_feed(voter: bool, closed: bool) -> bool {
    !voter && !closed
}
