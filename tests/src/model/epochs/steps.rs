//! The steps of a cluster: what may happen next, and what it does.

use super::entry::Kind;
use super::plan::{Plan, SERVERS};
use super::state::State;

/// Servers, epochs, groups and lanes are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A lane numbers and sends a command.
    Submit { server: usize, lane: usize },
    /// A lane sends again what has been lost.
    Resend { server: usize, lane: usize },
    /// A copy of a command that was sent in some epoch arrives late.
    LateCopy { server: usize, lane: usize, number: u8, epoch: usize },
    /// A leader proposes to end its epoch.
    ProposeEnd { epoch: usize, group: usize, shape: usize },
    /// A leader pads its log to the level.
    Pad { epoch: usize, group: usize },
    /// A leader skips ahead of it.
    SkipAhead { epoch: usize, group: usize },
    /// A server takes what the leader of a group has.
    Replicate { epoch: usize, group: usize, server: usize },
    /// A server installs the snapshot of a group's leader, which has compacted what it lacks.
    Install { epoch: usize, group: usize, server: usize },
    /// What a server holds becomes durable.
    Persist { server: usize },
    /// A server becomes a group's leader.
    Elect { epoch: usize, group: usize, server: usize },
    /// A server that is no voter takes committed entries from another.
    Feed { server: usize, from: usize },
    /// A server takes another's newest snapshot.
    Fetch { server: usize, from: usize },
    /// A server writes a snapshot.
    Snapshot { server: usize },
    /// A server drops what its snapshots replace of its logs.
    Compact { server: usize },
    /// A server closes an epoch.
    Close { server: usize, epoch: usize },
    /// A removed server stops.
    Stop { server: usize },
    /// A server crashes, and its newest snapshot may be damaged.
    Crash { server: usize, damaged: bool },
    /// It comes back.
    Restart { server: usize },
    /// A client makes a strong read.
    Read { server: usize },
    /// The read asks a group.
    Ask { server: usize, group: usize },
}

impl Step {
    /// Whether it is an input or a fault, or what need not happen; the others follow from earlier ones.
    pub(super) fn is_from_outside(self) -> bool {
        matches!(
            self,
            Step::Submit { .. }
                | Step::LateCopy { .. }
                | Step::ProposeEnd { .. }
                | Step::SkipAhead { .. }
                | Step::Crash { .. }
                | Step::Read { .. }
                | Step::Snapshot { .. }
                | Step::Compact { .. }
                | Step::Close { .. }
                | Step::Stop { .. }
        )
    }
}

impl State {
    /// All possible next steps.
    pub(super) fn steps(&self, plan: &Plan, steps: &mut Vec<Step>) {
        self.steps_of_lanes(plan, steps);
        for epoch in 0..self.groups.len() {
            self.groups_of(plan, epoch).for_each(|group| self.steps_of_group(plan, epoch, group, steps));
        }
        (0..SERVERS).for_each(|server| self.steps_of_server(plan, server, steps));
    }

    fn steps_of_lanes(&self, plan: &Plan, steps: &mut Vec<Step>) {
        for (server, lane) in plan.lanes.iter().map(|(server, lane)| (server - 1, usize::from(lane - 1))) {
            if self.left.commands > 0 && self.takes_commands(plan, server) {
                steps.push(Step::Submit { server, lane });
            }
            if self.to_resend(plan, server, lane).is_some() {
                steps.push(Step::Resend { server, lane });
            }
            if self.left.late_copies > 0 {
                let numbers = 1..=self.servers[server].numbered[lane];
                steps.extend(numbers.flat_map(|number| {
                    (0..self.groups.len()).map(move |epoch| Step::LateCopy { server, lane, number, epoch })
                }));
            }
        }
    }

    fn steps_of_group(&self, plan: &Plan, epoch: usize, group: usize, steps: &mut Vec<Step>) {
        let leader = self.leader(plan, epoch, group);
        if let Some(proposer) = self.proposer(plan, epoch, group) {
            if epoch + 1 < plan.epochs.len()
                && self.left.ends[epoch] > 0
                && self.servers[proposer].at.epoch() == epoch
            {
                let shapes = 0..plan.epochs[epoch + 1].len();
                steps.extend(shapes.map(|shape| Step::ProposeEnd { epoch, group, shape }));
            }
            if self.padding(plan, epoch, group).is_some() {
                steps.push(Step::Pad { epoch, group });
            }
            if self.left.skips > 0 {
                steps.push(Step::SkipAhead { epoch, group });
            }
            let lacking = (0..SERVERS).filter(|server| self.lacks(plan, epoch, group, *server));
            for server in lacking {
                if !self.lacks_more(plan, epoch, group, server) {
                    steps.push(Step::Replicate { epoch, group, server });
                } else if self.may_install(plan, epoch, group, server) {
                    steps.push(Step::Install { epoch, group, server });
                }
            }
        }
        if leader.is_none() || self.left.elections > 0 {
            let candidates = (0..SERVERS).filter(|server| self.may_be_elected(plan, epoch, group, *server));
            steps.extend(candidates.map(|server| Step::Elect { epoch, group, server }));
        }
    }

    fn steps_of_server(&self, plan: &Plan, server: usize, steps: &mut Vec<Step>) {
        let this = &self.servers[server];
        if plan.slow_disks && this.up && self.has_unwritten(server) {
            steps.push(Step::Persist { server });
        }
        for from in 0..SERVERS {
            if self.may_be_fed(plan, server, from) {
                steps.push(Step::Feed { server, from });
            }
            if self.may_fetch(plan, server, from) {
                steps.push(Step::Fetch { server, from });
            }
        }
        if self.left.snapshots > 0 && self.may_snapshot(server) {
            steps.push(Step::Snapshot { server });
        }
        if self.left.compactions > 0 && self.compactable(plan, server).is_some() {
            steps.push(Step::Compact { server });
        }
        let epochs = (0..self.groups.len()).filter(|epoch| self.may_close(plan, server, *epoch));
        steps.extend(epochs.map(|epoch| Step::Close { server, epoch }));
        if self.may_stop(plan, server) {
            steps.push(Step::Stop { server });
        }
        if self.left.crashes > 0 && this.up {
            steps.push(Step::Crash { server, damaged: false });
            if self.left.damages > 0 && self.can_be_damaged(server) {
                steps.push(Step::Crash { server, damaged: true });
            }
        }
        if self.left.restarts > 0 && !this.up && !this.stopped && this.start > 1 {
            steps.push(Step::Restart { server });
        }
        let reader = this.up && plan.readers.contains(&(server + 1));
        if self.left.reads > 0 && reader && this.reads.is_empty() {
            steps.push(Step::Read { server });
        }
        if !this.reads.is_empty() && this.asks < plan.asks {
            let groups = self.groups_of(plan, this.at.epoch());
            let answering = groups.filter(|group| self.answers_reads(plan, server, *group));
            steps.extend(answering.map(|group| Step::Ask { server, group }));
        }
    }

    /// Takes a possible step.
    pub(super) fn take(&mut self, plan: &Plan, step: Step) {
        match step {
            Step::Submit { server, lane } => self.submit(plan, server, lane),
            Step::Resend { server, lane } => {
                let number = self.to_resend(plan, server, lane).expect("something is lost");
                self.send(plan, server, lane, number, self.servers[server].at.epoch());
            }
            Step::LateCopy { server, lane, number, epoch } => {
                self.left.late_copies -= 1;
                self.send(plan, server, lane, number, epoch);
            }
            Step::ProposeEnd { epoch, group, shape } => {
                self.left.ends[epoch] -= 1;
                self.propose(plan, epoch, group, Kind::End(shape));
            }
            Step::Pad { epoch, group } => {
                let place = self.padding(plan, epoch, group).expect("it pads");
                self.skip(plan, epoch, group, place);
            }
            Step::SkipAhead { epoch, group } => {
                self.left.skips -= 1;
                self.skip_ahead(plan, epoch, group);
            }
            Step::Replicate { epoch, group, server } => self.replicate(plan, epoch, group, server),
            Step::Install { epoch, group, server } => self.install(plan, epoch, group, server),
            Step::Persist { server } => self.persist(plan, server),
            Step::Elect { epoch, group, server } => {
                self.left.elections -= u8::from(self.leader(plan, epoch, group).is_some());
                self.elect(plan, epoch, group, server);
            }
            Step::Feed { server, from } => self.feed(plan, server, from),
            Step::Fetch { server, from } => self.fetch(plan, server, from),
            Step::Snapshot { server } => {
                self.left.snapshots -= 1;
                self.snapshot(plan, server);
            }
            Step::Compact { server } => {
                self.left.compactions -= 1;
                self.compact(plan, server);
            }
            Step::Close { server, epoch } => self.close(plan, server, epoch),
            Step::Stop { server } => self.stop(server),
            Step::Crash { server, damaged } => {
                self.left.crashes -= 1;
                self.left.damages -= u8::from(damaged);
                self.crash(plan, server, damaged);
            }
            Step::Restart { server } => {
                self.left.restarts -= 1;
                self.restart(plan, server);
            }
            Step::Read { server } => self.read(server),
            Step::Ask { server, group } => self.ask(server, group),
        }
    }

    /// Whether nothing goes on by itself but snapshots, closing and reads. What is stuck stays so until here, so it suffices to look at
    /// these states.
    pub(super) fn is_at_rest(&self, steps: &[Step]) -> bool {
        !steps.iter().any(|step| match *step {
            Step::Elect { epoch, group, .. } => self.groups[epoch][group].leader.is_none(),
            Step::Replicate { .. }
            | Step::Install { .. }
            | Step::Persist { .. }
            | Step::Pad { .. }
            | Step::Feed { .. }
            | Step::Fetch { .. }
            | Step::Resend { .. } => true,
            _ => false,
        })
    }
}
