//! What callers ask of servers, and what they are told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::{
    Applied, Completion, Consistency, EpochView, GlobalPosition, KNOWN_LEVEL, NotChanged, Refused,
    StateMachine, Unknown,
};

use super::Simulation;
use crate::failure::{Failure, Found};
use crate::recording::{Observable, lock};

/// How long [`Simulation::execute`] and [`Simulation::query`] try.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long they pause after a refusal.
const PAUSE: Duration = Duration::from_millis(50);

/// A call of a server, to ask for its [outcome](Simulation::outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(u64);

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<R> {
    /// The command was executed, once.
    Applied(Applied<R>),
    /// The command was refused, and has no effect.
    Refused(Refused),
    /// The command may have been executed, or may be later.
    Unknown(Unknown),
    /// The read has seen everything up to this position.
    Read(GlobalPosition),
    /// The read could not be answered in time.
    ReadFailed,
    /// The server was down, or went down before it answered; a command may have been executed.
    Down,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<R> {
    /// The call.
    pub call: Call,
    /// The server that was asked.
    pub server: u64,
    /// The command; `None` for a read.
    pub command: Option<Bytes>,
    /// How it has ended.
    pub outcome: Outcome<R>,
    /// When, in virtual time.
    pub at: Duration,
}

/// Calls that have ended, in that order.
pub(super) struct Told<R> {
    calls: u64,
    answers: Vec<Answer<R>>,
    by_call: BTreeMap<Call, usize>,
    /// The last position at which a command was acknowledged.
    acknowledged: GlobalPosition,
}

impl<R> Default for Told<R> {
    fn default() -> Self {
        Told { calls: 0, answers: Vec::new(), by_call: BTreeMap::new(), acknowledged: GlobalPosition::ZERO }
    }
}

type Look<S> = Box<dyn FnOnce(&<S as StateMachine>::Reader)>;

/// A call without an outcome.
pub(super) struct Asked<S: StateMachine> {
    server: u64,
    request: Request<S>,
    /// What had been acknowledged when it began.
    acknowledged: GlobalPosition,
}

enum Request<S: StateMachine> {
    Command(Bytes),
    Read(Consistency, Look<S>),
}

impl<S: Observable> Simulation<S> {
    /// The last position at which a command was acknowledged.
    pub(super) fn acknowledged(&self) -> GlobalPosition {
        self.told.acknowledged
    }

    /// Proposes a command to a server. The [outcome](Simulation::outcome) is known later.
    pub fn propose(&mut self, server: u64, command: impl Into<Bytes>) -> Call {
        let command = command.into();
        lock(&self.history).proposes(command.clone());
        self.ask(server, Request::Command(command))
    }

    /// Asks for another number of groups, through a server that leads one. All epochs together can have as many groups as the
    /// [settings](super::Settings::most_groups) say.
    ///
    /// # Errors
    /// If the server refuses. Nothing has changed then.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn ask_for_groups(&mut self, server: u64, groups: u16) -> Result<(), NotChanged> {
        let running = self.server(server).running.as_ref();
        running.expect("the server runs").machine.client().ask_for_groups(groups)
    }

    /// Asks for a higher level, through a server that leads a group.
    ///
    /// # Errors
    /// If the server refuses. Nothing has changed then.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn ask_for_level(&mut self, server: u64, level: u32) -> Result<(), NotChanged> {
        let running = self.server(server).running.as_ref();
        running.expect("the server runs").machine.client().ask_for_level(level)
    }

    /// From its next start on, a server runs a program that knows levels up to this one. The cluster begins at the level that the
    /// [settings](super::Settings::config) say.
    ///
    /// # Panics
    /// If it would not know the level that the cluster begins at, or more than there are.
    pub fn set_known_level(&mut self, server: u64, level: u32) {
        let first = self.settings.config.first_level;
        assert!((first..=KNOWN_LEVEL).contains(&level), "it knows levels {first} to {KNOWN_LEVEL}");
        self.server_mut(server).set_known_level(level);
    }

    /// The epoch that a server's global log is in; `None` if it does not run.
    pub fn epoch(&self, server: u64) -> Option<EpochView> {
        Some(self.server(server).running.as_ref()?.machine.client().epoch())
    }

    /// Reads the state of a server. `look` is called with the reader when the state is fresh enough.
    pub fn read(
        &mut self,
        server: u64,
        consistency: Consistency,
        look: impl FnOnce(&S::Reader) + 'static,
    ) -> Call {
        self.ask(server, Request::Read(consistency, Box::new(look)))
    }

    /// Executes a command: proposes it, lets time pass until it has its outcome, and tries again if it is
    /// refused for now, as while leaders are being elected.
    ///
    /// # Errors
    /// What was found meanwhile. [`Found::Stuck`] if the outcome is unknown or the server goes down, if the
    /// command is refused for good, or after a minute.
    pub fn execute(&mut self, server: u64, command: impl Into<Bytes>) -> Result<Applied<S::Reply>, Failure> {
        let command = command.into();
        let end = self.now() + PATIENCE;
        loop {
            let call = self.propose(server, command.clone());
            match self.wait_for(call)? {
                Outcome::Applied(applied) => return Ok(applied),
                Outcome::Refused(Refused::NoLeader | Refused::Overloaded | Refused::ReadOnly)
                    if self.now() < end =>
                {
                    self.run_for(PAUSE)?;
                }
                outcome => return Err(self.stuck(&format!("server {server} on {command:?}: {outcome:?}"))),
            }
        }
    }

    /// Reads a server's state with a strong read, while time passes, and returns what `look` finds.
    ///
    /// # Errors
    /// What was found meanwhile. [`Found::Stuck`] if the server goes down, or after a minute.
    pub fn query<V: 'static>(
        &mut self,
        server: u64,
        look: impl Fn(&S::Reader) -> V + 'static,
    ) -> Result<V, Failure> {
        let (look, end) = (Rc::new(look), self.now() + PATIENCE);
        loop {
            let seen = Rc::new(RefCell::new(None));
            let (look, into) = (Rc::clone(&look), Rc::clone(&seen));
            let looked = move |reader: &S::Reader| *into.borrow_mut() = Some(look(reader));
            let call = self.read(server, Consistency::Strong, looked);
            let outcome = self.wait_for(call)?;
            if let Some(value) = seen.take() {
                return Ok(value);
            }
            if outcome == Outcome::Down || self.now() >= end {
                return Err(self.stuck(&format!("server {server} on a read: {outcome:?}")));
            }
            self.run_for(PAUSE)?;
        }
    }

    /// The outcome of a call, if it has ended.
    pub fn outcome(&self, call: Call) -> Option<&Outcome<S::Reply>> {
        self.told.by_call.get(&call).map(|at| &self.told.answers[*at].outcome)
    }

    /// All calls that have ended, in that order.
    pub fn replies(&self) -> &[Answer<S::Reply>] {
        &self.told.answers
    }

    /// Number of calls that have not ended.
    pub fn pending(&self) -> usize {
        self.asked.len()
    }

    fn wait_for(&mut self, call: Call) -> Result<Outcome<S::Reply>, Failure> {
        self.run_until(PATIENCE, |simulation| simulation.outcome(call).is_some())?;
        match self.outcome(call) {
            Some(outcome) => Ok(outcome.clone()),
            None => Err(self.stuck(&format!("{call:?} has no outcome"))),
        }
    }

    /// A call that is refused before it reaches the server.
    pub(crate) fn refuse(&mut self, server: u64, refused: Refused) -> Call {
        let server = self.server(server).id;
        self.told.calls += 1;
        let token = self.told.calls;
        self.end(token, server, None, Outcome::Refused(refused));
        Call(token)
    }

    /// Fails since something does not get on.
    pub(crate) fn stuck(&mut self, what: &str) -> Failure {
        self.fail(Found::Stuck(what.to_owned()));
        self.look_for_failure().expect_err("something was found just now")
    }

    fn ask(&mut self, server: u64, request: Request<S>) -> Call {
        self.told.calls += 1;
        let token = self.told.calls;
        let acknowledged = self.told.acknowledged;
        self.asked.insert(token, Asked { server, request, acknowledged });
        if let Some(running) = &mut self.server_mut(server).running {
            running.asked.push(token);
            self.follow(server);
        } else {
            self.tell(token, Outcome::Down);
        }
        Call(token)
    }

    /// A round of the thread that calls the engine.
    pub(super) fn make_calls(&mut self, id: u64) {
        let running = self.server_mut(id).running.as_mut().expect("a living server");
        for token in std::mem::take(&mut running.asked) {
            self.begin(id, token);
        }
        let running = self.server_mut(id).running.as_mut().expect("a living server");
        running.port.flush();
        let mut completions = std::mem::take(&mut running.completions);
        running.port.collect(&mut completions);
        for completion in completions.drain(..) {
            self.complete(id, completion);
        }
        self.server_mut(id).running.as_mut().expect("a living server").completions = completions;
    }

    fn begin(&mut self, id: u64, token: u64) {
        let running = self.servers[id as usize - 1].running.as_mut().expect("a living server");
        match &self.asked[&token].request {
            Request::Command(command) => {
                let lane = running.port.choose_lane();
                if let Err(refused) = running.port.propose(lane, token, command) {
                    self.tell(token, Outcome::Refused(refused));
                }
            }
            Request::Read(consistency, _) => {
                if running.port.read(token, *consistency) {
                    let applied = running.machine.client().applied();
                    self.complete(id, Completion::Readable { token, applied });
                }
            }
        }
    }

    fn complete(&mut self, id: u64, completion: Completion<S::Reply>) {
        match completion {
            Completion::Applied { token, position, reply } => {
                let applied = Applied { position, reply };
                self.told.acknowledged = self.told.acknowledged.max(position);
                if let Request::Command(command) = &self.asked[&token].request {
                    lock(&self.history).acknowledges(command, &applied);
                }
                self.tell(token, Outcome::Applied(applied));
            }
            Completion::Refused { token, refused } => self.tell(token, Outcome::Refused(refused)),
            Completion::Unknown { token, unknown } => self.tell(token, Outcome::Unknown(unknown)),
            Completion::ReadFailed { token } => self.tell(token, Outcome::ReadFailed),
            Completion::Readable { token, applied } => self.look(id, token, applied),
            Completion::Answered { .. } | Completion::Detached { .. } => {
                unreachable!("the simulation attaches no reads")
            }
        }
    }

    /// A read sees the state now.
    fn look(&mut self, id: u64, token: u64, applied: GlobalPosition) {
        let running = self.servers[id as usize - 1].running.as_ref().expect("a living server");
        let reader = running.port.reader().clone();
        let asked = self.asked.remove(&token).expect("a call ends once");
        let Asked { server, request: Request::Read(consistency, look), acknowledged } = asked else {
            unreachable!("only a read becomes readable");
        };
        if consistency == Consistency::Strong && applied < acknowledged {
            let what = format!(
                "a strong read at server {server} sees position {applied}; {acknowledged} was acknowledged before"
            );
            self.fail(Found::Engine { invariant: "read_is_fresh", what });
        }
        look(&reader.reader);
        self.end(token, server, None, Outcome::Read(applied));
    }

    fn tell(&mut self, token: u64, outcome: Outcome<S::Reply>) {
        let Asked { server, request, .. } = self.asked.remove(&token).expect("a call ends once");
        let command = match request {
            Request::Command(command) => Some(command),
            Request::Read(..) => None,
        };
        self.end(token, server, command, outcome);
    }

    fn end(&mut self, token: u64, server: u64, command: Option<Bytes>, outcome: Outcome<S::Reply>) {
        let what = command.as_ref().map_or("a read".to_owned(), |command| format!("{command:?}"));
        self.note(&match &outcome {
            Outcome::Applied(Applied { position, reply }) => {
                format!("server {server} acknowledges {what} at position {position}: {reply:?}")
            }
            Outcome::Refused(refused) => format!("server {server} refuses {what}: {refused}"),
            Outcome::Unknown(unknown) => format!("server {server} does not know about {what}: {unknown}"),
            Outcome::Read(applied) => format!("server {server} answers a read from position {applied}"),
            Outcome::ReadFailed => format!("server {server} cannot answer a read in time"),
            Outcome::Down => format!("server {server} is down and does not answer {what}"),
        });
        let call = Call(token);
        self.told.by_call.insert(call, self.told.answers.len());
        let at = self.now();
        self.told.answers.push(Answer { call, server, command, outcome, at });
    }

    /// A server goes down: its callers wait in vain.
    pub(super) fn hang_up(&mut self, server: u64) {
        let of_server = self.asked.iter().filter(|(_, asked)| asked.server == server);
        for token in of_server.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.tell(token, Outcome::Down);
        }
    }
}
