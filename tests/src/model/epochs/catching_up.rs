//! What becomes of servers: they catch up, snapshot, close epochs, stop, crash and come back.

use std::sync::Arc;

use niagara_sequencer::epoch::{
    Cut, may_close, may_feed, may_install, may_stop, must_be_told, snapshot_is_due,
};
use niagara_sequencer::{ReadBarriers, compaction_point};

use super::plan::{LANES, Mistake, Plan, SERVERS, number};
use super::state::{Progress, Replica, Snapshot, State};

impl State {
    /// Whether `server` may ask `from` for something: it knows it as a member, or is told by it.
    fn may_ask_for(&self, plan: &Plan, server: usize, from: usize) -> bool {
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

    /// Number of entries of a log that fill places up to a round.
    fn floor(&self, epoch: usize, group: usize, round: u64) -> usize {
        self.groups[epoch][group].log.partition_point(|entry| entry.place <= round)
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

    /// The cut up to which a server's snapshots replace its logs, where that is news.
    pub(super) fn compactable(&self, plan: &Plan, server: usize) -> Option<Cut> {
        let this = &self.servers[server];
        let mut cuts = this.cuts();
        if plan.has(Mistake::CompactsToTheNewest) {
            cuts.extend(cuts.last().copied());
        }
        let older = compaction_point(&cuts)?;
        let epoch = older.epoch.get() as usize - 1;
        let news = |group| {
            let replica = this.replicas[epoch][group];
            self.floor(epoch, group, older.round).min(replica.known.min(replica.disk)) > replica.gone
        };
        (this.up && self.groups_of(plan, epoch).any(news)).then_some(older)
    }

    /// Drops what the snapshots replace of the logs.
    pub(super) fn compact(&mut self, plan: &Plan, server: usize) {
        let cut = self.compactable(plan, server).expect("there is something to drop");
        let epoch = cut.epoch.get() as usize - 1;
        for group in self.groups_of(plan, epoch) {
            let floor = self.floor(epoch, group, cut.round);
            let replica = &mut self.servers[server].replicas[epoch][group];
            replica.gone = floor.min(replica.known.min(replica.disk)).max(replica.gone);
        }
    }

    /// Writes a snapshot of where a server's merge is, which is at a cut.
    pub(super) fn snapshot(&mut self, plan: &Plan, server: usize) {
        let at = &self.servers[server].at;
        let at_start = at.cut().round == 0 && at.epoch() > 0;
        let at = match at_start && plan.has(Mistake::BoundaryBelongsToTheEnded) {
            true => at.named_as_the_ended(plan),
            false => at.clone(),
        };
        self.keep(server, Snapshot { at: Arc::new(at), received: false });
        self.go_on(plan, server);
    }

    fn keep(&mut self, server: usize, snapshot: Snapshot) {
        let kept = &mut self.servers[server].kept;
        kept.push(snapshot);
        let surplus = kept.len().saturating_sub(2);
        kept.drain(..surplus);
    }

    /// Whether a server has something new to write into a snapshot.
    pub(super) fn may_snapshot(&self, server: usize) -> bool {
        let this = &self.servers[server];
        let news = this.kept.last().is_none_or(|newest| newest.at.cut() < this.at.cut());
        this.up && this.at.is_at_cut() && this.at.position.get() > 0 && news
    }

    /// Whether retirement wants a snapshot.
    pub(super) fn snapshot_is_due(&self, plan: &Plan, server: usize) -> bool {
        let this = &self.servers[server];
        self.may_snapshot(server)
            && !plan.has(Mistake::NoSnapshotIsDue)
            && snapshot_is_due(this.marks.first_open(), this.at.cut(), &this.cuts())
    }

    pub(super) fn may_close(&self, plan: &Plan, server: usize, epoch: usize) -> bool {
        let this = &self.servers[server];
        let cuts = this.cuts();
        let beyond = this.at.epoch() > epoch;
        let told =
            |from: &usize| self.servers[*from].at.epoch() > epoch && self.may_ask_for(plan, server, *from);
        let may_close = match plan.mistake {
            Some(Mistake::ClosesWithoutSnapshot) => beyond,
            Some(Mistake::ClosesWithOneSnapshot) => {
                cuts.last().is_some_and(|newest| newest.epoch > number(epoch))
            }
            Some(Mistake::ClosesOnWord) => beyond || (0..self.servers.len()).any(|from| told(&from)),
            _ => may_close(number(epoch), &cuts),
        };
        this.up && may_close && !this.marks.has_closed(number(epoch)) && self.has_log(server, epoch)
    }

    /// Whether there is anything to close.
    fn has_log(&self, server: usize, epoch: usize) -> bool {
        let this = &self.servers[server];
        this.marks.may_vote(number(epoch))
            || this.replicas[epoch].iter().any(|replica| *replica != Replica::default())
    }

    /// Drops the logs of an epoch, and of all before it.
    pub(super) fn close(&mut self, plan: &Plan, server: usize, epoch: usize) {
        if !plan.has(Mistake::ClosedIsForgotten) {
            self.servers[server].marks.close(number(epoch));
        }
        self.servers[server].replicas[..=epoch]
            .iter_mut()
            .flatten()
            .for_each(|replica| *replica = Replica::default());
        self.resign(server, |of| of <= epoch);
    }

    pub(super) fn may_stop(&self, plan: &Plan, server: usize) -> bool {
        let this = &self.servers[server];
        let newest = this.at.chain.newest().record.epoch;
        let started = |id: u64| {
            plan.has(Mistake::StopsWithoutQuorum) || self.has_started((id as usize - 1) % SERVERS, newest)
        };
        this.up && may_stop(&this.at.chain, server as u64 + 1, started)
    }

    pub(super) fn stop(&mut self, server: usize) {
        let this = &mut self.servers[server];
        (this.up, this.stopped) = (false, true);
        this.reads = ReadBarriers::new(this.at.layout(), 1);
        self.resign(server, |_| true);
    }

    /// A server ends without warning. What it has on disk is there at its next start, unless the newest snapshot is damaged.
    pub(super) fn crash(&mut self, plan: &Plan, server: usize, damaged: bool) {
        self.resign(server, |_| true);
        let this = &mut self.servers[server];
        this.up = false;
        this.start += 1;
        if damaged {
            this.kept.pop();
        }
        this.at = this.resumes_from(plan);
        this.reads = ReadBarriers::new(this.at.layout(), 1);
        this.asks = 0;
        this.numbered = [0; LANES];
        this.done = [0; LANES];
        for (epoch, replicas) in this.replicas.iter_mut().enumerate() {
            let sealed = this.marks.sealed().iter().find(|sealed| sealed.epoch == number(epoch));
            for (group, replica) in replicas.iter_mut().enumerate() {
                replica.held = replica.disk;
                let sealed = sealed.map_or(0, |sealed| sealed.committed[group] as usize);
                replica.known = sealed.max(replica.gone).min(replica.disk);
            }
        }
    }

    /// Whether a server's newest snapshot can turn out damaged. What was received was checked.
    pub(super) fn can_be_damaged(&self, server: usize) -> bool {
        self.servers[server].kept.last().is_some_and(|newest| !newest.received)
    }

    pub(super) fn restart(&mut self, plan: &Plan, server: usize) {
        self.servers[server].up = true;
        self.go_on(plan, server);
        self.count_all(plan);
    }
}
