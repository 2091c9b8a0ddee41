//! An engine in memory that does what a test tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use niagara_engine::{
    Completion, Consistency, Detached, DetachedRead, Durability, EpochView, FollowerStanding, GlobalPosition,
    GroupLeader, Leaders, LevelView, MemberLevel, MemberView, MembersChange, NotAttached, NotChanged,
    NotMoved, Refused, StateMachine, Status, Unfit, Unknown,
};
use parking_lot::Mutex;

use crate::command::{self, Call, Command, Condition, Watch};
use crate::protocol::Engine;
use crate::query::Query;
use crate::users::{RESCUE, prepare};
use crate::{Kv, KvReader, Life, Note, Reply, query};

/// The state of a server. Fake engines that share it are its threads' ports.
#[derive(Clone)]
pub(super) struct FakeServer {
    log: Arc<Mutex<(Kv, u64)>>,
    reader: KvReader,
    pub(super) leading: Arc<Mutex<Leading>>,
    /// Commands taken so far, by all engines.
    pub(super) taken: Arc<AtomicUsize>,
}

/// What happens to commands and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Everything is executed.
    Serve,
    /// Nothing is answered yet.
    Hold,
    /// Commands end with an unknown outcome.
    Unknown,
    /// No quorum answers reads.
    NoQuorum,
    /// Commands are refused.
    Refuse(Refused),
    /// Commands are refused once a whole turn of them is submitted.
    RefuseTurn(Refused),
    /// Commands are executed, but their replies are lost.
    LoseReplies,
}

/// What is done in the order of a lane.
#[derive(Clone)]
enum InLane {
    Command(Bytes),
    Query(Bytes),
}

pub(super) struct FakeEngine {
    pub(super) server: FakeServer,
    mood: Arc<Mutex<Mood>>,
    next_lane: std::cell::Cell<u8>,
    /// A snapshot was requested; none is ever taken.
    snapshot_wanted: std::cell::Cell<bool>,
    staged: Vec<(u8, u64, InLane)>,
    flying: Vec<(u8, u64, InLane)>,
    asked: Vec<(u64, Consistency)>,
    done: Vec<Completion<Reply>>,
    /// What has happened, in words.
    pub(super) trace: Option<Vec<String>>,
    /// Steps by itself whenever it is asked for completions.
    pub(super) runs: bool,
}

/// Who leads, as far as an engine knows.
#[derive(Default)]
pub(super) struct Leading {
    pub(super) leaders: Leaders,
    /// The other servers.
    pub(super) connected: Vec<u64>,
    /// What was asked for, in words.
    pub(super) asked: Vec<String>,
}

impl Leading {
    /// Server 1 of three, where these lead the groups.
    pub(super) fn of_three(leaders: &[u64]) -> Leading {
        let mut leading = Leading { connected: vec![2, 3], ..Leading::default() };
        leading.leaders.server = 1;
        leading.led_by(leaders);
        leading
    }

    /// These lead the groups from now on, and whoever does not could.
    pub(super) fn led_by(&mut self, leaders: &[u64]) {
        let group = |(number, leader): (u16, &u64)| {
            let mut group = GroupLeader::default();
            (group.group, group.leader) = (number, *leader);
            group.followers = if *leader == 1 { [2, 3].map(standing).to_vec() } else { Vec::new() };
            group
        };
        self.leaders.groups = (1..).zip(leaders).map(group).collect();
    }

    /// A server could not take over.
    pub(super) fn lags(&mut self, server: u64) {
        let standings = self.leaders.groups.iter_mut().flat_map(|group| &mut group.followers);
        standings.filter(|standing| standing.server == server).for_each(|standing| {
            standing.unfit = Some("it is behind".into());
        });
    }
}

fn standing(server: u64) -> FollowerStanding {
    let mut standing = FollowerStanding::default();
    standing.server = server;
    standing
}

impl FakeServer {
    pub(super) fn reader(&self) -> &KvReader {
        &self.reader
    }

    pub(super) fn new() -> FakeServer {
        let kv = Kv::new();
        let reader = kv.reader();
        let log = Arc::new(Mutex::new((kv, 0)));
        FakeServer { reader, log, leading: Arc::default(), taken: Arc::default() }
    }

    /// Continues from the snapshot of an empty state, at a later position.
    pub(super) fn restore_nothing(&self) {
        let mut log = self.log.lock();
        log.1 += 1000;
        let position = GlobalPosition::new(log.1);
        let nothing = Kv::restoring(&self.reader);
        log.0.restore(position, nothing).expect("an empty state is whole");
    }

    /// A port whose mood the returned handle sets.
    pub(super) fn engine(&self) -> (FakeEngine, Arc<Mutex<Mood>>) {
        let mood = Arc::new(Mutex::new(Mood::Serve));
        (self.engine_in(Arc::clone(&mood)), mood)
    }

    pub(super) fn engine_in(&self, mood: Arc<Mutex<Mood>>) -> FakeEngine {
        FakeEngine {
            server: self.clone(),
            mood,
            next_lane: 0.into(),
            snapshot_wanted: false.into(),
            staged: Vec::new(),
            flying: Vec::new(),
            asked: Vec::new(),
            done: Vec::new(),
            trace: None,
            runs: false,
        }
    }
}

impl FakeEngine {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    /// Treats what is in flight according to the mood. `false`: there was nothing to do.
    pub(super) fn step(&mut self) -> bool {
        let mood = *self.mood.lock();
        if mood == Mood::Hold {
            return false;
        }
        let some = !self.flying.is_empty() || !self.asked.is_empty();
        let mut flying = std::mem::take(&mut self.flying);
        if mood == Mood::Unknown {
            self.done
                .extend(flying.drain(..).map(|(_, token, done)| unknown(token, done, Unknown::Deadline)));
        }
        for lane in 0..=u8::MAX {
            self.apply_lane(lane, &flying, mood);
        }
        for (token, _) in std::mem::take(&mut self.asked) {
            self.done.push(match mood {
                Mood::NoQuorum | Mood::Refuse(Refused::NoLeader) => Completion::ReadFailed { token },
                _ => Completion::Readable { token, applied: self.applied() },
            });
        }
        some
    }

    /// Executes what is in flight in one lane, at one position.
    fn apply_lane(&mut self, lane: u8, flying: &[(u8, u64, InLane)], mood: Mood) {
        let mut log = self.server.log.lock();
        let (kv, position) = &mut *log;
        *position += u64::from(flying.iter().any(|(other, ..)| *other == lane));
        let position = GlobalPosition::new(*position);
        for (_, token, done) in flying.iter().filter(|(other, ..)| *other == lane) {
            let token = *token;
            let applied = match done {
                InLane::Query(_) if mood == Mood::NoQuorum => unknown(token, done.clone(), Unknown::Deadline),
                InLane::Command(command) => {
                    Completion::Applied { token, position, reply: kv.execute(position, command) }
                }
                InLane::Query(query) => Completion::Answered { token, position, reply: kv.answer(query) },
            };
            let lost = (mood == Mood::LoseReplies).then(|| unknown(token, done.clone(), Unknown::ReplyLost));
            self.done.push(lost.unwrap_or(applied));
        }
    }

    /// Executes another client's command, which sets a key.
    pub(super) fn set_elsewhere(&mut self, key: &str, value: &str) {
        let mut set = Vec::new();
        command::encode_set_head(&mut set, key.as_bytes(), &Condition::Always, false);
        set.extend_from_slice(value.as_bytes());
        self.execute_elsewhere(set);
    }
}

impl FakeEngine {
    /// Executes another client's command, which names the life of the state.
    pub(super) fn name_life_elsewhere(&mut self) {
        let mut name = Vec::new();
        command::encode_name_life(&mut name, Life::new(0xbeef).expect("a name"));
        self.execute_elsewhere(name);
    }

    /// Executes another client's command, which sets a user.
    pub(super) fn set_user_elsewhere(&mut self, name: &str, rules: &[&str]) {
        let rules = prepare(rules.iter().map(|rule| rule.as_bytes())).expect("the rules are right");
        let mut set = Vec::new();
        command::encode_by(&mut set, RESCUE, std::iter::empty());
        command::encode_set_user(&mut set, name.as_bytes(), rules.iter().map(Vec::as_slice));
        self.execute_elsewhere(set);
    }

    /// The same, which removes one.
    pub(super) fn remove_user_elsewhere(&mut self, name: &str) {
        let mut remove = Vec::new();
        command::encode_by(&mut remove, RESCUE, std::iter::empty());
        command::encode_remove_users(&mut remove, std::iter::once(name.as_bytes()));
        self.execute_elsewhere(remove);
    }

    fn execute_elsewhere(&mut self, command: Vec<u8>) {
        let mut log = self.server.log.lock();
        log.1 += 1;
        let position = GlobalPosition::new(log.1);
        log.0.execute(position, &command.into());
    }
}

impl Engine for FakeEngine {
    type Lane = u8;

    fn choose_lane(&self) -> u8 {
        self.next_lane.replace((self.next_lane.get() + 1) % 4)
    }

    fn propose(&mut self, lane: u8, token: u64, command: &[u8]) -> Result<(), Refused> {
        self.propose_shared(lane, token, Bytes::copy_from_slice(command))
    }

    fn propose_shared(&mut self, lane: u8, token: u64, command: Bytes) -> Result<(), Refused> {
        if let Mood::Refuse(refused) = *self.mood.lock() {
            return Err(refused);
        }
        self.server.taken.fetch_add(1, Ordering::SeqCst);
        self.staged.push((lane, token, InLane::Command(command)));
        Ok(())
    }

    fn is_staged(&self, lane: u8) -> bool {
        self.staged.iter().any(|(other, ..)| *other == lane)
    }

    fn attach(&mut self, lane: u8, token: u64, query: &[u8]) -> Result<(), NotAttached> {
        if !self.is_staged(lane) {
            return Err(NotAttached::NothingStaged);
        }
        self.staged.push((lane, token, InLane::Query(Bytes::copy_from_slice(query))));
        Ok(())
    }

    fn read_since(&mut self, token: u64, consistency: Consistency, _since: Instant) -> bool {
        self.read(token, consistency)
    }

    fn read(&mut self, token: u64, consistency: Consistency) -> bool {
        let applied = self.applied();
        match consistency {
            Consistency::Weak => true,
            Consistency::AtLeast(position) if position <= applied => true,
            _ => {
                self.note(|| format!("asked: {consistency:?}"));
                self.asked.push((token, consistency));
                false
            }
        }
    }

    fn flush(&mut self) {
        for lane in 0..=u8::MAX {
            let batch: Vec<String> = self
                .staged
                .iter()
                .filter(|(other, ..)| *other == lane)
                .map(|(_, _, done)| match done {
                    InLane::Command(command) => describe(command),
                    InLane::Query(query) => describe_query(query),
                })
                .collect();
            if !batch.is_empty() {
                self.note(|| format!("lane {lane}: {}", batch.join(", ")));
            }
        }
        if let Mood::RefuseTurn(refused) = *self.mood.lock() {
            self.done.extend(self.staged.drain(..).map(|(_, token, done)| match done {
                InLane::Command(_) => Completion::Refused { token, refused },
                InLane::Query(query) => detached(token, query, Detached::Refused(refused)),
            }));
        }
        self.flying.append(&mut self.staged);
    }

    fn collect(&mut self, out: &mut Vec<Completion<Reply>>) {
        if self.runs {
            self.step();
        }
        out.append(&mut self.done);
    }

    fn may_sleep(&self) -> bool {
        let idle = self.flying.is_empty() && self.asked.is_empty();
        self.done.is_empty() && (idle || *self.mood.lock() == Mood::Hold)
    }

    fn awake(&self) {}

    fn reader(&self) -> &KvReader {
        &self.server.reader
    }

    fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.server.log.lock().1)
    }

    fn status(&self) -> Status {
        let mut status = Status::default();
        (status.server, status.groups, status.cluster) = (1, 4, "c1".into());
        (status.durability, status.applied) = (Durability::Memory, self.applied().get());
        status.snapshot.wanted = self.snapshot_wanted.get();
        status
    }

    fn snapshot(&self) {
        self.snapshot_wanted.set(true);
    }

    fn has_quorum(&self) -> bool {
        *self.mood.lock() != Mood::Refuse(Refused::NoLeader)
    }

    fn follows(&self) -> bool {
        *self.mood.lock() == Mood::Refuse(Refused::Follower)
    }

    fn connected(&self) -> Vec<u64> {
        self.server.leading.lock().connected.clone()
    }

    fn leaders(&self) -> Leaders {
        self.server.leading.lock().leaders.clone()
    }

    fn drain(&self, begins: bool) {
        let leading = &mut *self.server.leading.lock();
        leading.leaders.draining = begins;
        leading.asked.push(if begins { "drain" } else { "balance" }.into());
    }

    fn is_retiring(&self) -> bool {
        self.server.leading.lock().leaders.retiring
    }

    fn leave(&self, group: u16) -> Result<(), NotMoved> {
        self.server.leading.lock().asked.push(format!("leave group {group}"));
        Ok(())
    }

    fn move_leadership(&self, group: u16, to: u64) -> Result<(), NotMoved> {
        let leading = &mut *self.server.leading.lock();
        let groups = leading.leaders.groups.len() as u16;
        let led = leading.leaders.groups.iter().find(|led| led.group == group);
        let led = led.ok_or(NotMoved::NoSuchGroup { group, groups })?;
        if led.followers.iter().any(|standing| standing.server == to && standing.unfit.is_some()) {
            return Err(NotMoved::Unfit { to, why: Unfit::Unreachable });
        }
        leading.asked.push(format!("move group {group} to {to}"));
        Ok(())
    }

    /// A follower knows where one member is.
    fn epoch(&self) -> EpochView {
        let mut epoch = EpochView::default();
        let is_of_three = self.server() == 1;
        for server in (1..=3).filter(|_| is_of_three) {
            let note = Note { redis: Some(format!("10.0.0.{server}:7002")), ..Note::default() }.to_text();
            let mut member = MemberView::default();
            (member.server, member.note) = (server, note);
            epoch.members.push(server);
            epoch.contacts.push(member);
        }
        if self.follows() {
            let note = Note { http: Some("10.0.0.2:7001".into()), ..Note::default() }.to_text();
            epoch.members = vec![2];
            let mut member = MemberView::default();
            (member.server, member.note) = (2, note);
            epoch.contacts = vec![member];
        }
        epoch
    }

    fn ask_for_groups(&self, _groups: u16) -> Result<(), NotChanged> {
        Ok(())
    }

    fn level(&self) -> LevelView {
        let mut view = LevelView::default();
        (view.server, view.epoch, view.level) = (1, 1, 1);
        view.members =
            vec![MemberLevel { server: 1, known: Some(2) }, MemberLevel { server: 2, known: None }];
        view
    }

    fn ask_for_level(&self, _level: u32) -> Result<(), NotChanged> {
        Ok(())
    }

    fn start_to_change_members(&self, _change: MembersChange) -> Result<(), NotChanged> {
        Ok(())
    }

    fn encode_metrics(&self, out: &mut String) {
        out.push_str("# EOF\n");
    }
}

fn detached(token: u64, query: Bytes, why: Detached) -> Completion<Reply> {
    Completion::Detached { token, read: Box::new(DetachedRead { query, why }) }
}

fn unknown(token: u64, done: InLane, unknown: Unknown) -> Completion<Reply> {
    match done {
        InLane::Command(_) => Completion::Unknown { token, unknown },
        InLane::Query(query) => detached(token, query, Detached::Unknown(unknown)),
    }
}

fn describe_query(query: &[u8]) -> String {
    match query::decode(query) {
        Ok(Query::Value(key)) => format!("look at {}", text(key)),
        Ok(Query::Call { call, .. }) => describe_call(&call),
        Ok(Query::Entry(key)) => format!("look closely at {}", text(key)),
        other => format!("{other:?}"),
    }
}

fn describe_call(call: &Call<'_>) -> String {
    format!("{:?} {}", call.op, call.words.clone().map(text).collect::<Vec<_>>().join(" "))
}

fn text(bytes: &[u8]) -> String {
    match bytes.len() {
        0..40 => bytes.escape_ascii().to_string(),
        length => format!("({length} bytes)"),
    }
}

fn describe_watch(watch: &Watch<'_>) -> String {
    let database = watch.database.map(|database| format!(" in {}", database.number())).unwrap_or_default();
    format!("{}{database} {:?}", text(watch.key), watch.version)
}

fn describe(command: &[u8]) -> String {
    match command::decode(command) {
        Ok(Command::Delete { condition: Condition::IfAnyVersion(none), .. }) if none.is_empty() => {
            "nothing".into()
        }
        Ok(Command::Set { key, value, condition, description, lasts, .. }) => {
            let lasts = lasts.map(|lasts| format!(" for {lasts} ms")).unwrap_or_default();
            let described = match description.is_empty() {
                true => String::new(),
                false => format!(
                    " ({} {})",
                    description.content_type.escape_ascii(),
                    description.content_encoding.escape_ascii()
                ),
            };
            format!("set {} to '{}'{described}{lasts} {condition:?}", text(key), text(value))
        }
        Ok(Command::Delete { keys, condition }) => {
            format!("delete {} {condition:?}", keys.map(text).collect::<Vec<_>>().join(" "))
        }
        Ok(Command::MSet { pairs, .. }) => {
            let pairs: Vec<_> =
                pairs.map(|(key, value)| format!("{} to '{}'", text(key), text(value))).collect();
            format!("mset {}", pairs.join(" and "))
        }
        Ok(Command::Append { key, value }) => format!("append '{}' to {}", text(value), text(key)),
        Ok(Command::IncrBy { key, delta }) => format!("add {delta} to {}", text(key)),
        Ok(Command::FlushAll) => "flush all".into(),
        Ok(Command::NameLife { life }) => format!("name the life {life}"),
        Ok(Command::Timed { time, command }) => format!("at {time}: {}", describe(command)),
        Ok(Command::By { user, called, command }) => {
            format!("by {} as {:?}: {}", text(user), called.collect::<Vec<_>>(), describe(command))
        }
        Ok(Command::In { database, command }) => {
            format!("in {}: {}", database.number(), describe(command))
        }
        Ok(Command::Once(once)) => format!("once until {}: {}", once.until, describe(once.command)),
        Ok(Command::SetUser { name, rules }) => {
            let rules: Vec<_> = rules.map(text).collect();
            format!("set user {}: {}", text(name), rules.join(" "))
        }
        Ok(Command::RemoveUsers { names }) => {
            let names: Vec<_> = names.map(text).collect();
            format!("remove users {}", names.join(" "))
        }
        Ok(Command::Call(call)) => describe_call(&call),
        Ok(Command::Block(block)) => {
            let watched: Vec<_> = block.watches().map(|watch| describe_watch(&watch)).collect();
            let commands: Vec<_> = block.encoded().map(describe).collect();
            format!("if [{}] do [{}]", watched.join(", "), commands.join("; "))
        }
        Ok(Command::Choice(choice)) => {
            let tests: Vec<_> = choice.tests().map(|(key, test)| format!("{} {test:?}", text(key))).collect();
            let commands = |hold| choice.encoded(hold).map(describe).collect::<Vec<_>>().join("; ");
            format!("if [{}] do [{}] or else [{}]", tests.join(", "), commands(true), commands(false))
        }
        Ok(Command::KeepChanges) => "keep changes".into(),
        Ok(Command::Used(used)) => format!("{} keys used", used.len()),
        Ok(Command::MakeRoom) => "make room".into(),
        Ok(Command::Look { key }) => format!("look closely at {}", text(key)),
        Ok(Command::Advance { time }) => format!("advance to {time}"),
        Ok(Command::AskClocks { server, round }) => format!("{server} asks for clocks in round {round}"),
        Ok(Command::TellClock { server, asker, round, time }) => {
            format!("{server} tells {asker} in round {round} that it is {time}")
        }
        Err(error) => error.to_string(),
    }
}
