//! One Redis client's conversation: requests found in its input, replies printed to its output.

use std::net::SocketAddr;

use niagara_engine::{Consistency, Refused};

use super::about::About;
use super::encode::{Replies, Version};
use super::errors::{ProtocolError, TooLarge};
use super::gate::Gate;
use super::local;
use super::parse::{Arguments, Parser};
use super::plan::{self, Local, Plan, Print, Read, Write};
use super::replying::Replying;
use super::skip::Skip;
use crate::command::{self, Condition};
use crate::protocol::{
    Ask, Engine, Foreign, Input, Outcome, Output, Protocol, Served, Shown, Unread, View, Wire,
};
use crate::{Reply, query};

/// The Redis protocol's part of a session.
#[derive(Debug)]
pub(crate) struct RespConnection {
    about: About,
    parser: Parser,
    next: Next,
    gate: Gate,
    version: Version,
    replying: Replying,
    /// Reads need not be strong.
    weak: bool,
    over: bool,
    /// The client has just been told that it speaks another protocol.
    foreign: Option<Foreign>,
}

/// What is known of the next request.
#[derive(Debug)]
enum Next {
    /// Not all there.
    Unknown,
    Planned(Plan),
    Broken(ProtocolError),
    /// It is too large, and not skipped yet.
    Skipping(Skip),
    /// It was too large.
    Skipped(TooLarge),
}

impl About {
    /// Sets the name, unless it could break a line of CLIENT LIST.
    pub(super) fn rename(&mut self, name: &[u8]) -> bool {
        let printable = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
        if printable {
            self.name = name.to_vec();
        }
        printable
    }

    /// A line as in CLIENT LIST.
    pub(super) fn line(&self, version: Version) -> String {
        let name = String::from_utf8_lossy(&self.name);
        let peer = self.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let resp = if version == Version::Two { 2 } else { 3 };
        format!("id={} addr={peer} name={name} db=0 resp={resp}\n", self.id)
    }
}

impl RespConnection {
    pub(crate) fn new(id: u64, peer: Option<SocketAddr>) -> RespConnection {
        RespConnection {
            about: About { id, peer, name: Vec::new() },
            parser: Parser::default(),
            next: Next::Unknown,
            gate: Gate::default(),
            version: Version::Two,
            replying: Replying::On,
            weak: false,
            over: false,
            foreign: None,
        }
    }

    /// Determines what the next request asks for. `false`: it is incomplete.
    fn understand(&mut self, input: &mut Input) -> bool {
        loop {
            match &mut self.next {
                Next::Unknown => match self.parser.parse(input.bytes()) {
                    Ok(None) => return false,
                    Ok(Some(_)) => self.plan(input),
                    Err(ProtocolError::TooLarge(_)) => self.begin_to_skip(input),
                    Err(error) => self.next = Next::Broken(error),
                },
                Next::Skipping(skip) => match skip.advance(input) {
                    Ok(false) => return false,
                    Ok(true) => self.next = Next::Skipped(skip.why),
                    Err(error) => self.next = Next::Broken(error),
                },
                Next::Planned(_) | Next::Broken(_) | Next::Skipped(_) => return true,
            }
        }
    }

    /// Plans the complete request.
    fn plan(&mut self, input: &mut Input) {
        let arguments = self.parser.arguments(input.bytes());
        if arguments.len() == 0 {
            self.consume(input);
        } else if Foreign::is_http(arguments.iter(), self.parser.is_line()) {
            self.next = Next::Broken(Foreign::Http.into());
        } else {
            self.next = Next::Planned(self.gate.plan(arguments));
        }
    }

    fn begin_to_skip(&mut self, input: &mut Input) {
        let (parsed, skip) = self.parser.take_skip().expect("a request that is too large can be skipped");
        input.consume(parsed);
        self.parser.reset();
        self.next = Next::Skipping(skip);
    }

    fn consume(&mut self, input: &mut Input) {
        input.consume(self.parser.length());
        self.parser.reset();
        self.next = Next::Unknown;
    }

    fn take_plan(&mut self) -> Plan {
        match std::mem::replace(&mut self.next, Next::Unknown) {
            Next::Planned(plan) => plan,
            other => panic!("a request is served once it is known, not {other:?}"),
        }
    }
}

impl Protocol for RespConnection {
    /// `None`: it has no reply.
    type Shape = Option<Print>;

    const WIRE: Wire = Wire::Redis;

    fn next<E: Engine>(&mut self, input: &mut Input, _engine: &E) -> Option<Ask> {
        if !self.understand(input) {
            return None;
        }
        Some(match &self.next {
            Next::Planned(Plan::Write(_)) => Ask::Write,
            Next::Planned(Plan::Read(_)) if self.weak => Ask::Read(Consistency::Weak),
            Next::Planned(Plan::Read(_)) => Ask::Read(Consistency::Strong),
            _ => Ask::Local,
        })
    }

    fn length(&self) -> usize {
        self.parser.length()
    }

    fn write(&mut self, input: &mut Input, command: &mut Vec<u8>) -> Option<Print> {
        let Plan::Write(write) = self.take_plan() else { panic!("only a write has a command") };
        let print = encode(&write, self.parser.arguments(input.bytes()), command);
        self.consume(input);
        (!self.replying.is_silent_once()).then_some(print)
    }

    fn read(&mut self, input: &mut Input, view: &View<'_>, output: &mut Output) {
        let Plan::Read(read) = self.take_plan() else { panic!("only a read looks at the state") };
        if self.replying.is_silent_once() {
            return self.consume(input);
        }
        let mut replies = Replies { output, version: self.version };
        if view.applied.is_some() {
            look(read, self.parser.arguments(input.bytes()), view, &mut replies);
        } else {
            replies.error(read_failure(if view.diverged { Unread::Diverged } else { Unread::NoQuorum }));
        }
        self.consume(input);
    }

    /// `None`: it has no reply.
    type Look = Option<Show>;

    fn may_attach(&self, input: &Input) -> bool {
        let Next::Planned(Plan::Read(read)) = &self.next else { return false };
        let is_point = match read {
            Read::Get | Read::MGet | Read::Exists | Read::StrLen | Read::Type => true,
            Read::DbSize | Read::Scan { .. } => false,
        };
        is_point
            && self.parser.length() <= MOST_ATTACHED_BYTES
            && self.parser.arguments(input.bytes()).len() <= MOST_ATTACHED_KEYS + 1
    }

    fn attach(&mut self, input: &mut Input, query: &mut Vec<u8>) -> Option<Show> {
        let Plan::Read(read) = self.take_plan() else { panic!("only a read is attached") };
        let show = encode_query(&read, self.parser.arguments(input.bytes()), query);
        self.consume(input);
        (!self.replying.is_silent_once()).then_some(show)
    }

    fn show(&mut self, look: Option<Show>, shown: Shown, output: &mut Output) {
        let Some(show) = look else { return };
        let mut replies = Replies { output, version: self.version };
        match shown {
            Shown::Answer { reply, .. } => print_answer(show, &reply, &mut replies),
            Shown::Nothing(why) => replies.error(read_failure(why)),
        }
    }

    fn local<E: Engine>(&mut self, input: &mut Input, engine: &E, output: &mut Output) -> Served {
        let mut nowhere = Output::default();
        let silent = self.replying.is_silent_once();
        let arguments = self.parser.arguments(input.bytes());
        let heard = if silent && !local::asks_for_replies(arguments) { &mut nowhere } else { output };
        let mut replies = Replies { output: heard, version: self.version };
        let understood = match &self.next {
            Next::Broken(error) => {
                if let ProtocolError::Foreign(foreign) = error {
                    self.foreign = Some(*foreign);
                }
                replies.error(&format!("ERR {error}"));
                self.over = true;
                return Served::Malformed;
            }
            Next::Skipped(why) => {
                replies.error(&format!("ERR {why}"));
                self.next = Next::Unknown;
                return Served::Malformed;
            }
            Next::Planned(Plan::Refuse(text)) => {
                replies.error(text);
                false
            }
            Next::Planned(Plan::Local(what)) => {
                let mut understood = true;
                match *what {
                    Local::Ping => local::ping(arguments, &mut replies),
                    Local::Echo => replies.bulk(arguments.get(1)),
                    Local::Hello => understood = local::hello(arguments, &mut self.about, &mut replies),
                    Local::Command => local::command(arguments, &mut replies),
                    Local::Client => {
                        let (about, replying) = (&mut self.about, &mut self.replying);
                        understood = local::client(arguments, about, replying, &mut replies);
                    }
                    Local::Help(container) => local::help(container, &mut replies),
                    Local::ConfigGet => local::config_get(arguments, engine, &mut replies),
                    Local::Info => local::info(engine, &mut replies),
                    Local::Select | Local::Nothing => replies.simple("OK"),
                    Local::Quit => {
                        self.over = true;
                        replies.simple("OK");
                    }
                    Local::ReadOnly(weak) => {
                        self.weak = weak;
                        replies.simple("OK");
                    }
                    Local::Reset => {
                        replies.version = Version::default();
                        self.about.name.clear();
                        self.weak = false;
                        replies.simple("RESET");
                    }
                }
                understood
            }
            other => panic!("not for this server alone: {other:?}"),
        };
        self.version = replies.version;
        self.consume(input);
        if understood { Served::Answered } else { Served::Malformed }
    }

    fn refuse(&mut self, input: &mut Input, output: &mut Output) {
        self.take_plan();
        if !self.replying.is_silent_once() {
            Replies { output, version: self.version }.error(&refusal(Refused::Stopping));
        }
        self.consume(input);
    }

    fn answer(&mut self, print: Option<Print>, outcome: Outcome, output: &mut Output) {
        let Some(print) = print else { return };
        let mut replies = Replies { output, version: self.version };
        match outcome {
            Outcome::Applied { reply, .. } => answer(print, &reply, &mut replies),
            Outcome::Refused(refused) => replies.error(&refusal(refused)),
            Outcome::Unknown => replies.error(&format!("UNKNOWN outcome: {UNKNOWN_OUTCOME}")),
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_amid_request(&self, input: &Input) -> bool {
        !input.is_empty() || matches!(self.next, Next::Skipping(_))
    }

    fn take_foreign(&mut self) -> Option<Foreign> {
        self.foreign.take()
    }
}

/// A read that names more keys, or takes more bytes, is not executed between commands, where everybody waits
/// for it.
const MOST_ATTACHED_KEYS: usize = 16;
const MOST_ATTACHED_BYTES: usize = 1 << 10;

/// How the answer to an attached read is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Show {
    /// As it is: a value, values, or a number.
    Plain,
    /// As the type of a key that exists or not.
    Type,
}

fn read_failure(why: Unread) -> &'static str {
    match why {
        Unread::Diverged => {
            "DIVERGED this server has diverged from others: ask another server, or send READONLY to read its \
             current state"
        }
        Unread::NoQuorum => {
            "NOQUORUM no quorum has confirmed in time that this server is up to date: retry, or send READONLY to \
             read its current state"
        }
        Unread::Overtaken => {
            "NOQUORUM a write behind this read may have been executed before it, so it cannot be answered in its \
             place: read again"
        }
    }
}

const UNKNOWN_OUTCOME: &str =
    "the command may have been executed, or may be executed later; check the key before you retry";

fn refusal(refused: Refused) -> String {
    let word = match refused {
        Refused::Overloaded => "OVERLOADED",
        Refused::NoLeader => "NOQUORUM",
        Refused::Diverged => "DIVERGED",
        Refused::ReadOnly => "READONLY",
        // Clients of Redis know this word: the server executes nothing, so the command may be sent again, and
        // many go to another server by themselves.
        Refused::Stopping => "LOADING",
        _ => "ERR",
    };
    format!("{word} {refused}")
}

/// Encodes the command of a request, and returns how to print its reply.
fn encode(write: &Write, arguments: Arguments<'_>, command: &mut Vec<u8>) -> Print {
    match write {
        Write::Set { condition, print } => {
            command::encode_set_head(command, arguments.get(1), condition, *print == Print::Old);
            command.extend_from_slice(arguments.get(2));
            return *print;
        }
        Write::Put => {
            let (key, described) = (arguments.get(1), plan::described(arguments));
            command::encode_put_head(command, key, &Condition::Always, false, described);
            command.extend_from_slice(arguments.get(2));
        }
        Write::Delete => command::encode_delete(command, arguments.from(1).iter(), &Condition::Always),
        Write::MSet { if_absent } => {
            let pairs = (1..arguments.len()).step_by(2).map(|at| (arguments.get(at), arguments.get(at + 1)));
            command::encode_mset(command, pairs, *if_absent);
            if *if_absent {
                return Print::Flag;
            }
        }
        Write::Append => command::encode_append(command, arguments.get(1), arguments.get(2)),
        Write::IncrBy(delta) => command::encode_incr_by(command, arguments.get(1), *delta),
        Write::FlushAll => command::encode_flush_all(command),
    }
    Print::Ok
}

/// Prints the reply of a write that was executed.
fn answer(print: Print, reply: &Reply, replies: &mut Replies<'_>) {
    match (reply, print) {
        (Reply::Stored { old, .. } | Reply::ConditionFailed { old, .. }, Print::Old) => {
            replies.value_or_null(old.as_ref());
        }
        (Reply::Stored { .. }, Print::Flag) => replies.integer(1),
        (Reply::ConditionFailed { .. }, Print::Flag) => replies.integer(0),
        (Reply::Stored { .. }, Print::Ok) | (Reply::Flushed | Reply::Named { .. }, _) => replies.simple("OK"),
        (Reply::ConditionFailed { .. }, Print::Ok) => replies.null(),
        (Reply::Deleted { removed }, _) => replies.count(*removed),
        (Reply::Appended { length, .. }, _) => replies.count(*length),
        (Reply::Counted { value, .. }, _) => replies.integer(*value),
        (Reply::Failed(error), _) => replies.error(&format!("ERR {error}")),
        (Reply::Value(_) | Reply::Values(_) | Reply::Count(_) | Reply::Entry(_), _) => {
            panic!("a command is not answered with {reply:?}")
        }
    }
}

/// Encodes a read that may be attached, and returns how to print its answer.
fn encode_query(read: &Read, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Show {
    match read {
        Read::Get => query::encode_value(out, arguments.get(1)),
        Read::MGet => query::encode_values(out, arguments.from(1).iter()),
        Read::Exists => query::encode_exist(out, arguments.from(1).iter()),
        Read::StrLen => query::encode_length(out, arguments.get(1)),
        Read::Type => {
            query::encode_exist(out, std::iter::once(arguments.get(1)));
            return Show::Type;
        }
        Read::DbSize | Read::Scan { .. } => panic!("{read:?} may not be attached"),
    }
    Show::Plain
}

/// Prints the answer to an attached read.
fn print_answer(show: Show, reply: &Reply, replies: &mut Replies<'_>) {
    match (reply, show) {
        (Reply::Value(value), _) => replies.value_or_null(value.as_ref()),
        (Reply::Values(values), _) => {
            replies.array(values.len());
            values.iter().for_each(|value| replies.value_or_null(value.as_ref()));
        }
        (Reply::Count(count), Show::Plain) => replies.count(*count),
        (Reply::Count(count), Show::Type) => replies.simple(if *count > 0 { "string" } else { "none" }),
        _ => panic!("a query is not answered with {reply:?}"),
    }
}

/// Executes a read.
fn look(read: Read, arguments: Arguments<'_>, view: &View<'_>, replies: &mut Replies<'_>) {
    let reader = view.reader;
    match read {
        Read::Get => {
            reader.with(arguments.get(1), |found| replies.value_or_null(found.map(|found| found.value)));
        }
        Read::MGet => {
            // They are printed when nobody waits for them any more.
            let values = reader.get_many(arguments.from(1).iter());
            replies.array(values.len());
            for value in &values {
                replies.value_or_null(value.as_ref());
            }
        }
        Read::Exists => replies.count(reader.exists(arguments.from(1).iter())),
        Read::StrLen => {
            replies.count(
                reader.with(arguments.get(1), |found| found.map_or(0, |found| found.value.len() as u64)),
            );
        }
        Read::Type => {
            let exists = reader.with(arguments.get(1), |found| found.is_some());
            replies.simple(if exists { "string" } else { "none" });
        }
        Read::DbSize => replies.count(reader.len()),
        Read::Scan { cursor, count, pattern, strings } => {
            let mut keys = Vec::new();
            let next = reader.scan(cursor, count, |key| {
                if strings && pattern.as_ref().is_none_or(|pattern| pattern.matches(key)) {
                    keys.push(key.to_vec());
                }
            });
            replies.array(2);
            replies.bulk(next.0.to_string().as_bytes());
            replies.array(keys.len());
            for key in &keys {
                replies.bulk(key);
            }
        }
    }
}
