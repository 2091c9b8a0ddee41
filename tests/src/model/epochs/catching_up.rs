//! How servers that are behind catch up: they are fed, and install snapshots.

use std::sync::Arc;

use niagara_sequencer::epoch::{may_feed, may_install, must_be_told};

use super::plan::{Mistake, Plan, number};
use super::progress::Progress;
use super::state::{Replica, Snapshot, State};

impl State {
    /// Whether `server` may ask `from` for something: it knows it as a member, or is told by it.
    pub(super) fn may_ask_for(&self, plan: &Plan, server: usize, from: usize) -> bool {
        let (this, other) = (&self.servers[server], &self.servers[from]);
        let id = |server: usize| server as u64 + 1;
        let told = !plan.has(Mistake::NobodyTells)
            && must_be_told(&other.at.chain, id(server), this.marks.newest_started());
        server != from && this.up && other.up && (this.at.chain.was_member(id(from)) || told)
    }

    /// Whether a server, which is no voter of the epoch in which its merge is, can get committed entries of it.
    pub(super) fn may_be_fed(&self, plan: &Plan, server: usize, from: usize) -> bool {
        let this = &self.servers[server];
        let epoch = this.at.epoch();
        let news = |group: usize| {
            let (theirs, ours) = (self.servers[from].replicas[epoch][group], this.replicas[epoch][group]);
            theirs.known > ours.known && theirs.gone <= ours.held
        };
        may_feed(self.is_member(plan, server, epoch), this.marks.has_closed(number(epoch)))
            && self.may_ask_for(plan, server, from)
            && self.groups_of(plan, epoch).any(news)
    }

    pub(super) fn feed(&mut self, plan: &Plan, server: usize, from: usize) {
        let epoch = self.servers[server].at.epoch();
        for group in self.groups_of(plan, epoch) {
            let Replica { gone, known, .. } = self.servers[from].replicas[epoch][group];
            if gone > self.servers[server].replicas[epoch][group].held {
                continue;
            }
            self.hold(plan, server, epoch, group, known);
            let replica = &mut self.servers[server].replicas[epoch][group];
            replica.known = known.max(replica.known);
        }
        self.go_on(plan, server);
    }

    /// Whether a server may take another's newest snapshot.
    pub(super) fn may_fetch(&self, plan: &Plan, server: usize, from: usize) -> bool {
        let this = &self.servers[server];
        let Some(offered) = self.servers[from].kept.last() else { return false };
        let voter = self.is_member(plan, server, this.at.epoch());
        if voter && plan.has(Mistake::VotersDoNotInstall) {
            return false;
        }
        may_install(voter, this.at.cut(), offered.at.cut()) && self.may_ask_for(plan, server, from)
    }

    /// Takes another's newest snapshot. What it has of the epochs before is closed.
    pub(super) fn fetch(&mut self, plan: &Plan, server: usize, from: usize) {
        let at = Arc::clone(&self.servers[from].kept.last().expect("it has one").at);
        self.keep(server, Snapshot { at: Arc::clone(&at), received: true });
        self.move_to(plan, server, (*at).clone());
        if let Some(before) = at.epoch().checked_sub(1) {
            self.close(plan, server, before);
        }
        if !self.is_member(plan, server, at.epoch()) {
            self.reset_logs(plan, server, &at);
        }
        self.go_on(plan, server);
    }

    /// Logs that end below a snapshot of their epoch begin above it.
    fn reset_logs(&mut self, plan: &Plan, server: usize, snapshot: &Progress) {
        let (epoch, cut) = (snapshot.epoch(), snapshot.cut());
        for group in self.groups_of(plan, epoch) {
            let floor = self.floor(epoch, group, cut.round);
            let replica = &mut self.servers[server].replicas[epoch][group];
            if replica.held < floor {
                *replica = Replica { gone: floor, held: floor, disk: floor, known: floor };
            }
            replica.known = floor.max(replica.known);
        }
    }

    /// Whether the leader of a group can bring a follower forward with its newest snapshot only.
    pub(super) fn may_install(&self, plan: &Plan, epoch: usize, group: usize, server: usize) -> bool {
        let newest = self.proposer(plan, epoch, group).and_then(|leader| self.servers[leader].kept.last());
        self.lacks(plan, epoch, group, server)
            && self.lacks_more(plan, epoch, group, server)
            && newest.is_some_and(|newest| newest.at.epoch() == epoch)
    }

    /// A follower installs its leader's newest snapshot.
    pub(super) fn install(&mut self, plan: &Plan, epoch: usize, group: usize, server: usize) {
        let leader = self.proposer(plan, epoch, group).expect("a leader sends");
        let at = Arc::clone(&self.servers[leader].kept.last().expect("it has one").at);
        if self.servers[server].at.cut() < at.cut() {
            self.keep(server, Snapshot { at: Arc::clone(&at), received: true });
            self.move_to(plan, server, (*at).clone());
        }
        self.reset_logs(plan, server, &at);
        self.go_on(plan, server);
        self.count_all(plan);
    }
}
