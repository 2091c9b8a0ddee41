//! A model of a cluster, as small as the rules of this crate allow.
//!
//! Raft is taken for granted: each group has one true log with a committed prefix, and a leader whose log is
//! that one. Servers hold prefixes of the logs, know less of what is committed, and hear of everything late.
//! A step picks who moves; [`Cluster::settle`] lets everyone move in turn, as in a cluster without new
//! commands.

use std::collections::BTreeMap;

use niagara_sequencer::{
    Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Padding, ReadBarriers, Round, Slot, next_place,
};

use crate::histories::Step;

pub const SERVERS: usize = 3;
pub const RETRY_TICKS: u32 = 3;

/// How the cluster follows the rules; tests plant mistakes here.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Idle leaders skip ahead of the level.
    pub skip_ahead: bool,
    /// A stuck merge asks the awaited group's leader to pad.
    pub pad_requests: bool,
    /// The group that strong reads ask; `None` for the rule: the one that owns the awaited slot.
    pub reads_ask: Option<GroupId>,
    /// How many places too low answers to strong reads are.
    pub stale_answers: u64,
    /// The link of this group to this server is down.
    pub broken_link: Option<(GroupId, usize)>,
}

impl Habits {
    pub const GOOD: Self =
        Self { skip_ahead: true, pad_requests: true, reads_ask: None, stale_answers: 0, broken_link: None };
}

/// An entry of a local log that fills slots: commands with their own number, or a skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    place: u64,
    command: Option<u32>,
}

#[derive(Debug)]
struct Group {
    leader: usize,
    log: Vec<Entry>,
    committed: usize,
}

impl Group {
    fn last_place(log: &[Entry]) -> u64 {
        log.last().map_or(0, |entry| entry.place)
    }
}

/// A strong read, and the last position that any server had emitted when it was queued: nothing above it was
/// acknowledged.
#[derive(Clone, Copy, Debug)]
struct Read {
    newest: GlobalPosition,
}

#[derive(Debug)]
struct Server {
    /// For each group's log, how many entries the server holds, and how many of those it knows to be
    /// committed.
    holds: Vec<(usize, usize)>,
    level: u64,
    merge: Merge<u32>,
    /// Its global log, without the no-ops.
    global: BTreeMap<GlobalPosition, u32>,
    applied: GlobalPosition,
    emitted_at_tick: GlobalPosition,
    reads: ReadBarriers<Read>,
}

#[derive(Clone, Copy, Debug)]
enum Message {
    Ask { from: usize, round: Round, newest: GlobalPosition },
    Answer { to: usize, id: u64, place: u64 },
}

#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    habits: Habits,
    groups: Vec<Group>,
    servers: Vec<Server>,
    messages: Vec<Message>,
    /// Entries with commands, and skips, that each group's leaders have proposed.
    pub commands: Vec<u32>,
    pub skips: Vec<u32>,
}

impl Cluster {
    pub fn new(groups: u16, habits: Habits) -> Self {
        let layout = Layout::new(groups);
        let r = usize::from(groups);
        let server = || Server {
            holds: vec![(0, 0); r],
            level: 0,
            merge: Merge::new(layout),
            global: BTreeMap::new(),
            applied: GlobalPosition::ZERO,
            emitted_at_tick: GlobalPosition::ZERO,
            reads: ReadBarriers::new(layout, RETRY_TICKS),
        };
        Self {
            layout,
            habits,
            groups: (0..r).map(|i| Group { leader: i % SERVERS, log: Vec::new(), committed: 0 }).collect(),
            servers: (0..SERVERS).map(|_| server()).collect(),
            messages: Vec::new(),
            commands: vec![0; r],
            skips: vec![0; r],
        }
    }

    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Command { group } => self.command(GroupId::new(group)),
            Step::LeaderTurn { group } => self.leader_turn(GroupId::new(group)),
            Step::Replicate { group, server, entries } => {
                self.replicate(GroupId::new(group), server, entries);
            }
            Step::Commit { group, entries } => {
                let group = &mut self.groups[GroupId::new(group).index()];
                group.committed = group.log.len().min(group.committed + entries);
            }
            Step::LearnCommits { group, server } => self.learn_commits(GroupId::new(group), server),
            Step::Apply { server, positions } => self.apply(server, positions),
            Step::Read { server } => self.read(server),
            Step::Begin { server } => self.begin(server),
            Step::Deliver { message } => self.deliver(message),
            Step::Lose { message } => {
                if message < self.messages.len() {
                    self.messages.remove(message);
                }
            }
            Step::Tick { server } => self.tick(server),
            Step::Elect { group, server } => self.elect(GroupId::new(group), server),
        }
    }

    /// Lets everything happen that needs no further commands, until no read waits. Returns how many ticks
    /// that took, or `None` if `limit` ticks did not suffice.
    pub fn settle(&mut self, limit: u32) -> Option<u32> {
        for ticks in 0..=limit {
            self.everyone_moves();
            if self.servers.iter().all(|server| server.reads.is_empty()) {
                return Some(ticks);
            }
            (0..SERVERS).for_each(|server| self.tick(server));
        }
        None
    }

    /// The same, for `ticks` ticks.
    pub fn rest(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.everyone_moves();
            (0..SERVERS).for_each(|server| self.tick(server));
        }
    }

    fn everyone_moves(&mut self) {
        for group in self.layout.group_ids() {
            self.leader_turn(group);
            (0..SERVERS).for_each(|server| self.replicate(group, server, usize::MAX));
            self.groups[group.index()].committed = self.groups[group.index()].log.len();
            (0..SERVERS).for_each(|server| self.learn_commits(group, server));
        }
        for server in 0..SERVERS {
            self.apply(server, u64::MAX);
            self.begin(server);
        }
        // Messages that these give rise to stay in flight until everyone moves again.
        for _ in 0..self.messages.len() {
            self.deliver(0);
        }
        (0..SERVERS).for_each(|server| self.apply(server, 0));
    }

    /// Whether every committed command has been applied everywhere.
    pub fn all_applied(&self) -> bool {
        let committed: usize = self
            .groups
            .iter()
            .map(|group| group.log[..group.committed].iter().filter(|entry| entry.command.is_some()).count())
            .sum();
        (0..SERVERS).all(|server| self.applied_commands(server) == committed)
    }

    pub fn applied_commands(&self, server: usize) -> usize {
        let Server { global, applied, .. } = &self.servers[server];
        global.range(..=*applied).count()
    }

    /// Invariant `global_prefix`, between any two servers.
    pub fn check_global_prefix(&self) {
        for a in &self.servers {
            for b in &self.servers {
                let common = a.merge.emitted().min(b.merge.emitted());
                let (in_a, in_b) = (a.global.range(..=common), b.global.range(..=common));
                assert!(in_a.eq(in_b), "global_prefix is violated at or below position {common}: {self:#?}");
            }
        }
    }

    pub fn read(&mut self, server: usize) {
        let newest = self.newest();
        self.servers[server].reads.queue(Read { newest });
    }

    pub fn command(&mut self, group: GroupId) {
        let number = self.commands.iter().sum();
        self.commands[group.index()] += 1;
        let Group { leader, log, .. } = &self.groups[group.index()];
        let place = next_place(Group::last_place(log), self.servers[*leader].level);
        self.propose(group, Entry { place, command: Some(number) });
    }

    /// The last position that any server has emitted; everything acknowledged is at or below it.
    fn newest(&self) -> GlobalPosition {
        self.servers.iter().map(|server| server.merge.emitted()).max().expect("there are servers")
    }

    /// A leader without commands to cut checks whether to pad.
    fn leader_turn(&mut self, group: GroupId) {
        let Group { leader, log, .. } = &self.groups[group.index()];
        let server = &self.servers[*leader];
        let merged = |entry: &Entry| {
            self.layout.position_of(Slot { place: entry.place, group }) <= server.merge.emitted()
        };
        let idle = log.iter().rfind(|entry| entry.command.is_some()).is_none_or(merged);
        let padding = Padding {
            last: Group::last_place(log),
            level: server.level,
            ahead: self.habits.skip_ahead && idle && server.merge.anchor() != group,
        };
        if let Some(place) = padding.skip_to() {
            self.skips[group.index()] += 1;
            self.propose(group, Entry { place, command: None });
        }
    }

    fn propose(&mut self, group: GroupId, entry: Entry) {
        self.groups[group.index()].log.push(entry);
        self.replicate(group, self.groups[group.index()].leader, usize::MAX);
    }

    /// A server stores up to `entries` more entries of the group's log, and reads the level from them.
    fn replicate(&mut self, group: GroupId, server: usize, entries: usize) {
        let Group { log, leader, .. } = &self.groups[group.index()];
        if self.habits.broken_link == Some((group, server)) && server != *leader {
            return;
        }
        let Server { holds, level, .. } = &mut self.servers[server];
        let held = &mut holds[group.index()].0;
        let more = log[*held..].iter().take(entries);
        *held += more.len();
        *level = more.filter(|entry| entry.command.is_some()).map(|entry| entry.place).fold(*level, u64::max);
    }

    /// A server learns how much of the group's log is committed, and merges what it holds of that.
    fn learn_commits(&mut self, group: GroupId, server: usize) {
        let Group { log, committed, .. } = &self.groups[group.index()];
        let server = &mut self.servers[server];
        let (held, known) = &mut server.holds[group.index()];
        let news = *known..(*held).min(*committed).max(*known);
        *known = news.end;
        for entry in &log[news] {
            server.merge.push(group, entry.place, entry.command.map_or(Fill::Skip, Fill::Commands));
        }
        while let Some(emitted) = server.merge.next() {
            if let Emitted::Commands { position, item } = emitted {
                server.global.insert(position, item);
            }
        }
    }

    /// A server applies some of what its merge has emitted, and answers the reads that may then be answered.
    fn apply(&mut self, server: usize, positions: u64) {
        let server = &mut self.servers[server];
        let emitted = server.merge.emitted();
        let applied = server.applied.get().saturating_add(positions).min(emitted.get());
        server.applied = GlobalPosition::new(applied);
        let mut done = Vec::new();
        server.reads.release(server.applied, &mut done);
        for read in done {
            assert!(
                server.applied >= read.newest,
                "read_is_fresh: {read:?} is answered at {}",
                server.applied
            );
        }
    }

    fn begin(&mut self, server: usize) {
        let awaited = self.asked(server);
        if let Some(round) = self.servers[server].reads.begin(awaited) {
            self.send(server, round);
        }
    }

    fn tick(&mut self, server: usize) {
        let asked = self.asked(server);
        let Server { merge, emitted_at_tick, reads, .. } = &mut self.servers[server];
        let halted = merge.emitted() == *emitted_at_tick;
        *emitted_at_tick = merge.emitted();
        let round = reads.tick(asked, halted);
        let pad_request = merge.held_level().filter(|_| halted && self.habits.pad_requests);
        let leader = self.groups[merge.awaited().group.index()].leader;
        if let Some(level) = pad_request {
            self.servers[leader].level = self.servers[leader].level.max(level);
        }
        if let Some(round) = round {
            self.send(server, round);
        }
    }

    fn asked(&self, server: usize) -> GroupId {
        self.habits.reads_ask.unwrap_or(self.servers[server].merge.awaited().group)
    }

    fn send(&mut self, from: usize, round: Round) {
        self.messages.push(Message::Ask { from, round, newest: self.newest() });
    }

    fn deliver(&mut self, message: usize) {
        if message >= self.messages.len() {
            return;
        }
        match self.messages.remove(message) {
            Message::Ask { from, round, newest } => {
                let Group { log, committed, .. } = &self.groups[round.group.index()];
                let last = Group::last_place(&log[..*committed]);
                let place = last.saturating_sub(self.habits.stale_answers);
                let barrier = self.layout.barrier_above(Slot { place, group: round.group });
                assert!(
                    barrier > newest,
                    "read_is_fresh: a round that began when {newest} was emitted has barrier {barrier}"
                );
                self.messages.push(Message::Answer { to: from, id: round.id, place });
            }
            Message::Answer { to, id, place } => self.servers[to].reads.answered(id, place),
        }
    }

    /// A server becomes leader if it holds everything committed (Raft, section 5.4.1); what it lacks is
    /// overwritten.
    fn elect(&mut self, group: GroupId, server: usize) {
        let held = self.servers[server].holds[group.index()].0;
        let Group { leader, log, committed } = &mut self.groups[group.index()];
        if held < *committed {
            return;
        }
        *leader = server;
        log.truncate(held);
        for follower in &mut self.servers {
            let holds = &mut follower.holds[group.index()].0;
            *holds = held.min(*holds);
        }
    }
}
