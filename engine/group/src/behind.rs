//! Followers whose log ends before their leader's begins: what the leader keeps for them, and how they get a
//! log of their own again.

use std::collections::BTreeMap;

use raft::eraftpb::{ConfState, Snapshot, SnapshotMetadata};

use niagara_log::EntryId;

/// The part of one group's log that a snapshot replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFloor {
    /// Last entry that fills a slot in or before the snapshot's round; zero if there is none.
    pub entry: EntryId,
    /// Voters of the group as of that entry.
    pub voters: Vec<u64>,
    /// Learners of the group as of that entry.
    pub learners: Vec<u64>,
}

/// What a group has to know about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFloor {
    /// Round of the snapshot.
    pub round: u64,
    /// Last entry that the snapshot replaces, and the group's members as of that entry.
    pub floor: GroupFloor,
}

impl SnapshotFloor {
    /// In raft-rs's form. Its data is the round; the application's bytes travel through a channel of their
    /// own.
    pub(super) fn for_raft(&self) -> Snapshot {
        let GroupFloor { entry, voters, learners } = &self.floor;
        let conf_state =
            ConfState { voters: voters.clone(), learners: learners.clone(), ..ConfState::default() };
        let metadata = SnapshotMetadata {
            conf_state: Some(conf_state).into(),
            index: entry.index,
            term: entry.term,
            ..SnapshotMetadata::default()
        };
        let data = self.round.to_le_bytes().to_vec().into();
        Snapshot { data, metadata: Some(metadata).into(), ..Snapshot::default() }
    }
}

/// Round of a snapshot that [`SnapshotFloor::for_raft`] created.
pub(super) fn round_of(snapshot: &Snapshot) -> u64 {
    let round = snapshot.data.as_ref().try_into().expect("only the driver makes snapshots for raft-rs");
    u64::from_le_bytes(round)
}

/// A leader's snapshot that this replica waits for, outside of raft-rs, until this server has one at least as
/// new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingInstall {
    pub from: u64,
    pub term: u64,
    pub round: u64,
}

impl PendingInstall {
    /// Handles an offer, which may be a repetition. The first offer of a leader remains valid while it leads,
    /// since it keeps its log from there on.
    pub fn named(before: Option<PendingInstall>, named: PendingInstall) -> PendingInstall {
        match before {
            Some(before) if (before.from, before.term) == (named.from, named.term) => {
                PendingInstall { round: before.round.min(named.round), ..named }
            }
            _ => named,
        }
    }
}

/// Snapshots that a leader has offered to followers which have not caught up to them yet.
#[derive(Debug, Default)]
pub(super) struct PendingSnapshots(BTreeMap<u64, Offer>);

#[derive(Clone, Copy, Debug)]
struct Offer {
    /// Floor of the snapshot that the follower was offered first, then its progress since. The log is kept
    /// from here on.
    floor: u64,
    /// When the follower was last notified, in ticks.
    at: u64,
    /// When the follower was last heard, in ticks.
    heard: u64,
}

impl PendingSnapshots {
    pub fn offer(&mut self, follower: u64, floor: u64, now: u64) {
        let offer = self.0.entry(follower).or_insert(Offer { floor, at: now, heard: now });
        offer.at = now;
    }

    /// Followers that have not answered for `patience` ticks. They are notified again, since raft-rs does so
    /// only once.
    pub fn silent(&self, now: u64, patience: u64) -> Vec<u64> {
        self.0.iter().filter(|(_, offer)| now - offer.at >= patience).map(|(follower, _)| *follower).collect()
    }

    /// Returns the followers that have caught up to the first offer: the log holds everything from there on.
    /// It is kept for them, from wherever they are, until they are beyond `superfluous`. If it were compacted
    /// as soon as a transfer ended, they would need another one at once.
    pub fn advance(&mut self, superfluous: u64, matched: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut there = Vec::new();
        self.0.retain(|follower, offer| {
            let matched = matched(*follower);
            if matched < offer.floor {
                return true;
            }
            there.push(*follower);
            offer.floor = matched;
            matched < superfluous
        });
        there
    }

    /// Notes which followers are alive. This runs at every tick, since raft-rs forgets it once per election
    /// timeout, until the next answer to a heartbeat.
    pub fn hear(&mut self, now: u64, lives: impl Fn(u64) -> bool) {
        let heard = self.0.iter_mut().filter(|(follower, _)| lives(**follower));
        heard.for_each(|(_, offer)| offer.heard = now);
    }

    /// Entry up to which the log may be compacted without harm to any follower heard in the last `patience`
    /// ticks.
    pub fn pin(&self, now: u64, patience: u64) -> Option<u64> {
        self.0.values().filter(|offer| now - offer.heard < patience).map(|offer| offer.floor).min()
    }

    /// Forgets all offers: this replica no longer leads.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_kept_from_the_first_snapshot_on_that_a_follower_was_told_of() {
        let mut pending = PendingSnapshots::default();
        pending.offer(2, 100, 0);
        pending.offer(3, 150, 5);
        pending.offer(2, 200, 10);
        assert_eq!(pending.pin(10, 20), Some(100));
        pending.hear(14, |follower| follower == 3);
        assert_eq!(pending.pin(19, 20), Some(100));
        assert_eq!(pending.pin(20, 20), Some(150), "who is gone holds nobody up");
        assert_eq!(pending.silent(14, 9), [3]);
        let up_to = |matched| move |follower| if follower == 2 { matched } else { 0 };
        assert_eq!(pending.advance(300, up_to(90)), []);
        assert_eq!(pending.advance(300, up_to(120)), [2]);
        assert_eq!(pending.pin(14, 20), Some(120), "the log is kept until it is read");
        assert_eq!(pending.advance(300, up_to(300)), [2]);
        assert_eq!(pending.pin(14, 20), Some(150));
    }

    #[test]
    fn a_leader_that_names_newer_snapshots_is_not_chased() {
        let first = PendingInstall { from: 1, term: 4, round: 10 };
        let second = PendingInstall { round: 20, ..first };
        assert_eq!(PendingInstall::named(None, second), second);
        assert_eq!(PendingInstall::named(Some(first), second), first);
        let other = PendingInstall { from: 2, term: 5, round: 20 };
        assert_eq!(PendingInstall::named(Some(first), other), other);
    }
}
