//! One server's view of R local logs and its global log, told command by command.
//!
//! Entries are committed as they are appended, and known at once: the stories are about the rules, not about
//! delay, for which there is [`crate::cluster`]. The commands:
//!
//! | command | what happens |
//! |---|---|
//! | `groups R` | starts, with empty logs |
//! | `append r a b ..` | group r's leader cuts an entry for each of these commands |
//! | `end r R` | group r's leader cuts an entry `ER`: it asks to end the epoch, and to continue with R groups |
//! | `elect r` | group r's new leader appends its empty entry |
//! | `pad` | each leader below the level skips to it |
//! | `skip-ahead` | the same, but leaders that are idle and not the anchor skip ahead of the level |
//! | `merge` | the merge proceeds as far as it can |
//! | `apply` | everything merged is applied, and reads are answered that may be |
//! | `read x ..` | strong reads are queued, and the awaited group is asked |
//! | `read-at r x ..` | the same, but group r is asked |
//! | `answer` | the leaders answer, and the next round starts if reads wait for it |
//! | `tick` | time passes |
//! | `snapshot k` | a snapshot of rounds 1 to k becomes durable; the two latest are kept |
//! | `compact` | each log is compacted as far as possible |
//! | `restart` | the server restarts with its latest snapshot and its logs |
//! | `draw`, `draw p q` | shows all logs, or the rounds p to q: `-` is a no-op, `~` has been compacted |

use std::ops::RangeInclusive;

use niagara_sequencer::epoch::{Chain, Ending, EpochEnd, Terms};
use niagara_sequencer::{
    Emitted, Fill, FloorIndex, GlobalPosition, GroupId, Layout, Merge, Padding, ReadBarriers, Round, Slot,
    next_place,
};

const RETRY_TICKS: u32 = 3;

/// What the name of an entry that asks for the end of its epoch begins with.
const END: char = 'E';

/// A story has no groups before its first command.
#[derive(Default)]
pub struct Story(Option<World>);

struct World {
    chain: Chain,
    ending: Ending,
    layout: Layout,
    logs: Vec<Log>,
    level: u64,
    merge: Merge<String>,
    emitted_at_tick: GlobalPosition,
    applied: GlobalPosition,
    reads: ReadBarriers<String>,
    asked: Vec<Round>,
    snapshots: Vec<u64>,
}

struct Log {
    /// The Raft index of its last entry.
    last_index: u64,
    entries: Vec<Entry>,
    floors: FloorIndex,
    compacted: u64,
}

struct Entry {
    index: u64,
    place: u64,
    /// The command; `None` is a skip.
    command: Option<String>,
}

impl Log {
    fn last_place(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.place)
    }

    /// What a picture shows at a place.
    fn cell(&self, place: u64) -> &str {
        match self.entries.iter().find(|entry| entry.place >= place) {
            None => "",
            Some(entry) if entry.index <= self.compacted => "~",
            Some(entry) if entry.place == place => entry.command.as_deref().unwrap_or("-"),
            Some(_) => "-",
        }
    }
}

impl Story {
    /// Executes one command, and returns its answer, line by line.
    pub fn tell(&mut self, command: &str) -> Vec<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["groups", r] = words[..] {
            self.0 = Some(World::new(number(r) as u16));
            return Vec::new();
        }
        let world = self.0.as_mut().expect("a story begins with `groups`");
        match words[..] {
            ["append", r, ref commands @ ..] => world.append(group(r), commands),
            ["end", r, groups] => world.append(group(r), &[&format!("{END}{groups}")]),
            ["elect", r] => world.elect(group(r)),
            ["pad"] => world.pad(false),
            ["skip-ahead"] => world.pad(true),
            ["merge"] => world.merge(),
            ["apply"] => world.apply(),
            ["read", ref reads @ ..] => world.read(world.merge.awaited().group, reads),
            ["read-at", r, ref reads @ ..] => world.read(group(r), reads),
            ["answer"] => world.answer(),
            ["tick"] => world.tick(),
            ["snapshot", k] => world.snapshot(number(k)),
            ["compact"] => world.compact(),
            ["restart"] => world.restart(),
            ["draw"] => world.draw(1..=world.level + 1),
            ["draw", first, last] => world.draw(number(first)..=number(last)),
            _ => panic!("no such command: {command}"),
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("not a number: {word}"))
}

fn group(word: &str) -> GroupId {
    GroupId::new(number(word) as u16)
}

impl Log {
    fn empty() -> Log {
        Log { last_index: 0, entries: Vec::new(), floors: FloorIndex::new(), compacted: 0 }
    }
}

fn terms(groups: u16) -> Terms {
    Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() }
}

impl World {
    fn new(groups: u16) -> Self {
        let layout = Layout::new(groups);
        Self {
            chain: Chain::genesis(terms(groups)).expect("a story begins with groups"),
            ending: Ending::default(),
            layout,
            logs: layout.group_ids().map(|_| Log::empty()).collect(),
            level: 0,
            merge: Merge::new(layout),
            emitted_at_tick: GlobalPosition::ZERO,
            applied: GlobalPosition::ZERO,
            reads: ReadBarriers::new(layout, RETRY_TICKS),
            asked: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    fn append(&mut self, group: GroupId, commands: &[&str]) -> Vec<String> {
        let mut cut = Vec::new();
        for &command in commands {
            let place = next_place(self.logs[group.index()].last_place(), self.level);
            self.propose(group, place, Some(command.to_owned()));
            self.level = self.level.max(place);
            cut.push(format!("{command} at {}", Slot { place, group }));
        }
        vec![format!("group {group}: {}", cut.join(", "))]
    }

    fn propose(&mut self, group: GroupId, place: u64, command: Option<String>) {
        self.merge.push(group, place, command.clone().map_or(Fill::Skip, Fill::Commands));
        let log = &mut self.logs[group.index()];
        log.last_index += 1;
        log.floors.push(log.last_index, place);
        log.entries.push(Entry { index: log.last_index, place, command });
    }

    fn elect(&mut self, group: GroupId) -> Vec<String> {
        let log = &mut self.logs[group.index()];
        log.last_index += 1;
        vec![format!("group {group}: entry {} fills no slot", log.last_index)]
    }

    fn pad(&mut self, skip_ahead: bool) -> Vec<String> {
        let mut skips = Vec::new();
        for group in self.layout.group_ids() {
            let last = self.logs[group.index()].last_place();
            let idle = self.merge.queued(group) == 0;
            let ahead = skip_ahead && idle && self.merge.anchor() != group;
            if let Some(place) = (Padding { last, level: self.level, ahead }).skip_to() {
                self.propose(group, place, None);
                skips.push(format!("group {group}: skips to {}", Slot { place, group }));
            }
        }
        if skips.is_empty() { vec![format!("no group has to, the level is {}", self.level)] } else { skips }
    }

    fn merge(&mut self) -> Vec<String> {
        let (mut emitted, mut news) = (Vec::new(), Vec::new());
        while let Some(piece) = self.merge.next() {
            emitted.push(match piece {
                Emitted::Commands { position, item } => {
                    news.extend(item.strip_prefix(END).map(|groups| self.offer(position, number(groups))));
                    format!("{position}={item}")
                }
                Emitted::Noops { first, count: 1 } => format!("{first}=-"),
                Emitted::Noops { first, count } => format!("{first}..{}=-", first.get() + count - 1),
            });
        }
        let mut answer = Vec::new();
        answer.extend((!emitted.is_empty()).then(|| emitted.join(" ")));
        answer.append(&mut news);
        if self.merge.has_ended() {
            answer.push(self.next_epoch());
        }
        let awaited = self.merge.awaited();
        answer.push(format!("waits for {awaited}, position {}", self.layout.position_of(awaited)));
        answer
    }

    /// The merge has come to an entry that asks for the end of the epoch.
    fn offer(&mut self, position: GlobalPosition, groups: u64) -> String {
        let epoch = self.chain.newest().record.epoch;
        let end = EpochEnd { epoch, next: terms(groups as u16), request: 0 };
        let place = self.layout.slot_at(position).place;
        match self.ending.offer(&self.chain, place, &end) {
            Ok(()) => {
                self.merge.end_after(place);
                format!("epoch {epoch} ends with round {place}")
            }
            Err(why) => format!("position {position} ends nothing: {why:?}"),
        }
    }

    /// The logs of the next epoch are empty, and reads that wait for void slots are asked again.
    fn next_epoch(&mut self) -> String {
        let last_round = self.ending.last_round().expect("the merge has ended");
        self.ending.transition(&mut self.chain);
        let record = &self.chain.newest().record;
        self.layout = record.layout();
        self.logs = self.layout.group_ids().map(|_| Log::empty()).collect();
        self.level = 0;
        self.merge = Merge::new(self.layout);
        self.reads.end_epoch(last_round, self.layout);
        self.asked.clear();
        self.snapshots.clear();
        format!("epoch {} has {} groups, above position {}", record.epoch, record.terms.groups, record.base)
    }

    fn apply(&mut self) -> Vec<String> {
        self.applied = self.merge.emitted();
        let mut done = Vec::new();
        self.reads.release(self.applied, &mut done);
        let mut answer = vec![format!("applied up to {}", self.applied)];
        answer.extend((!done.is_empty()).then(|| format!("answered: {}", done.join(" "))));
        answer.extend(self.reads.next_barrier().map(|barrier| format!("reads wait for all below {barrier}")));
        answer
    }

    fn read(&mut self, asked: GroupId, reads: &[&str]) -> Vec<String> {
        reads.iter().for_each(|&read| self.reads.queue(read.to_owned()));
        match self.reads.begin(asked) {
            Some(round) => vec![self.ask(round)],
            None => vec!["waits for the round in flight to end".to_owned()],
        }
    }

    fn ask(&mut self, round: Round) -> String {
        self.asked.push(round);
        format!("round {} asks group {}", round.id, round.group)
    }

    fn answer(&mut self) -> Vec<String> {
        let answer = |round: Round| {
            let last = Slot { place: self.logs[round.group.index()].last_place(), group: round.group };
            self.reads.answered(round.id, last.place);
            format!(
                "round {}: {last} is filled, so wait for all below {}",
                round.id,
                self.layout.barrier_above(last)
            )
        };
        let mut answers: Vec<_> = self.asked.drain(..).map(answer).collect();
        if let Some(round) = self.reads.begin(self.merge.awaited().group) {
            answers.push(self.ask(round));
        }
        answers
    }

    fn tick(&mut self) -> Vec<String> {
        let halted = self.merge.emitted() == self.emitted_at_tick;
        self.emitted_at_tick = self.merge.emitted();
        let mut news = vec![if halted { "the merge has halted" } else { "the merge has moved" }.to_owned()];
        if let Some(round) = self.reads.tick(self.merge.awaited().group, halted) {
            news.push(self.ask(round));
        }
        news
    }

    fn snapshot(&mut self, round: u64) -> Vec<String> {
        let end = self.layout.round_end(round);
        assert!(end <= self.applied, "a snapshot holds what is applied");
        if self.snapshots.len() == 2 {
            self.snapshots.remove(0);
        }
        self.snapshots.push(round);
        let floor = |group: GroupId| {
            let floor = self.logs[group.index()].floors.floor(round).expect("not compacted");
            format!("group {group}: entry {floor}")
        };
        let floors: Vec<_> = self.layout.group_ids().map(floor).collect();
        vec![format!("holds positions 1..{end}; floors are {}", floors.join(", "))]
    }

    fn compact(&mut self) -> Vec<String> {
        let mut compacted = Vec::new();
        for (group, log) in self.layout.group_ids().zip(&mut self.logs) {
            if let Some(index) = log.floors.compactable(&self.snapshots, log.last_index) {
                log.floors.forget_below(index);
                log.compacted = index;
                compacted.push(format!("group {group}: up to entry {index}"));
            }
        }
        if compacted.is_empty() { vec!["no log may be compacted further".to_owned()] } else { compacted }
    }

    fn restart(&mut self) -> Vec<String> {
        let round = self.snapshots.last().copied().unwrap_or(0);
        self.merge = Merge::resume(self.layout, round, self.merge.anchor());
        self.applied = self.merge.emitted();
        for (group, log) in self.layout.group_ids().zip(&self.logs) {
            for entry in log.entries.iter().filter(|entry| entry.index > log.compacted) {
                self.merge.push(group, entry.place, entry.command.clone().map_or(Fill::Skip, Fill::Commands));
            }
        }
        vec![format!("resumes after round {round}")]
    }

    fn draw(&self, rounds: RangeInclusive<u64>) -> Vec<String> {
        let width = rounds.end().to_string().len() + 2;
        let row = |name: String, cell: &dyn Fn(u64) -> String| {
            let cells: Vec<_> = rounds.clone().map(|place| format!("{:>width$}", cell(place))).collect();
            format!("{name:<8}{}", cells.concat())
        };
        let mut picture = vec![row("round".to_owned(), &|place| place.to_string())];
        for (group, log) in self.layout.group_ids().zip(&self.logs) {
            let mut line = row(format!("group {group}"), &|place| log.cell(place).to_owned());
            if log.last_place() > *rounds.end() {
                line += &format!("  .. up to {}", log.last_place());
            }
            picture.push(line);
        }
        picture
    }
}
