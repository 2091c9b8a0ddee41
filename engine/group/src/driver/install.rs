//! Snapshots, as the driver sees them: compacting the log, offering snapshots to followers, and resetting the
//! log to one.

use niagara_log::EntryId;
use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, Ready, SnapshotStatus};

use super::Driver;
use super::turn::{Output, Write};
use crate::behind::{PendingInstall, SnapshotFloor, round_of};
use crate::planted::{self, Bug};

impl Driver {
    /// Reports the snapshots that are durable. Followers whose log ends too early are offered one, and the
    /// log may be compacted to the older one's floor.
    pub fn kept(&mut self, newest: SnapshotFloor, older: Option<SnapshotFloor>) {
        if let Some(older) = &older {
            self.superfluous = self.superfluous.max(older.floor.entry.index);
        }
        self.raft.mut_store().snapshots = older.into_iter().chain([newest]).collect();
        self.may_compact = true;
    }

    /// Reports that this server's state is at this snapshot or beyond it, so a log that ends before it may be
    /// dropped.
    ///
    /// Only now does raft-rs see the leader's snapshot, with what *this server's* file says about the group.
    /// So the replica acknowledges what this server holds. If the log already holds the floor, nothing is
    /// dropped.
    pub fn install(&mut self, here: &SnapshotFloor) {
        let Some(PendingInstall { from, term, .. }) =
            self.pending_install.take_if(|pending| pending.round <= here.round)
        else {
            return;
        };
        let entry = here.floor.entry;
        // A leader of an earlier term no longer leads, and one whose term is below the entry's has been
        // deposed.
        if entry.index == 0 || term < self.term() || term < entry.term {
            return;
        }
        let message = Message {
            msg_type: MessageType::MsgSnapshot,
            from,
            to: self.config.server,
            term,
            snapshot: Some(here.for_raft()).into(),
            ..Message::default()
        };
        if let Err(error) = self.raft.step(message) {
            tracing::debug!(from, %error, "raft refused a snapshot");
        }
    }

    /// Handles an offer of a leader that has compacted what this log lacks.
    pub(super) fn snapshot_named(&mut self, named: PendingInstall) {
        let sound = self.config.voters.contains(&named.from) && named.term >= self.term();
        // A leader is never restored: its log holds everything that is committed.
        if sound && !(self.leads() && named.term == self.term()) {
            let pending = PendingInstall::named(self.pending_install, named);
            self.pending_install = Some(pending);
            self.need = Some((pending.from, pending.round));
        }
    }

    /// Drops the log if raft-rs has accepted a snapshot in its place. Returns the entry above which it then
    /// begins.
    pub(super) fn reset_if_restored(&mut self, ready: &Ready) -> Option<EntryId> {
        let snapshot = ready.snapshot();
        if snapshot.is_empty() {
            return None;
        }
        let metadata = snapshot.get_metadata();
        let floor = EntryId { index: metadata.index, term: metadata.term };
        tracing::info!(index = floor.index, round = round_of(snapshot), "reset the log to a snapshot");
        self.raft.mut_store().log.reset(floor);
        self.slots.reset(floor.index, round_of(snapshot));
        self.resetting = Some((ready.number(), floor.index));
        Some(floor)
    }

    /// Repeats offers of snapshots. raft-rs offers one once and then waits, but the message may be lost, or
    /// the transfer may fail.
    pub(super) fn remind_followers(&mut self) {
        if !self.leads() {
            return self.pending_snapshots.forget();
        }
        let progress = self.raft.raft.prs();
        let matched = |follower| progress.get(follower).map_or(u64::MAX, |progress| progress.matched);
        let mut again = self.pending_snapshots.advance(self.superfluous, matched);
        self.pending_snapshots.hear(self.ticks, |follower| {
            progress.get(follower).is_some_and(|progress| progress.recent_active)
        });
        let patience = self.patience();
        let waits = |follower: &u64| {
            let progress = self.raft.raft.prs().get(*follower);
            progress.is_some_and(|progress| progress.state == ProgressState::Snapshot)
        };
        again.extend(self.pending_snapshots.silent(self.ticks, patience));
        again.retain(waits);
        for follower in again {
            // After a reported failure, raft-rs continues from what the follower is known to hold. The
            // follower may have caught up to the first offer and still be expected to catch up to a later
            // one.
            self.raft.report_snapshot(follower, SnapshotStatus::Failure);
        }
    }

    /// Ticks for which a follower is given time to receive a snapshot. Any live server answers a heartbeat
    /// within an election timeout.
    fn patience(&self) -> u64 {
        2 * u64::from(self.config.election_ticks)
    }

    /// Compacts the log as far as nobody needs it: neither a start from the older snapshot, nor raft-rs, nor
    /// a follower that is receiving a snapshot and will continue from there.
    pub(super) fn compact(&mut self, output: &mut Output) {
        if !std::mem::take(&mut self.may_compact) {
            return;
        }
        let mut target = self.superfluous.min(self.raft.raft.raft_log.applied);
        let log = &self.raft.store().log;
        if log.size().bytes() <= self.config.pin_bytes {
            target = target.min(self.pending_snapshots.pin(self.ticks, self.patience()).unwrap_or(u64::MAX));
        }
        if planted::is(Bug::CompactedAhead) {
            target = self.raft.raft.raft_log.applied;
        }
        if target >= log.first_index() {
            let floor = self.raft.mut_store().log.compact_to(target);
            output.writes.push(Write::Compact(floor));
        }
    }
}
