//! What a request asks for, and what is wrong with it.

use std::borrow::Cow;

use super::containers;
use super::glob::{Glob, MAX_PATTERN_BYTES};
use super::parse::Arguments;
use super::words::{is, shown};
use crate::command::{Condition, MAX_KEY_BYTES};
use crate::decimal::decimal;
use crate::{Cursor, Description};

/// A valid request. Keys and values stay in the arguments, at places that the command's name implies.
#[derive(Debug)]
pub(super) enum Plan {
    Write(Write),
    Read(Read),
    Local(Local),
    /// The request cannot be served, for this error.
    Refuse(Cow<'static, str>),
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
}

/// What the reply to a set shows.
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
#[derive(Debug)]
pub(super) enum Read {
    /// The key is argument 1.
    Get,
    /// The keys are the arguments from 1 on.
    MGet,
    /// The keys are the arguments from 1 on.
    Exists,
    /// The key is argument 1.
    StrLen,
    /// The key is argument 1.
    Type,
    DbSize,
    /// Only strings have keys.
    Scan {
        cursor: Cursor,
        count: usize,
        pattern: Option<Glob>,
        strings: bool,
    },
}

/// What a server answers by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Local {
    Ping,
    Echo,
    Hello,
    Quit,
    /// The only database was selected.
    Select,
    Command,
    Client,
    /// Help on the subcommands of this command.
    Help(&'static str),
    ConfigGet,
    Info,
    /// Whether reads may be weak from now on.
    ReadOnly(bool),
    /// Nothing to do.
    Nothing,
    /// Reset the connection to its initial state.
    Reset,
}

/// The keys on a page of a scan unless the client asks for another number, as in Redis.
const SCAN_KEYS: usize = 10;

const NOT_AN_INTEGER: Plan = Plan::Refuse(Cow::Borrowed("ERR value is not an integer or out of range"));
const SYNTAX: Plan = Plan::Refuse(Cow::Borrowed("ERR syntax error"));

/// Interprets a request; `arguments` has at least one argument.
pub(super) fn plan(arguments: Arguments<'_>) -> Plan {
    let Some(&(name, least, most, keys)) = COMMANDS.iter().find(|(name, ..)| is(arguments.get(0), name))
    else {
        return missing(arguments);
    };
    let given = arguments.len() - 1;
    if given < least || given > most || (keys == Keys::EverySecond && given % 2 == 1) {
        return wrong_number(name);
    }
    if !keys_fit(keys, arguments) {
        return Plan::Refuse(format!("ERR the key is longer than {MAX_KEY_BYTES} bytes (64 KiB)").into());
    }
    understand(name, arguments)
}

/// Where a command's keys are among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    None,
    First,
    All,
    /// Alternately with values.
    EverySecond,
}

/// A command's name, its least and greatest number of arguments, and which of them are keys.
type Known = (&'static str, usize, usize, Keys);

const ANY: usize = usize::MAX;

/// How many commands there are.
pub(super) const COMMAND_COUNT: usize = 35;

/// All commands, the most frequent first, since they are searched in this order.
const COMMANDS: [Known; COMMAND_COUNT] = [
    ("GET", 1, 1, Keys::First),
    ("SET", 2, ANY, Keys::First),
    ("INCR", 1, 1, Keys::First),
    ("MGET", 1, ANY, Keys::All),
    ("MSET", 2, ANY, Keys::EverySecond),
    ("DEL", 1, ANY, Keys::All),
    ("EXISTS", 1, ANY, Keys::All),
    ("PING", 0, 1, Keys::None),
    ("INCRBY", 2, 2, Keys::First),
    ("DECR", 1, 1, Keys::First),
    ("DECRBY", 2, 2, Keys::First),
    ("APPEND", 2, 2, Keys::First),
    ("STRLEN", 1, 1, Keys::First),
    ("SETNX", 2, 2, Keys::First),
    ("GETSET", 2, 2, Keys::First),
    ("MSETNX", 2, ANY, Keys::EverySecond),
    ("UNLINK", 1, ANY, Keys::All),
    ("TYPE", 1, 1, Keys::First),
    ("SCAN", 1, ANY, Keys::None),
    ("DBSIZE", 0, 0, Keys::None),
    ("FLUSHALL", 0, ANY, Keys::None),
    ("FLUSHDB", 0, ANY, Keys::None),
    ("ECHO", 1, 1, Keys::None),
    ("SELECT", 1, 1, Keys::None),
    ("HELLO", 0, ANY, Keys::None),
    ("CLIENT", 1, ANY, Keys::None),
    ("COMMAND", 0, ANY, Keys::None),
    ("CONFIG", 1, ANY, Keys::None),
    ("INFO", 0, ANY, Keys::None),
    ("READONLY", 0, 0, Keys::None),
    ("READWRITE", 0, 0, Keys::None),
    ("QUIT", 0, ANY, Keys::None),
    ("RESET", 0, 0, Keys::None),
    ("UNWATCH", 0, 0, Keys::None),
    ("NIAGARA.PUT", 4, 4, Keys::First),
];

/// The names of all commands.
pub(super) fn names() -> impl ExactSizeIterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, ..)| *name)
}

/// Redis commands that do not exist here, with an error that says what to do instead: the least and the
/// greatest number of arguments, and the error. (MULTI changes what follows: see `gate`.)
const MISSING: [(&str, usize, usize, &str); 4] = [
    ("EXEC", 0, 0, "ERR EXEC without MULTI"),
    ("DISCARD", 0, 0, "ERR DISCARD without MULTI"),
    ("WATCH", 1, ANY, "ERR WATCH is not supported: write with SET NX or XX, or over HTTP with If-Match"),
    (
        "AUTH",
        1,
        2,
        "ERR AUTH <password> called without any password configured for the default user: leave it out",
    ),
];

fn keys_fit(keys: Keys, arguments: Arguments<'_>) -> bool {
    let fits = |key: &[u8]| key.len() <= MAX_KEY_BYTES;
    match keys {
        Keys::None => true,
        Keys::First => fits(arguments.get(1)),
        Keys::All => arguments.from(1).iter().all(fits),
        Keys::EverySecond => arguments.from(1).iter().step_by(2).all(fits),
    }
}

/// A set with HTTP headers, to load what was exported.
fn put(arguments: Arguments<'_>) -> Plan {
    if described(arguments).is_valid() {
        Plan::Write(Write::Put)
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

fn understand(name: &'static str, arguments: Arguments<'_>) -> Plan {
    let set = |condition, print| Plan::Write(Write::Set { condition, print });
    match name {
        "GET" => Plan::Read(Read::Get),
        "MGET" => Plan::Read(Read::MGet),
        "EXISTS" => Plan::Read(Read::Exists),
        "STRLEN" => Plan::Read(Read::StrLen),
        "TYPE" => Plan::Read(Read::Type),
        "DBSIZE" => Plan::Read(Read::DbSize),
        "SCAN" => scan(arguments),
        "SET" => set_with_options(arguments),
        "NIAGARA.PUT" => put(arguments),
        "SETNX" => set(Condition::IfAbsent, Print::Flag),
        "GETSET" => set(Condition::Always, Print::Old),
        "DEL" | "UNLINK" => Plan::Write(Write::Delete),
        "MSET" => Plan::Write(Write::MSet { if_absent: false }),
        "MSETNX" => Plan::Write(Write::MSet { if_absent: true }),
        "APPEND" => Plan::Write(Write::Append),
        "INCR" => Plan::Write(Write::IncrBy(1)),
        "DECR" => Plan::Write(Write::IncrBy(-1)),
        "INCRBY" => increment(decimal(arguments.get(2))),
        // The least integer has no opposite.
        "DECRBY" if decimal(arguments.get(2)) == Some(i64::MIN) => {
            Plan::Refuse("ERR decrement would overflow".into())
        }
        "DECRBY" => increment(decimal(arguments.get(2)).map(i64::wrapping_neg)),
        "FLUSHALL" | "FLUSHDB" => match arguments.len() {
            1 => Plan::Write(Write::FlushAll),
            2 if ["ASYNC", "SYNC"].iter().any(|how| is(arguments.get(1), how)) => {
                Plan::Write(Write::FlushAll)
            }
            _ => SYNTAX,
        },
        _ => understand_local(name, arguments),
    }
}

fn understand_local(name: &'static str, arguments: Arguments<'_>) -> Plan {
    Plan::Local(match name {
        "PING" => Local::Ping,
        "ECHO" => Local::Echo,
        "HELLO" => Local::Hello,
        "QUIT" => Local::Quit,
        "SELECT" => match decimal(arguments.get(1)) {
            Some(0) => Local::Select,
            Some(_) => return Plan::Refuse("ERR DB index is out of range".into()),
            None => return NOT_AN_INTEGER,
        },
        "COMMAND" if arguments.len() == 1 => Local::Command,
        "CONFIG" if ["SET", "REWRITE", "RESETSTAT"].iter().any(|name| is(arguments.get(1), name)) => {
            return Plan::Refuse(
                "ERR only CONFIG GET is supported; the configuration is in the server's file".into(),
            );
        }
        "COMMAND" | "CLIENT" | "CONFIG" => match containers::check(name, arguments) {
            Err(wrong) => return Plan::Refuse(wrong.into()),
            Ok(()) if is(arguments.get(1), "HELP") => Local::Help(name),
            Ok(()) if name == "COMMAND" => Local::Command,
            Ok(()) if name == "CLIENT" => Local::Client,
            Ok(()) => Local::ConfigGet,
        },
        "INFO" => Local::Info,
        "READONLY" => Local::ReadOnly(true),
        "READWRITE" => Local::ReadOnly(false),
        "UNWATCH" => Local::Nothing,
        "RESET" => Local::Reset,
        _ => return unknown(arguments),
    })
}

fn increment(delta: Option<i64>) -> Plan {
    delta.map_or(NOT_AN_INTEGER, |delta| Plan::Write(Write::IncrBy(delta)))
}

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
        } else if let Some(name) =
            ["EX", "PX", "EXAT", "PXAT", "KEEPTTL"].into_iter().find(|name| is(option, name))
        {
            let text = format!("ERR {name} is not supported: keys do not expire; delete them with DEL");
            return Plan::Refuse(text.into());
        } else {
            return SYNTAX;
        }
    }
    Plan::Write(Write::Set { condition, print })
}

fn scan(arguments: Arguments<'_>) -> Plan {
    let Some(cursor) = cursor(arguments.get(1)) else {
        return Plan::Refuse("ERR invalid cursor: no server issued it; restart at 0".into());
    };
    let (mut count, mut pattern, mut strings) = (SCAN_KEYS, None, true);
    for at in (2..arguments.len()).step_by(2) {
        if at + 1 == arguments.len() {
            return SYNTAX;
        }
        let (option, value) = (arguments.get(at), arguments.get(at + 1));
        if is(option, "MATCH") {
            pattern = Glob::new(value);
            if pattern.is_none() {
                return Plan::Refuse(
                    format!("ERR the pattern is longer than {MAX_PATTERN_BYTES} bytes").into(),
                );
            }
        } else if is(option, "TYPE") {
            strings = is(value, "string");
        } else if is(option, "COUNT") {
            match decimal(value) {
                Some(keys @ 1..) => count = keys as usize,
                Some(_) => return SYNTAX,
                None => return NOT_AN_INTEGER,
            }
        } else {
            return SYNTAX;
        }
    }
    Plan::Read(Read::Scan { cursor, count, pattern, strings })
}

fn cursor(text: &[u8]) -> Option<Cursor> {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    (number <= Cursor::MAX.0).then_some(Cursor(number))
}

fn wrong_number(name: &str) -> Plan {
    let name = name.to_lowercase();
    Plan::Refuse(format!("ERR wrong number of arguments for '{name}' command").into())
}

/// The error of a command that does not exist.
fn missing(arguments: Arguments<'_>) -> Plan {
    let Some((name, least, most, error)) = MISSING.iter().find(|(name, ..)| is(arguments.get(0), name))
    else {
        return unknown(arguments);
    };
    let given = arguments.len() - 1;
    if given < *least || given > *most { wrong_number(name) } else { Plan::Refuse((*error).into()) }
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
    Plan::Refuse(text.into())
}
