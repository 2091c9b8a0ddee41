//! Followers whose log ends before their leader's begins: what their leader keeps for them, and how they come to a log of their
//! own again.

use std::collections::BTreeMap;

use raft::eraftpb::{ConfState, Snapshot, SnapshotMetadata};

use niagara_log::EntryId;

/// What of one group's log a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFloor {
    /// The last entry that fills a slot of the snapshot's round or before it; zero if there is none.
    pub entry: EntryId,
    /// The group's voters as of that entry.
    pub voters: Vec<u64>,
    /// The group's learners as of that entry.
    pub learners: Vec<u64>,
}

/// What a group has to know of a snapshot: up to where it stands for the group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFloor {
    /// The snapshot's round.
    pub round: u64,
    /// The last entry that it stands for, and the group's members as of then.
    pub floor: GroupFloor,
}

impl SnapshotFloor {
    /// In raft-rs's form. Its data is the round; the application's bytes travel by a channel of their own.
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

/// The round of a snapshot that [`SnapshotFloor::for_raft`] has made.
pub(super) fn round_of(snapshot: &Snapshot) -> u64 {
    let round = snapshot.data.as_ref().try_into().expect("only the driver makes snapshots for raft-rs");
    u64::from_le_bytes(round)
}

/// A leader's snapshot that this replica waits for, outside of raft-rs, until this server has one that is as new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingInstall {
    pub from: u64,
    pub term: u64,
    pub round: u64,
}

impl PendingInstall {
    /// A leader names its snapshot, maybe once more. While the same one leads, the first that it named will do: it keeps its
    /// log from there on.
    pub fn named(before: Option<PendingInstall>, named: PendingInstall) -> PendingInstall {
        match before {
            Some(before) if (before.from, before.term) == (named.from, named.term) => {
                PendingInstall { round: before.round.min(named.round), ..named }
            }
            _ => named,
        }
    }
}

/// The snapshots that a leader has offered to followers, and that these have not come up to.
#[derive(Debug, Default)]
pub(super) struct PendingSnapshots(BTreeMap<u64, Offer>);

#[derive(Clone, Copy, Debug)]
struct Offer {
    /// The snapshot's floor when the follower was first told, and what it has come to since: the log is kept from there on.
    floor: u64,
    /// When it was last told, in ticks.
    at: u64,
    /// When it was last heard of, in ticks.
    heard: u64,
}

impl PendingSnapshots {
    /// A follower is pending.
    pub fn offer(&mut self, follower: u64, floor: u64, now: u64) {
        let offer = self.0.entry(follower).or_insert(Offer { floor, at: now, heard: now });
        offer.at = now;
    }

    /// Followers that have not answered for so many ticks: they are told again, since raft-rs says it only once.
    pub fn silent(&self, now: u64, patience: u64) -> Vec<u64> {
        self.0.iter().filter(|(_, offer)| now - offer.at >= patience).map(|(follower, _)| *follower).collect()
    }

    /// Names those that have come up to what they were told of first, from where on the log is there for them. It is kept for
    /// them, from wherever they have come to, until they are beyond what is `superfluous`: if it were compacted the moment
    /// that a transfer has ended, they would need the next one at once.
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

    /// Notes who lives. raft-rs forgets that once in an election time-out, until the next answer to a heartbeat: so it is
    /// asked at each tick.
    pub fn hear(&mut self, now: u64, lives: impl Fn(u64) -> bool) {
        let heard = self.0.iter_mut().filter(|(follower, _)| lives(**follower));
        heard.for_each(|(_, offer)| offer.heard = now);
    }

    /// The entry up to which the log may be compacted in spite of those that were heard of in the last `patience` ticks.
    pub fn pin(&self, now: u64, patience: u64) -> Option<u64> {
        self.0.values().filter(|offer| now - offer.heard < patience).map(|offer| offer.floor).min()
    }

    /// This replica leads no more.
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
