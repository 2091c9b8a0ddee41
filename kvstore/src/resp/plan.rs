//! What a request asks for, and what is wrong with it.

use std::borrow::Cow;

use bytes::Bytes;

use super::containers;
use super::parse::Arguments;
use super::settings::{self, Change};
use super::words::{is, shown};
use crate::command::{Condition, MAX_KEY_BYTES};
use crate::decimal::decimal;
use crate::pubsub::{TooMany, Topic};
use crate::script::Scripts;
use crate::table::{self, Does, Op, Spec};
use crate::users::prepare;
use crate::{Database, Description};

/// A valid request. Keys and values stay in the arguments, at places that the command's name implies.
#[derive(Debug)]
pub(super) enum Plan {
    Write(Write),
    Read(Read),
    Local(Local),
    /// The request cannot be served, for this error.
    Refuse(Cow<'static, str>),
    /// It is no command, or has no such arguments: a transaction that it belongs to is not executed.
    Invalid(Cow<'static, str>),
}

/// A command for the log.
#[derive(Debug)]
pub(super) enum Write {
    /// Key and value are arguments 1 and 2.
    Set {
        condition: Condition,
        print: Print,
    },
    /// Key, value, Content-Type and Content-Encoding are arguments 1 to 4.
    Put,
    /// The keys are the arguments from 1 on.
    Delete,
    /// Keys and values are the arguments from 1 on, alternately.
    MSet {
        if_absent: bool,
    },
    /// Key and value are arguments 1 and 2.
    Append,
    /// The key is argument 1.
    IncrBy(i64),
    FlushAll,
    /// Any other one, with its words.
    Call {
        op: Op,
        /// It carries the time.
        timed: bool,
    },
    /// A script of this source, with the words from argument 2 on.
    Script {
        op: Op,
        source: Bytes,
    },
    /// The name of the user is argument 2.
    SetUser {
        /// With digests in place of passwords.
        rules: Vec<Vec<u8>>,
    },
    /// The names of users are the arguments from 2 on.
    RemoveUsers,
    /// The commands of a transaction.
    Transaction,
}

impl Write {
    /// Whether it may change something, or tell others of something. A transaction does if one of its commands does.
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Write::Call { op: Op::EvalRo, .. } | Write::Script { op: Op::EvalRo, .. })
    }

    /// Whether it carries the time. A transaction does if one of its commands does.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self, Write::Call { timed: true, .. } | Write::Script { .. })
    }
}

/// What the reply to a write shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Print {
    /// OK, or null if the condition did not hold.
    Ok,
    /// 1, or 0 if the condition did not hold.
    Flag,
    /// The previous value, or null.
    Old,
}

/// A look at the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The key is argument 1.
    Get,
    /// Any other one, with its words.
    Call(Op),
    /// The versions of the keys from argument 1 on.
    Watch,
    /// The users.
    Users,
}

/// What a server answers by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Local {
    Ping,
    Echo,
    Hello,
    /// The client gives the password.
    Auth,
    /// The client is turned away.
    Deny,
    Quit,
    Select(Database),
    /// About rights, without a look at the state.
    Acl,
    Command,
    Client,
    /// A pause of all clients ends.
    Unpause,
    /// Help on the subcommands of this command.
    Help(&'static str),
    ConfigGet,
    /// Settings that are in the server's file.
    ConfigSet,
    ResetStatistics,
    Info,
    /// Whether reads may be weak from now on.
    ReadOnly(bool),
    /// Reset the connection to its initial state.
    Reset,
    /// A transaction begins.
    Multi,
    /// It ends, without being executed.
    Discard,
    Unwatch,
    Role,
    Wait,
    Sentinel,
    /// This server hands over all that it leads.
    Failover,
    /// The same, as the only master that it tells of.
    SentinelFailover,
    SlowLog,
    Latency,
    Cluster,
    Asking,
    Subscribe(Topic),
    Unsubscribe(Topic),
    PubSub,
    /// The command belongs to a transaction.
    Queued,
    /// Which of the scripts with these names are known.
    KnownScripts,
}

impl Local {
    /// Whether it takes next to no time, so that nobody need look at a clock.
    pub(super) fn is_quick(self) -> bool {
        matches!(
            self,
            Local::Ping
                | Local::Echo
                | Local::Select(_)
                | Local::Multi
                | Local::Discard
                | Local::Unwatch
                | Local::Queued
                | Local::ReadOnly(_)
                | Local::Asking
        )
    }
}

pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: Plan = Plan::Refuse(Cow::Borrowed("ERR syntax error"));

/// Interprets a request; `arguments` has at least one argument. A script that it brings is known at once, since the next
/// request of a pipeline may call it by its name.
pub(super) fn plan(arguments: Arguments<'_>, scripts: &Scripts) -> Plan {
    let Some(spec) = Spec::find(arguments.get(0)) else { return unknown(arguments) };
    if !spec.takes(arguments.len()) {
        return Plan::Invalid(wrong_number(spec.name));
    }
    if spec.lacks_value(arguments.len()) {
        return Plan::Refuse(wrong_number(spec.name));
    }
    let fits = |at: usize| arguments.get(at).len() <= MAX_KEY_BYTES;
    if !spec.keys.among(arguments.len()).all(fits) {
        return Plan::Invalid(format!("ERR the key is longer than {MAX_KEY_BYTES} bytes (64 KiB)").into());
    }
    match spec.does {
        Does::Read(Op::Get) => Plan::Read(Read::Get),
        Does::Read(Op::Ping) if arguments.len() > 2 => Plan::Invalid(wrong_number(spec.name)),
        Does::Read(op @ (Op::Object | Op::Memory)) => match containers::check(spec.name, arguments) {
            Ok(()) => Plan::Read(Read::Call(op)),
            Err(wrong) => Plan::Invalid(wrong.to_string().into()),
        },
        Does::Read(op) => Plan::Read(Read::Call(op)),
        Does::TimedWrite(Op::Set) => set_with_options(arguments),
        Does::TimedWrite(Op::Put) => put(arguments),
        Does::TimedWrite(op @ (Op::Eval | Op::EvalRo)) => {
            scripts.add(arguments.get(1));
            Plan::Write(Write::Call { op, timed: true })
        }
        Does::Write(Op::Script) => about_scripts(arguments, scripts),
        Does::Write(Op::Config) => config(arguments),
        Does::TimedWrite(Op::EvalSha) => script(Op::Eval, arguments, scripts),
        Does::TimedWrite(Op::EvalShaRo) => script(Op::EvalRo, arguments, scripts),
        Does::TimedWrite(op) => Plan::Write(Write::Call { op, timed: true }),
        Does::Write(Op::Publish | Op::SPublish) if !fits(1) => {
            Plan::Refuse(format!("ERR {}", TooMany::LongChannel).into())
        }
        Does::Write(op) => Plan::Write(Write::Call { op, timed: false }),
        Does::Compact(op) => compact(op, arguments),
        Does::Local(local) => understand_local(spec.name, local, arguments),
    }
}

/// A script that is called by its name. Servers know different ones, so the log carries the source.
fn script(op: Op, arguments: Arguments<'_>, scripts: &Scripts) -> Plan {
    match scripts.find(arguments.get(1)) {
        Some(source) => Plan::Write(Write::Script { op, source }),
        None => Plan::Refuse("NOSCRIPT No matching script. Please use EVAL.".into()),
    }
}

/// A set with HTTP headers, to load what was exported.
fn put(arguments: Arguments<'_>) -> Plan {
    if described(arguments).is_valid() {
        match arguments.len() {
            5 => Plan::Write(Write::Put),
            _ => Plan::Write(Write::Call { op: Op::Put, timed: true }),
        }
    } else {
        Plan::Refuse(
            "ERR a content type has at most 256 bytes and an encoding 64, all of them printable".into(),
        )
    }
}

/// The HTTP headers of a put.
pub(super) fn described(arguments: Arguments<'_>) -> Description<'_> {
    Description { content_type: arguments.get(3), content_encoding: arguments.get(4) }
}

/// The commands that the log carries in a form of their own.
fn compact(op: Op, arguments: Arguments<'_>) -> Plan {
    let set = |condition, print| Plan::Write(Write::Set { condition, print });
    match op {
        Op::SetNx => set(Condition::IfAbsent, Print::Flag),
        Op::GetSet => set(Condition::Always, Print::Old),
        Op::Del | Op::Unlink => Plan::Write(Write::Delete),
        Op::MSet => Plan::Write(Write::MSet { if_absent: false }),
        Op::MSetNx => Plan::Write(Write::MSet { if_absent: true }),
        Op::Append => Plan::Write(Write::Append),
        Op::Incr => Plan::Write(Write::IncrBy(1)),
        Op::Decr => Plan::Write(Write::IncrBy(-1)),
        Op::IncrBy => increment(decimal(arguments.get(2))),
        // The least integer has no opposite.
        Op::DecrBy if decimal(arguments.get(2)) == Some(i64::MIN) => {
            Plan::Refuse("ERR decrement would overflow".into())
        }
        Op::DecrBy => increment(decimal(arguments.get(2)).map(i64::wrapping_neg)),
        Op::FlushAll => match arguments.len() {
            1 => Plan::Write(Write::FlushAll),
            2 if ["ASYNC", "SYNC"].iter().any(|how| is(arguments.get(1), how)) => {
                Plan::Write(Write::FlushAll)
            }
            _ => SYNTAX,
        },
        other => unreachable!("{other:?} is a call"),
    }
}

fn understand_local(name: &'static str, local: table::Local, arguments: Arguments<'_>) -> Plan {
    use table::Local as Of;
    let given = arguments.len() - 1;
    Plan::Local(match local {
        Of::Acl => return about_users(arguments),
        Of::Hello => Local::Hello,
        Of::Quit => Local::Quit,
        Of::Select => {
            match decimal(arguments.get(1)).map(|number| number.try_into().ok().and_then(Database::new)) {
                Some(Some(database)) => Local::Select(database),
                Some(None) => return Plan::Refuse("ERR DB index is out of range".into()),
                None => return Plan::Refuse(NOT_AN_INTEGER.into()),
            }
        }
        Of::Auth if given > 2 => return SYNTAX,
        Of::Auth => Local::Auth,
        Of::Command if given == 0 => Local::Command,
        Of::Command | Of::Client | Of::Cluster | Of::Latency | Of::PubSub | Of::Sentinel | Of::SlowLog => {
            match containers::check(name, arguments) {
                Err(wrong) => return Plan::Invalid(wrong.to_string().into()),
                Ok(()) if is(arguments.get(1), "HELP") => Local::Help(name),
                Ok(()) if local == Of::Command => Local::Command,
                Ok(()) if local == Of::Client && is(arguments.get(1), "UNPAUSE") => Local::Unpause,
                Ok(()) if local == Of::Client => Local::Client,
                Ok(()) if local == Of::Cluster => Local::Cluster,
                Ok(()) if local == Of::PubSub => Local::PubSub,
                Ok(()) if local == Of::SlowLog => Local::SlowLog,
                Ok(()) if local == Of::Latency => Local::Latency,
                Ok(()) if is(arguments.get(1), "FAILOVER") => Local::SentinelFailover,
                Ok(()) => Local::Sentinel,
            }
        }
        Of::Failover => Local::Failover,
        Of::Info => Local::Info,
        Of::Role => Local::Role,
        Of::Wait => Local::Wait,
        Of::Asking => Local::Asking,
        Of::Subscribe => Local::Subscribe(Topic::Channel),
        Of::PSubscribe => Local::Subscribe(Topic::Pattern),
        Of::SSubscribe => Local::Subscribe(Topic::Shard),
        Of::Unsubscribe => Local::Unsubscribe(Topic::Channel),
        Of::PUnsubscribe => Local::Unsubscribe(Topic::Pattern),
        Of::SUnsubscribe => Local::Unsubscribe(Topic::Shard),
        Of::ReadOnly => Local::ReadOnly(true),
        Of::ReadWrite => Local::ReadOnly(false),
        Of::Multi => Local::Multi,
        Of::Exec => return Plan::Refuse("ERR EXEC without MULTI".into()),
        Of::Discard => return Plan::Refuse("ERR DISCARD without MULTI".into()),
        Of::Watch => return Plan::Read(Read::Watch),
        Of::Unwatch => Local::Unwatch,
        Of::Reset => Local::Reset,
    })
}

/// `SCRIPT LOAD` and so on.
fn about_scripts(arguments: Arguments<'_>, scripts: &Scripts) -> Plan {
    let asks = |name| is(arguments.get(1), name);
    match containers::check("SCRIPT", arguments) {
        Err(wrong) => return Plan::Invalid(wrong.to_string().into()),
        Ok(()) if asks("HELP") => return Plan::Local(Local::Help("SCRIPT")),
        Ok(()) if asks("EXISTS") => return Plan::Local(Local::KnownScripts),
        Ok(()) if asks("LOAD") => drop(scripts.add(arguments.get(2))),
        Ok(()) if asks("FLUSH") => scripts.clear(),
        Ok(()) => {}
    }
    Plan::Write(Write::Call { op: Op::Script, timed: false })
}

/// `CONFIG GET` and so on. Settings of the state are changed through the log.
fn config(arguments: Arguments<'_>) -> Plan {
    let asks = |name| is(arguments.get(1), name);
    match containers::check("CONFIG", arguments) {
        Err(wrong) => Plan::Invalid(wrong.to_string().into()),
        Ok(()) if asks("HELP") => Plan::Local(Local::Help("CONFIG")),
        Ok(()) if asks("GET") => Plan::Local(Local::ConfigGet),
        Ok(()) if asks("SET") => match settings::check(arguments.from(2)) {
            Ok(Change::OfTheState) => Plan::Write(Write::Call { op: Op::Config, timed: false }),
            Ok(Change::OfThisServer) => Plan::Local(Local::ConfigSet),
            Err(wrong) => Plan::Refuse(wrong.into()),
        },
        Ok(()) if asks("RESETSTAT") => Plan::Local(Local::ResetStatistics),
        Ok(()) => Plan::Refuse(settings::REWRITE.into()),
    }
}

/// `ACL SETUSER` and so on.
fn about_users(arguments: Arguments<'_>) -> Plan {
    if let Err(wrong) = containers::check("ACL", arguments) {
        return Plan::Invalid(wrong.to_string().into());
    }
    let asks = |name| is(arguments.get(1), name);
    if asks("SETUSER") {
        match prepare(arguments.from(3).iter()) {
            Ok(rules) => Plan::Write(Write::SetUser { rules }),
            Err(wrong) => Plan::Refuse(wrong.into()),
        }
    } else if asks("DELUSER") {
        Plan::Write(Write::RemoveUsers)
    } else if ["DRYRUN", "GETUSER", "LIST", "USERS"].into_iter().any(asks) {
        Plan::Read(Read::Users)
    } else if asks("HELP") {
        Plan::Local(Local::Help("ACL"))
    } else {
        Plan::Local(Local::Acl)
    }
}

fn increment(delta: Option<i64>) -> Plan {
    delta.map_or(Plan::Refuse(NOT_AN_INTEGER.into()), |delta| Plan::Write(Write::IncrBy(delta)))
}

/// A set that only has a condition has a form of its own in the log. Any other one is a call, which says what
/// is wrong with its options.
fn set_with_options(arguments: Arguments<'_>) -> Plan {
    let mut condition = Condition::Always;
    let mut print = Print::Ok;
    for option in arguments.from(3).iter() {
        if is(option, "NX") && condition != Condition::IfPresent {
            condition = Condition::IfAbsent;
        } else if is(option, "XX") && condition != Condition::IfAbsent {
            condition = Condition::IfPresent;
        } else if is(option, "GET") {
            print = Print::Old;
        } else {
            return Plan::Write(Write::Call { op: Op::Set, timed: true });
        }
    }
    Plan::Write(Write::Set { condition, print })
}

fn wrong_number(name: &str) -> Cow<'static, str> {
    format!("ERR wrong number of arguments for '{}' command", name.to_lowercase()).into()
}

/// Redis shows the name and the first arguments, within 128 bytes.
fn unknown(arguments: Arguments<'_>) -> Plan {
    let name = shown(arguments.get(0), 128);
    let mut text = format!("ERR unknown command '{name}', with args beginning with: ");
    let start = text.len();
    for argument in arguments.from(1).iter() {
        if text.len() - start >= 128 {
            break;
        }
        text.push_str(&format!("'{}' ", shown(argument, 128 - (text.len() - start))));
    }
    Plan::Invalid(text.into())
}
