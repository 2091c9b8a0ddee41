//! What a server does by itself at once: it merges, executes, releases reads, and starts the next epoch.

use std::sync::Arc;

use niagara_sequencer::epoch::{Chain, Epoch, OnDisk, Sealed, is_held};
use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Merge};

use super::entry::{Entry, Kind};
use super::plan::{LANES, Mistake, Plan, number};
use super::progress::{Executed, Progress, Row};
use super::state::{Replica, Server, State};

/// A server's merge needs entries that are gone.
struct Gap;

impl State {
    /// Lets a server do all that follows from what it knows.
    pub(super) fn go_on(&mut self, plan: &Plan, server: usize) {
        if !self.servers[server].up {
            return;
        }
        let mut at = self.servers[server].at.clone();
        let before = at.executed;
        let mut executed = Vec::new();
        if self.merge(plan, server, &mut at, &mut executed).is_err() {
            return self.violate("compaction_floor");
        }
        for (index, one) in (before..).zip(executed) {
            self.execute(server, index, one);
        }
        self.move_to(plan, server, at);
        self.start_epochs(plan, server);
    }

    /// Moves the merge of a server, and all that depends on where it is.
    pub(super) fn move_to(&mut self, plan: &Plan, server: usize, at: Progress) {
        let from = self.servers[server].at.epoch();
        for epoch in from + 1..=at.epoch() {
            let is = |shape: &usize| plan.terms(epoch, *shape) == at.chain.links()[epoch].record.terms;
            self.shapes[epoch] = (0..plan.epochs[epoch].len()).find(is);
        }
        let agrees = |other: &Server| {
            let mut both = at.chain.links().iter().zip(other.at.chain.links());
            both.all(|(here, there)| here.hash == there.hash)
        };
        if !self.servers.iter().all(agrees) {
            self.violate("global_prefix");
        }
        let before = from..at.epoch();
        self.servers[server].at = at;
        before.for_each(|epoch| self.reads_end_epoch(plan, server, epoch));
        let this = &mut self.servers[server];
        for lane in 0..LANES {
            let Row { start, next } = this.at.rows[server][lane];
            if start == this.start {
                this.done[lane] = this.done[lane].max(next - 1);
            }
        }
        self.release(server);
    }

    /// Merges what a server knows to be committed.
    fn merge(
        &self,
        plan: &Plan,
        server: usize,
        at: &mut Progress,
        executed: &mut Vec<Executed>,
    ) -> Result<(), Gap> {
        while self.merge_epoch(plan, server, at, executed)? {
            at.transition();
        }
        Ok(())
    }

    /// Merges the running epoch. Returns whether it has ended.
    fn merge_epoch(
        &self,
        plan: &Plan,
        server: usize,
        at: &mut Progress,
        executed: &mut Vec<Executed>,
    ) -> Result<bool, Gap> {
        let epoch = at.epoch();
        let layout = at.layout();
        // The merge of a round begun is repeated from its first slot, without effect.
        let mut merge = Merge::resume(layout, layout.rounds_within(at.position), GroupId::new(1));
        for group in layout.group_ids() {
            let Replica { gone, known, .. } = self.servers[server].replicas[epoch][group.index()];
            let (gone, known) = self.groups[epoch][group.index()].log[..known].split_at(gone);
            if gone.last().is_some_and(|last| last.place > layout.rounds_within(at.position)) {
                return Err(Gap);
            }
            for Entry { place, kind } in known {
                if plan.has(Mistake::FirstSeenEndCounts) {
                    at.offer(plan, *place, *kind);
                }
                let fill = if *kind == Kind::Skip { Fill::Skip } else { Fill::Commands(*kind) };
                merge.push(group, *place, fill);
            }
        }
        at.end_merge(&mut merge);
        while let Some(emitted) = merge.next() {
            match emitted {
                Emitted::Noops { first, count } => {
                    let last = GlobalPosition::new(first.get() + count - 1);
                    at.position = at.position.max(last);
                }
                Emitted::Commands { position, item } if position > at.position => {
                    at.position = position;
                    match item {
                        Kind::Command(command) => executed.extend(at.execute(command)),
                        Kind::End(_) => {
                            at.offer(plan, layout.slot_at(position).place, item);
                            at.end_merge(&mut merge);
                        }
                        Kind::Skip => {}
                    }
                }
                Emitted::Commands { .. } => {}
            }
        }
        if merge.has_ended() && plan.has(Mistake::VoidIsExecuted) {
            self.execute_void(server, at, executed);
        }
        Ok(merge.has_ended())
    }

    /// The planted mistake: executes the first void command of each group.
    fn execute_void(&self, server: usize, at: &mut Progress, executed: &mut Vec<Executed>) {
        let epoch = at.epoch();
        let last_round = at.ending.last_round();
        for (group, replica) in self.groups[epoch].iter().zip(&self.servers[server].replicas[epoch]) {
            let void = group.log[..replica.known].iter().find(|entry| Some(entry.place) > last_round);
            if let Some(Entry { kind: Kind::Command(command), .. }) = void {
                executed.extend(at.execute(*command));
            }
        }
    }

    /// Compares what a server executes with what others have executed: global_prefix and applied_once.
    fn execute(&mut self, server: usize, index: usize, one: Executed) {
        let Executed { command, .. } = one;
        if command.server == server && command.start == self.servers[server].start {
            let done = &mut self.servers[server].done[command.lane];
            *done = command.number.max(*done);
        }
        let same = |other: &&Executed| {
            let other = other.command;
            (other.server, other.start, other.lane) == (command.server, command.start, command.lane)
        };
        match self.history.get(index) {
            Some(other) if *other == one => {}
            None if index == self.history.len() => {
                let latest = self.history.iter().rfind(same).map_or(0, |other| other.command.number);
                if latest + 1 != command.number {
                    self.violate("applied_once");
                }
                self.history.push(one);
            }
            _ => self.violate("global_prefix"),
        }
    }

    /// Starts the newest epoch whose predecessor this server holds.
    fn start_epochs(&mut self, plan: &Plan, server: usize) {
        let chain = Arc::clone(&self.servers[server].at.chain);
        let started = self.servers[server].marks.newest_started();
        let may_start = |epoch: &usize| {
            started < Some(number(*epoch))
                && self.is_member(plan, server, *epoch)
                && (plan.has(Mistake::StartsWhenMerged) || self.holds(plan, server, &chain, *epoch - 1))
        };
        let Some(epoch) = (1..chain.links().len()).rev().find(may_start) else { return };
        let sealed = |ended: usize| Sealed {
            epoch: number(ended),
            last_round: chain.last_round(number(ended)).expect("it has ended"),
            committed: self.servers[server].replicas[ended]
                .iter()
                .map(|log| log.known.min(log.disk) as u64)
                .collect(),
        };
        let open = self.servers[server].marks.first_open().get() as usize - 1;
        let sealed = (open..epoch).map(sealed).filter(|_| !plan.has(Mistake::StartForgetsCommits)).collect();
        let marks = &mut self.servers[server].marks;
        marks.create(number(epoch));
        marks.start(number(epoch), sealed);
    }

    /// Whether a server's disk alone leads to the end of an epoch.
    fn holds(&self, plan: &Plan, server: usize, chain: &Chain, epoch: usize) -> bool {
        let on_disk = |epoch: Epoch, group: GroupId| {
            let epoch = epoch.get() as usize - 1;
            let replica = self.servers[server].replicas[epoch][group.index()];
            let log = &self.groups[epoch][group.index()].log[..replica.known];
            let (durable, rest) = log.split_at(replica.disk.min(replica.known));
            let mut proven = durable.last().map_or(0, |entry| entry.place);
            if plan.has(Mistake::NoopsNeedNoProof) {
                let last_round = chain.last_round(number(epoch)).unwrap_or(u64::MAX);
                let noops =
                    rest.iter().take_while(|entry| entry.kind == Kind::Skip || entry.place > last_round);
                proven = noops.last().map_or(proven, |entry| entry.place);
            }
            let gone = log[..replica.gone].last().map_or(0, |entry| entry.place);
            OnDisk { gone, proven }
        };
        is_held(&self.servers[server].cuts(), number(epoch), chain, on_disk)
    }
}
