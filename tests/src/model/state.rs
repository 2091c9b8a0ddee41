//! A cluster at one moment, and its steps.
//!
//! Raft is taken for granted: each group has one true log with a committed prefix, and a leader whose log is
//! that one. Servers hold prefixes of the logs, and hear of everything late. Only the servers of the plan are
//! modelled. Others complete the quorums, so a committed entry may be on no modelled server but its leader.

use niagara_sequencer::{
    Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Padding, ReadBarriers, Slot, next_place,
};

use super::{Asked, Padded, Plan};

/// A read's round is retried after this many ticks without an answer.
pub(super) const RETRY_TICKS: u32 = 2;

/// An entry of a local log that fills slots: a numbered command, or a skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) place: u64,
    pub(super) command: Option<u8>,
}

/// A group: its true log, of which a prefix is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) leader: usize,
    pub(super) log: Vec<Entry>,
    pub(super) committed: usize,
}

/// A strong read, and the last position that any server had emitted when it was asked: everything
/// acknowledged by then is at or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    newest: GlobalPosition,
}

/// What a server holds of a group's log: the number of entries, and how many of them it knows to be
/// committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Prefix {
    pub(super) held: usize,
    pub(super) known: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) prefixes: Vec<Prefix>,
    level: u64,
    pub(super) merge: Merge<u8>,
    /// Its global log without the no-ops. What the merge emits is applied at once.
    pub(super) global: Vec<(GlobalPosition, u8)>,
    emitted_at_tick: GlobalPosition,
    pub(super) reads: ReadBarriers<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Message {
    /// To a group's leader: which is your last committed place?
    Ask {
        from: usize,
        round: u64,
        group: GroupId,
    },
    Answer {
        to: usize,
        round: u64,
        place: u64,
    },
}

/// How many inputs are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) commands: u8,
    pub(super) reads: u8,
    pub(super) ticks: u8,
    pub(super) elections: u8,
}

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) groups: Vec<Group>,
    pub(super) servers: Vec<Server>,
    /// Sorted, since they may overtake each other.
    pub(super) messages: Vec<Message>,
    pub(super) left: Left,
    /// Whether a read was answered at a position below one that had been emitted when it was asked.
    pub(super) stale_answer: bool,
}

/// The next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The leader of a group cuts a client's command into an entry.
    Command(GroupId),
    /// A client makes a strong read through a server, which asks a group.
    Read(usize),
    /// Time passes on a server.
    Tick(usize),
    /// A server becomes a group's leader; what it lacks of the log is lost.
    Elect(GroupId, usize),
    /// A leader without commands pads its log.
    Pad(GroupId),
    /// A server stores what it lacks of a group's log.
    Replicate(GroupId, usize),
    /// One more entry of a group is committed, and its leader knows.
    Commit(GroupId),
    /// A server learns what is committed of a group, and merges it.
    Learn(GroupId, usize),
    /// The message with this index arrives.
    Deliver(usize),
}

impl State {
    /// A cluster whose logs all hold so many committed commands, known to all servers.
    pub(super) fn new(plan: &Plan) -> State {
        let layout = Layout::new(plan.groups);
        let server = Server {
            prefixes: vec![Prefix { held: 0, known: 0 }; plan.groups.into()],
            level: 0,
            merge: Merge::new(layout),
            global: Vec::new(),
            emitted_at_tick: GlobalPosition::ZERO,
            reads: ReadBarriers::new(layout, RETRY_TICKS),
        };
        let group = |index| Group { leader: index % plan.servers, log: Vec::new(), committed: 0 };
        let left = Left {
            commands: plan.all_commands(),
            reads: plan.reads,
            ticks: plan.ticks,
            elections: plan.elections,
        };
        let mut state = State {
            groups: (0..plan.groups.into()).map(group).collect(),
            servers: vec![server; plan.servers],
            messages: Vec::new(),
            left,
            stale_answer: false,
        };
        for _ in 0..plan.rounds_before {
            layout.group_ids().for_each(|group| state.take(plan, Step::Command(group)));
        }
        state.everyone_moves(plan);
        state
    }

    /// All possible next steps: inputs, and what follows from earlier steps.
    pub(super) fn steps(&self, plan: &Plan, steps: &mut Vec<Step>) {
        let servers = 0..self.servers.len();
        for (index, group) in self.groups.iter().enumerate() {
            let id = GroupId::new(index as u16 + 1);
            if self.left.commands > 0 {
                steps.push(Step::Command(id));
            }
            let lacks_nothing =
                |server: &usize| self.servers[*server].prefixes[index].held >= group.committed;
            if self.left.elections > 0 {
                let candidates = servers.clone().filter(|server| *server != group.leader);
                steps.extend(candidates.filter(lacks_nothing).map(|server| Step::Elect(id, server)));
            }
        }
        if self.left.reads > 0 {
            steps.extend(servers.clone().map(Step::Read));
        }
        if self.left.ticks > 0 {
            steps.extend(servers.map(Step::Tick));
        }
        self.steps_within(plan, steps);
    }

    /// The possible steps without inputs, and without time.
    pub(super) fn steps_within(&self, plan: &Plan, steps: &mut Vec<Step>) {
        for (index, group) in self.groups.iter().enumerate() {
            let id = GroupId::new(index as u16 + 1);
            if self.padding(plan, id).is_some() {
                steps.push(Step::Pad(id));
            }
            if group.committed < group.log.len() {
                steps.push(Step::Commit(id));
            }
            for (number, server) in self.servers.iter().enumerate() {
                let Prefix { held, known } = server.prefixes[index];
                if held < group.log.len() {
                    steps.push(Step::Replicate(id, number));
                }
                if known < plan.may_merge(held, group.committed) {
                    steps.push(Step::Learn(id, number));
                }
            }
        }
        steps.extend((0..self.messages.len()).map(Step::Deliver));
    }

    /// Takes a possible step.
    pub(super) fn take(&mut self, plan: &Plan, step: Step) {
        match step {
            Step::Command(group) => {
                let command = plan.all_commands() - self.left.commands;
                self.left.commands -= 1;
                let place = next_place(self.last_place(plan, group), self.servers[self.leader(group)].level);
                self.propose(group, Entry { place, command: Some(command) });
            }
            Step::Read(server) => {
                self.left.reads -= 1;
                let newest = self.newest();
                self.servers[server].reads.queue(Read { newest });
                self.begin(plan, server);
            }
            Step::Tick(server) => {
                self.left.ticks -= 1;
                self.tick(plan, server);
            }
            Step::Elect(group, server) => {
                self.left.elections -= 1;
                self.elect(group, server);
            }
            Step::Pad(group) => {
                let place = self.padding(plan, group).expect("it pads");
                self.propose(group, Entry { place, command: None });
            }
            Step::Replicate(group, server) => self.replicate(group, server),
            Step::Commit(group) => {
                self.groups[group.index()].committed += 1;
                self.learn(plan, group, self.leader(group));
            }
            Step::Learn(group, server) => self.learn(plan, group, server),
            Step::Deliver(message) => self.deliver(plan, message),
        }
    }

    fn leader(&self, group: GroupId) -> usize {
        self.groups[group.index()].leader
    }

    fn last_place(&self, plan: &Plan, group: GroupId) -> u64 {
        let Group { log, committed, .. } = &self.groups[group.index()];
        let log = if plan.places_forget_uncommitted { &log[..*committed] } else { log };
        log.last().map_or(0, |entry| entry.place)
    }

    /// The last position that any server has emitted.
    fn newest(&self) -> GlobalPosition {
        self.servers.iter().map(|server| server.merge.emitted()).max().expect("there are servers")
    }

    /// The place up to which a group's leader would now fill its log with no-ops.
    fn padding(&self, plan: &Plan, group: GroupId) -> Option<u64> {
        let Group { log, leader, .. } = &self.groups[group.index()];
        let server = &self.servers[*leader];
        let last = log.last().map_or(0, |entry| entry.place);
        let ahead = match plan.padded {
            Padded::ToTheLevel { skip_ahead } => skip_ahead,
            Padded::ByCount => return self.count_to_pad(group).map(|count| last + count),
        };
        let layout = Layout::new(plan.groups);
        let merged =
            |entry: &Entry| layout.position_of(Slot { place: entry.place, group }) <= server.merge.emitted();
        let idle = log.iter().rfind(|entry| entry.command.is_some()).is_none_or(merged);
        let ahead = ahead && idle && server.merge.anchor() != group;
        Padding { last, level: server.level, ahead }.skip_to()
    }

    /// The paper's rule: by how much the longest log is longer than this group's, as far as its leader knows
    /// them to be committed. No-ops count like any entry.
    fn count_to_pad(&self, group: GroupId) -> Option<u64> {
        let leader = &self.servers[self.leader(group)];
        let length = |(prefix, group): (&Prefix, &Group)| {
            group.log[..prefix.known].last().map_or(0, |entry| entry.place)
        };
        let lengths: Vec<u64> = leader.prefixes.iter().zip(&self.groups).map(length).collect();
        let longest = *lengths.iter().max().expect("there are groups");
        Some(longest - lengths[group.index()]).filter(|&count| count > 0)
    }

    fn propose(&mut self, group: GroupId, entry: Entry) {
        self.groups[group.index()].log.push(entry);
        self.replicate(group, self.leader(group));
    }

    fn replicate(&mut self, group: GroupId, server: usize) {
        let log = &self.groups[group.index()].log;
        let Server { prefixes, level, .. } = &mut self.servers[server];
        let held = &mut prefixes[group.index()].held;
        let commands = log[*held..].iter().filter(|entry| entry.command.is_some());
        *level = commands.map(|entry| entry.place).fold(*level, u64::max);
        *held = log.len();
    }

    fn learn(&mut self, plan: &Plan, group: GroupId, server: usize) {
        let Group { log, committed, .. } = &self.groups[group.index()];
        let Server { prefixes, merge, global, .. } = &mut self.servers[server];
        let Prefix { held, known } = &mut prefixes[group.index()];
        let news = *known..plan.may_merge(*held, *committed).max(*known);
        *known = news.end;
        for entry in &log[news] {
            merge.push(group, entry.place, entry.command.map_or(Fill::Skip, Fill::Commands));
        }
        while let Some(emitted) = merge.next() {
            if let Emitted::Commands { position, item } = emitted {
                global.push((position, item));
            }
        }
        self.release(plan, server);
    }

    /// Answers the reads that may be answered; then the next may ask.
    fn release(&mut self, plan: &Plan, server: usize) {
        let Server { merge, reads, .. } = &mut self.servers[server];
        let mut done = Vec::new();
        reads.release(merge.emitted(), &mut done);
        self.stale_answer |= done.iter().any(|read| read.newest > merge.emitted());
        self.begin(plan, server);
    }

    fn asked(&self, plan: &Plan, server: usize) -> GroupId {
        match plan.asked {
            Asked::Awaited => self.servers[server].merge.awaited().group,
            Asked::Always(group) => group,
        }
    }

    fn begin(&mut self, plan: &Plan, server: usize) {
        let asked = self.asked(plan, server);
        if let Some(round) = self.servers[server].reads.begin(asked) {
            self.send(Message::Ask { from: server, round: round.id, group: round.group });
        }
    }

    fn send(&mut self, message: Message) {
        let at = self.messages.partition_point(|other| *other < message);
        self.messages.insert(at, message);
    }

    fn deliver(&mut self, plan: &Plan, message: usize) {
        match self.messages.remove(message) {
            Message::Ask { from, round, group } => {
                let Group { log, committed, .. } = &self.groups[group.index()];
                let last = log[..*committed].last().map_or(0, |entry| entry.place);
                let place = last.saturating_sub(plan.answers_too_low);
                self.send(Message::Answer { to: from, round, place });
            }
            Message::Answer { to, round, place } => {
                self.servers[to].reads.answered(round, place);
                self.release(plan, to);
            }
        }
    }

    fn tick(&mut self, plan: &Plan, server: usize) {
        let asked = self.asked(plan, server);
        let Server { merge, emitted_at_tick, reads, .. } = &mut self.servers[server];
        let halted = merge.emitted() == *emitted_at_tick;
        *emitted_at_tick = merge.emitted();
        let round = reads.tick(asked, halted);
        let pad_request = merge.held_level().filter(|_| halted);
        let awaited = merge.awaited().group;
        if let Some(level) = pad_request {
            let leader = self.leader(awaited);
            self.servers[leader].level = self.servers[leader].level.max(level);
        }
        if let Some(round) = round {
            self.send(Message::Ask { from: server, round: round.id, group: round.group });
        }
    }

    /// The new leader holds everything committed (Raft, section 5.4.1); what it lacks is lost.
    fn elect(&mut self, group: GroupId, server: usize) {
        let held = self.servers[server].prefixes[group.index()].held;
        let Group { leader, log, .. } = &mut self.groups[group.index()];
        *leader = server;
        log.truncate(held);
        for follower in &mut self.servers {
            let prefix = &mut follower.prefixes[group.index()];
            prefix.held = prefix.held.min(held);
        }
    }

    /// Lets everything happen that needs no inputs, for so many ticks.
    pub(super) fn settle(&mut self, plan: &Plan, ticks: u32) {
        for _ in 0..ticks {
            self.everyone_moves(plan);
            (0..self.servers.len()).for_each(|server| self.tick(plan, server));
        }
        self.everyone_moves(plan);
    }

    /// Continues until nothing moves, but with a bound, since a rule under test may have no end.
    fn everyone_moves(&mut self, plan: &Plan) {
        let mut steps = Vec::new();
        for _ in 0..200 {
            steps.clear();
            self.steps_within(plan, &mut steps);
            let Some(&step) = steps.first() else { return };
            self.take(plan, step);
        }
    }
}
