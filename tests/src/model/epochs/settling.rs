//! What must end once nothing fails any more, and nothing new comes.

use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::round_wanted;

use super::entry::Kind;
use super::plan::{LANES, Mistake, Plan, SERVERS, number};
use super::state::{Replica, Server, State};

/// More than enough passes for anything that ends.
const PASSES: usize = 60;

impl State {
    /// Whether everything ends from here on: `None` if no quorum is up, so that nothing has to; else what does not, and the
    /// cluster when nothing moves any more.
    pub(super) fn stuck(&self, plan: &Plan) -> Option<(String, State)> {
        if !self.can_go_on(plan) {
            return None;
        }
        let mut rest = self.clone();
        for _ in 0..PASSES {
            if rest.violated.is_some() || !rest.pass(plan) {
                break;
            }
        }
        let why = rest.violated.map(|violated| format!("{violated} is violated on the way"));
        let last = rest.newest_epoch(plan);
        let why = why.or_else(|| (0..SERVERS).find_map(|server| rest.unfinished(plan, server, last)));
        why.map(|why| (why, rest))
    }

    /// Whether quorums of the epochs in force are up.
    fn can_go_on(&self, plan: &Plan) -> bool {
        let up = |members: &[usize]| {
            let up = members.iter().filter(|id| self.servers[**id - 1].up || self.servers[**id - 1].stopped);
            up.count() > members.len() / 2
        };
        let in_force = self.in_force(plan);
        let next = in_force + 1;
        let ends = self.groups[in_force].iter().flat_map(|group| &group.log);
        let may_end = next < self.groups.len()
            && (self.shapes[next].is_some()
                || ends.into_iter().any(|entry| matches!(entry.kind, Kind::End(_))));
        up(self.members(plan, in_force))
            && (!may_end || plan.epochs[next].iter().all(|shape| up(shape.members)))
    }

    /// The newest epoch that a quorum has started, or in which a command was executed, so that its caller may have been told.
    fn in_force(&self, plan: &Plan) -> usize {
        let executes = |epoch: usize| self.history.iter().any(|executed| executed.epoch == number(epoch));
        let in_force = |epoch: &usize| self.quorum_started(plan, *epoch) || executes(*epoch);
        (0..self.groups.len()).rev().find(in_force).expect("the first is started")
    }

    fn newest_epoch(&self, plan: &Plan) -> usize {
        let merged = self.servers.iter().map(|server| server.at.epoch());
        merged.chain([self.in_force(plan)]).max().expect("there are servers")
    }

    /// What a server has not come to.
    fn unfinished(&self, plan: &Plan, server: usize, last: usize) -> Option<String> {
        let this = &self.servers[server];
        if !this.up {
            return None;
        }
        if !self.is_member(plan, server, last) {
            let removed = this.at.chain.was_member(server as u64 + 1) && !self.members(plan, last).is_empty();
            return removed.then(|| format!("server {} is removed, and does not stop", server + 1));
        }
        let why = if this.at.epoch() != last {
            "does not reach the newest epoch"
        } else if this.at.ending.last_round().is_some() {
            "does not come to the end of its epoch"
        } else if !self.has_started(server, number(last)) {
            "does not start the newest epoch"
        } else if this.at.executed < self.history.len() {
            "does not execute what another has executed"
        } else if this.replicas[..last].iter().flatten().any(|replica| *replica != Replica::default()) {
            "does not close an epoch that is over"
        } else {
            self.owes(server)?
        };
        Some(format!("server {} {why}", server + 1))
    }

    /// Lets everything move that moves by itself. Returns whether anything has.
    fn pass(&mut self, plan: &Plan) -> bool {
        self.count_all(plan);
        let mut moved = false;
        for epoch in 0..self.groups.len() {
            for group in self.groups_of(plan, epoch) {
                moved |= self.pass_of_group(plan, epoch, group);
            }
        }
        for server in 0..SERVERS {
            moved |= self.pass_of_server(plan, server);
        }
        moved || (0..SERVERS).any(|server| self.asks_again(plan, server)) || self.retire(plan)
    }

    fn pass_of_group(&mut self, plan: &Plan, epoch: usize, group: usize) -> bool {
        let mut moved = false;
        if self.leader(plan, epoch, group).is_none() {
            let able = (0..SERVERS).filter(|server| self.may_be_elected(plan, epoch, group, *server));
            let best = able.max_by_key(|server| {
                (self.acknowledges(plan, *server, epoch), self.servers[*server].replicas[epoch][group].held)
            });
            if let Some(server) = best {
                self.elect(plan, epoch, group, server);
                moved = true;
            }
        }
        for server in 0..SERVERS {
            if !self.lacks(plan, epoch, group, server) {
                continue;
            }
            if !self.lacks_more(plan, epoch, group, server) {
                self.replicate(plan, epoch, group, server);
                moved = true;
            } else if self.may_install(plan, epoch, group, server) {
                self.install(plan, epoch, group, server);
                moved = true;
            }
        }
        if let Some(place) = self.padding(plan, epoch, group) {
            self.skip(plan, epoch, group, place);
            moved = true;
        }
        moved
    }

    fn pass_of_server(&mut self, plan: &Plan, server: usize) -> bool {
        let mut moved = false;
        if self.servers[server].up && self.has_unwritten(server) {
            self.persist(plan, server);
            moved = true;
        }
        for from in 0..SERVERS {
            if self.may_be_fed(plan, server, from) {
                self.feed(plan, server, from);
                moved = true;
            }
            if self.may_fetch(plan, server, from) {
                self.fetch(plan, server, from);
                moved = true;
            }
        }
        for lane in 0..LANES {
            if let Some(number) = self.to_resend(plan, server, lane) {
                moved |= self.send(plan, server, lane, number, self.servers[server].at.epoch());
            }
        }
        moved
    }

    /// A read that has no barrier, or that waits for a merge that has halted below it, asks the group that is awaited now.
    fn asks_again(&mut self, plan: &Plan, server: usize) -> bool {
        let this = &self.servers[server];
        if !this.up || this.reads.is_empty() {
            return false;
        }
        let next = GlobalPosition::new(this.at.position.get() + 1);
        let group = this.at.layout().slot_at(next).group.index();
        let before = this.reads.next_barrier();
        if self.answers_reads(plan, server, group) {
            self.ask(server, group);
        }
        let after = &self.servers[server].reads;
        after.is_empty() || after.next_barrier() != before
    }

    /// Snapshots that are due, rounds for them, and what they let go.
    fn retire(&mut self, plan: &Plan) -> bool {
        let mut moved = false;
        for server in 0..SERVERS {
            if self.snapshot_is_due(plan, server) {
                self.snapshot(plan, server);
                moved = true;
            }
            for epoch in 0..self.groups.len() {
                if self.may_close(plan, server, epoch) {
                    self.close(plan, server, epoch);
                    moved = true;
                }
            }
            if self.may_stop(plan, server) {
                self.stop(server);
                moved = true;
            }
        }
        moved || self.fill_a_round(plan)
    }

    /// Leaders of the newest epoch fill the rest of a round, or one more if all logs have the same length.
    fn fill_a_round(&mut self, plan: &Plan) -> bool {
        let wants = |server: &&Server| {
            let open = server.marks.first_open();
            let at = server.at.is_at_cut().then(|| server.at.cut());
            server.up
                && server.marks.may_vote(open)
                && round_wanted(open, number(server.at.epoch()), at, &server.cuts())
        };
        let wanted = self.servers.iter().find(wants).filter(|_| !plan.has(Mistake::NoRoundIsWanted));
        let Some(epoch) = wanted.map(|server| server.at.epoch()) else { return false };
        let groups = self.groups_of(plan, epoch);
        let lasts = || groups.clone().map(|group| self.last(epoch, group));
        let highest = lasts().max().expect("an epoch has a group");
        let round = if lasts().all(|last| last == highest) { highest + 1 } else { highest };
        let lacks =
            |group: &usize| self.last(epoch, *group) < round && self.proposer(plan, epoch, *group).is_some();
        let lacking: Vec<usize> = groups.filter(lacks).collect();
        lacking.iter().for_each(|group| self.skip(plan, epoch, *group, round));
        !lacking.is_empty()
    }
}
