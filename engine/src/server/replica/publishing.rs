//! What a replica shows of itself to the rest of its server, and in metrics.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use niagara_sequencer::epoch::Cut;
use raft::StateRole;

use super::Replica;
use crate::planted::{self, Bug};
use crate::snapshot::Need;

impl Replica {
    /// Updates what is shown of the group with this number: that of the epoch that is merged.
    pub(super) fn measure(&self) {
        let metrics = &self.metrics;
        metrics.log_bytes.set(self.driver.log_bytes() as i64);
        metrics.unsynced_bytes.set(self.driver.unsynced_bytes() as i64);
        metrics.committed.inner().store(self.driver.commit(), SeqCst);
        metrics.term.set(self.driver.term() as i64);
        metrics.has_leader.set(i64::from(self.driver.leader() != 0));
        metrics.is_leader.set(i64::from(self.driver.leads()));
        if self.driver.has_leases() {
            let held = self.mine().lease.place(|| self.clock.boot_time());
            metrics.has_lease.set(held.is_some().into());
        }
    }

    /// Publishes how the others stand, as this leader sees them.
    pub(super) fn publish_followers(&self) {
        let (mine, followers) = (self.mine(), self.driver.followers());
        mine.has_successor.store(self.driver.has_successor(), SeqCst);
        mine.is_left.store(self.driver.has_left(), SeqCst);
        *mine.followers.lock() = followers;
    }

    pub(super) fn look_at_disk(&self) {
        let (mine, stuck) = (self.mine(), self.driver.disk_is_stuck());
        mine.disk_wait_ticks.store(self.driver.disk_waits_for(), SeqCst);
        if mine.disk_is_stuck.swap(stuck, SeqCst) != stuck {
            let (group, unsynced_bytes) = (self.group + 1, self.driver.unsynced_bytes());
            if stuck {
                tracing::error!(
                    group,
                    unsynced_bytes,
                    "the disk does not finish a write: this server hands the group over if another can lead, \
                     and accepts entries only up to unsynced_bytes"
                );
            } else {
                tracing::info!(group, unsynced_bytes, "the disk finishes writes again");
            }
        }
    }

    /// Publishes the lease. The messages of this turn leave later: they may tell others what is committed, or
    /// to lead.
    pub(super) fn publish_lease(&self) {
        if !self.driver.has_leases() {
            return;
        }
        let mine = self.mine();
        match self.driver.lease() {
            Some(lease) => mine.lease.hold(lease.place, lease.until),
            None => mine.lease.end(),
        }
        mine.lease_is_given_up.store(self.driver.has_given_up_its_lease(), SeqCst);
    }

    /// Publishes how many bytes the log holds beyond the merge, as soon as they arrive: other groups rely on
    /// it. In an ended epoch, these are void, and nothing will ever merge them.
    pub(super) fn note_behind(&mut self) {
        let is_void = self.epoch.has_ended() && !planted::is(Bug::VoidCountsAsBehind);
        let now = if is_void { 0 } else { self.driver.behind_bytes() };
        let before = std::mem::replace(&mut self.behind, now);
        self.progress.bounds.group_is_behind(before, self.behind);
    }

    /// Bytes that this group's log counts as beyond the merge.
    pub fn behind(&self) -> u64 {
        self.behind
    }

    /// Publishes how far this group is, for the rest of the server.
    pub fn publish(&mut self, now: Instant) {
        let mine = &self.epoch.groups[self.group];
        let mut commit = self.driver.commit();
        if planted::is(Bug::MergedBeforeCommitted) {
            commit = self.driver.last_index();
        }
        let committed_more = mine.commit.swap(commit, SeqCst) != commit;
        mine.last.store(self.driver.last_index(), SeqCst);
        let persisted = self.driver.persisted_index();
        if mine.persisted.swap(persisted, SeqCst) != persisted && self.epoch.has_ended() {
            // The next epoch may start when all of this one is durable.
            self.progress.snapshots.wake();
        }
        mine.lags.store(self.driver.lags(), SeqCst);
        mine.unsynced.store(self.driver.unsynced_bytes(), SeqCst);
        mine.waits.say(self.driver.wake_at(&self.view, &self.lanes), self.driver.goes_on_at());
        self.epoch.raise_level(self.driver.level());
        self.note_role();
        if committed_more {
            self.sequencer.ring();
            if self.progress.is_running(&self.epoch) {
                self.metrics.committed.inner().store(commit, SeqCst);
            }
        }
        for (round, place) in self.output.reads.drain(..) {
            self.reads.answered(round, place);
        }
        if let Some(contradiction) = self.output.contradicted.take() {
            let what = format!("group {}: {contradiction}", self.group + 1);
            self.progress.divergence.contradicted(self.channel(), what);
        }
        if let Some((from, round)) = self.output.need.take() {
            self.progress.snapshots.need(Need {
                group: self.group,
                from,
                cut: Cut { epoch: self.epoch.number, round },
            });
        }
        self.count(commit, now);
    }

    fn count(&mut self, commit: u64, now: Instant) {
        let cut = std::mem::take(&mut self.output.cut);
        if cut.entries > 0 {
            self.metrics.entries.inc_by(cut.entries);
            self.metrics.commands.inc_by(cut.commands);
            self.metrics.bytes.inc_by(cut.bytes);
            self.uncommitted.push_back((self.driver.last_index(), now));
        }
        self.metrics.refused.inc_by(std::mem::take(&mut self.output.refused));
        // Whoever has connections has ended these by now.
        self.output.offenders.clear();
        self.metrics.untaken.inc_by(std::mem::take(&mut self.output.untaken));
        self.metrics.skips.inc_by(std::mem::take(&mut self.output.skips));
        self.metrics.attempts.inc_by(std::mem::take(&mut self.output.attempts));
        while let Some((_, since)) = self.uncommitted.pop_front_if(|(index, _)| *index <= commit) {
            self.metrics.commit_duration.observe(now.saturating_duration_since(since).as_secs_f64());
        }
    }

    fn note_role(&mut self) {
        let leader = (self.driver.term(), self.driver.leader());
        let mine = &self.epoch.groups[self.group];
        let role = role_code(self.driver.role());
        if mine.role.swap(role, SeqCst) != role && self.driver.role() == StateRole::PreCandidate {
            self.metrics.elections.inc();
        }
        mine.leads.store(self.driver.leads(), SeqCst);
        mine.transferee.store(self.driver.transferee(), SeqCst);
        self.look_at_moves();
        if leader == self.leader {
            return;
        }
        self.leader = leader;
        self.uncommitted.clear();
        let mine = &self.epoch.groups[self.group];
        mine.term.store(leader.0, SeqCst);
        mine.leader.store(leader.1, SeqCst);
        self.progress.watchers.changed();
        if self.progress.is_running(&self.epoch) {
            self.measure();
        }
        self.publish_followers();
        if leader.1 != 0 {
            self.metrics.leader_changes.inc();
            mine.leaderless_ticks.store(0, SeqCst);
            let group = self.group + 1;
            if leader.1 == self.server {
                tracing::info!(group, term = leader.0, "this server leads the group");
            } else {
                tracing::info!(group, term = leader.0, leader = leader.1, "the group has a leader");
            }
        }
    }
}

/// Index of a role in [`ROLES`](crate::progress::ROLES).
fn role_code(role: StateRole) -> u8 {
    match role {
        StateRole::Follower => 0,
        StateRole::PreCandidate => 1,
        StateRole::Candidate => 2,
        StateRole::Leader => 3,
    }
}
