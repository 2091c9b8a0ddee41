//! How servers close epochs, stop, crash and come back.

use niagara_sequencer::ReadBarriers;
use niagara_sequencer::epoch::{may_close, may_stop};

use super::plan::{LANES, Mistake, Plan, SERVERS, number};
use super::state::{Replica, State};

impl State {
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
