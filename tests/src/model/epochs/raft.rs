//! Raft, abstracted: logs grow, are replicated and become durable; leaders come and go.

use niagara_sequencer::next_place;

use super::entry::{Entry, Kind};
use super::plan::{Plan, SERVERS, number};
use super::state::{Group, State};

impl State {
    /// What a quorum has acknowledged is committed, and the leader knows.
    fn count(&mut self, plan: &Plan, epoch: usize, group: usize) {
        let Some(leader) = self.proposer(plan, epoch, group) else { return };
        let voters = (0..SERVERS).filter(|server| self.acknowledges(plan, *server, epoch));
        let mut acknowledged: Vec<usize> =
            voters.map(|server| self.servers[server].replicas[epoch][group].disk).collect();
        acknowledged.sort_unstable_by(|a, b| b.cmp(a));
        let Some(quorum_has) = acknowledged.get(self.quorum(plan, epoch) - 1) else { return };
        let committed = &mut self.groups[epoch][group].committed;
        *committed = (*committed).max(*quorum_has);
        let replica = &mut self.servers[leader].replicas[epoch][group];
        let known = (*committed).min(replica.held);
        if known > replica.known {
            replica.known = known;
            self.go_on(plan, leader);
        }
    }

    pub(super) fn count_all(&mut self, plan: &Plan) {
        for epoch in 0..self.groups.len() {
            (0..self.groups[epoch].len()).for_each(|group| self.count(plan, epoch, group));
        }
    }

    /// The highest place of anything but skips that a server has of an epoch.
    fn level(&self, server: usize, epoch: usize) -> u64 {
        let logs = self.groups[epoch].iter().zip(&self.servers[server].replicas[epoch]);
        let entries = logs.flat_map(|(group, replica)| &group.log[..replica.held]);
        entries.filter(|entry| entry.kind != Kind::Skip).map(|entry| entry.place).max().unwrap_or(0)
    }

    /// The place of a log's last entry.
    pub(super) fn last(&self, epoch: usize, group: usize) -> u64 {
        self.groups[epoch][group].log.last().map_or(0, |entry| entry.place)
    }

    /// Appends to the leader's log. Returns whether there was one.
    pub(super) fn propose(&mut self, plan: &Plan, epoch: usize, group: usize, kind: Kind) -> bool {
        let Some(leader) = self.proposer(plan, epoch, group) else { return false };
        self.append_at(
            plan,
            epoch,
            group,
            next_place(self.last(epoch, group), self.level(leader, epoch)),
            kind,
        );
        true
    }

    /// Appends a skip up to `place`.
    pub(super) fn skip(&mut self, plan: &Plan, epoch: usize, group: usize, place: u64) {
        self.append_at(plan, epoch, group, place, Kind::Skip);
    }

    /// Skips one place beyond the level, or beyond what is there.
    pub(super) fn skip_ahead(&mut self, plan: &Plan, epoch: usize, group: usize) {
        if let Some(leader) = self.proposer(plan, epoch, group) {
            let place = self.level(leader, epoch).max(self.last(epoch, group)) + 1;
            self.skip(plan, epoch, group, place);
        }
    }

    fn append_at(&mut self, plan: &Plan, epoch: usize, group: usize, place: u64, kind: Kind) {
        let leader = self.proposer(plan, epoch, group).expect("a leader proposes");
        let log = &mut self.groups[epoch][group].log;
        log.push(Entry { place, kind });
        let entries = log.len();
        self.hold(plan, leader, epoch, group, entries);
        self.count(plan, epoch, group);
    }

    /// A server comes to hold so many entries of a log.
    pub(super) fn hold(&mut self, plan: &Plan, server: usize, epoch: usize, group: usize, entries: usize) {
        let replica = &mut self.servers[server].replicas[epoch][group];
        replica.held = replica.held.max(entries);
        if !plan.slow_disks {
            replica.disk = replica.held;
        }
    }

    /// Whether the leader has news for a server.
    pub(super) fn lacks(&self, plan: &Plan, epoch: usize, group: usize, server: usize) -> bool {
        self.proposer(plan, epoch, group).is_some_and(|leader| {
            let leads = self.servers[leader].replicas[epoch][group];
            let follows = self.servers[server].replicas[epoch][group];
            leader != server
                && self.acknowledges(plan, server, epoch)
                && (follows.held < leads.held || follows.known < leads.known)
        })
    }

    /// Whether the leader has compacted its log beyond what a server holds of it, so that a snapshot has to come first.
    pub(super) fn lacks_more(&self, plan: &Plan, epoch: usize, group: usize, server: usize) -> bool {
        let held = self.servers[server].replicas[epoch][group].held;
        let leader = self.proposer(plan, epoch, group);
        leader.is_some_and(|leader| self.servers[leader].replicas[epoch][group].gone > held)
    }

    /// A server takes what the leader has.
    pub(super) fn replicate(&mut self, plan: &Plan, epoch: usize, group: usize, server: usize) {
        let leader = self.proposer(plan, epoch, group).expect("a leader sends");
        let leads = self.servers[leader].replicas[epoch][group];
        self.hold(plan, server, epoch, group, leads.held);
        let known = &mut self.servers[server].replicas[epoch][group].known;
        *known = leads.known.max(*known);
        self.go_on(plan, server);
        self.count(plan, epoch, group);
    }

    pub(super) fn has_unwritten(&self, server: usize) -> bool {
        self.servers[server].replicas.iter().flatten().any(|replica| replica.disk < replica.held)
    }

    /// What a server holds in memory becomes durable.
    pub(super) fn persist(&mut self, plan: &Plan, server: usize) {
        self.servers[server].replicas.iter_mut().flatten().for_each(|replica| replica.disk = replica.held);
        self.count_all(plan);
        self.go_on(plan, server);
    }

    pub(super) fn may_be_elected(&self, plan: &Plan, epoch: usize, group: usize, server: usize) -> bool {
        let held = |server: usize| self.servers[server].replicas[epoch][group].held;
        let voter = |voter: &usize| self.votes(plan, *voter, epoch) && held(*voter) <= held(server);
        self.votes(plan, server, epoch)
            && self.groups[epoch][group].leader != Some(server)
            && (0..SERVERS).filter(voter).count() >= self.quorum(plan, epoch)
    }

    /// A server becomes the leader of a group. What it lacks of the log is lost.
    pub(super) fn elect(&mut self, plan: &Plan, epoch: usize, group: usize, server: usize) {
        let held = self.servers[server].replicas[epoch][group].held;
        let Group { leader, log, committed } = &mut self.groups[epoch][group];
        *leader = Some(server);
        log.truncate(held);
        *committed = held.min(*committed);
        for server in &mut self.servers {
            let replica = &mut server.replicas[epoch][group];
            replica.held = replica.held.min(held);
            replica.disk = replica.disk.min(held);
            replica.known = replica.known.min(held);
        }
        self.count(plan, epoch, group);
    }

    /// Up to which place a leader pads its log: the level, as anybody who is up knows it; in an epoch that the leader has seen
    /// end, no further than to its last round.
    pub(super) fn padding(&self, plan: &Plan, epoch: usize, group: usize) -> Option<u64> {
        let leader = self.proposer(plan, epoch, group)?;
        let up = (0..SERVERS).filter(|server| self.servers[*server].up);
        let level = up.map(|server| self.level(server, epoch)).max().unwrap_or(0);
        let last_round = self.servers[leader].at.chain.last_round(number(epoch));
        let level = level.min(last_round.unwrap_or(u64::MAX));
        (self.last(epoch, group) < level).then_some(level)
    }

    /// A server leads nothing any more.
    pub(super) fn resign(&mut self, server: usize, epochs: impl Fn(usize) -> bool) {
        for (epoch, groups) in self.groups.iter_mut().enumerate() {
            let led = groups.iter_mut().filter(|group| epochs(epoch) && group.leader == Some(server));
            led.for_each(|group| group.leader = None);
        }
    }
}
