//! CONFIG: settings by their names in Redis.
//!
//! Those of the state are changed through the log, alike on all servers. Those of the slow log and of tracking are each server's
//! own, until it stops. The others are in a server's file or have one value for ever, and CONFIG SET only takes the value that they have.

use niagara_engine::Durability;

use super::encode::Replies;
use super::parse::Arguments;
use super::words::{is, shown};
use crate::Database;
use crate::clients::SlowLog;
use crate::command::MAX_VALUE_BYTES;
use crate::decimal::decimal;
use crate::glob::Glob;
use crate::protocol::Engine;
use crate::settings::{MAX_MEMORY, NOTICES, POLICY, SAMPLES, Setting, name_of};

const SLOWER_THAN: &str = "slowlog-log-slower-than";
const SLOW_LOG_MOST: &str = "slowlog-max-len";
const TRACKING_MOST: &str = "tracking-table-max-keys";

pub(super) const REWRITE: &str = "ERR nothing is to be rewritten: what CONFIG SET changes is replicated, and the rest is in the server's file";

pub(super) const NOT_IN_A_TRANSACTION: &str =
    "ERR CONFIG SET failed - in a transaction, only settings that all servers share can be set";

/// All settings, with their values.
fn known(engine: &impl Engine, slow_log: &SlowLog) -> [(&'static str, String); 12] {
    let memory = engine.reader().memory();
    let keeps_a_log = engine.status().durability != Durability::Memory;
    [
        ("appendonly", if keeps_a_log { "yes" } else { "no" }.into()),
        ("databases", Database::COUNT.to_string()),
        (MAX_MEMORY, memory.most.to_string()),
        (POLICY, memory.policy.name().into()),
        (SAMPLES, memory.samples.to_string()),
        (NOTICES, engine.reader().notices().letters()),
        ("proto-max-bulk-len", MAX_VALUE_BYTES.to_string()),
        ("save", String::new()),
        (SLOWER_THAN, slow_log.slower_than().to_string()),
        (SLOW_LOG_MOST, slow_log.most().to_string()),
        ("timeout", "0".into()),
        (TRACKING_MOST, engine.reader().tracking().most_keys().to_string()),
    ]
}

/// `CONFIG GET pattern ..`: the patterns.
pub(super) fn tell(
    patterns: Arguments<'_>,
    engine: &impl Engine,
    slow_log: &SlowLog,
    replies: &mut Replies<'_>,
) {
    // No name is as long as the longest pattern.
    let patterns: Vec<Glob> =
        patterns.iter().filter_map(|pattern| Glob::new(&pattern.to_ascii_lowercase())).collect();
    let known = known(engine, slow_log);
    let is_asked = |name: &str| patterns.iter().any(|pattern| pattern.matches(name.as_bytes()));
    let found: Vec<_> = known.iter().filter(|(name, _)| is_asked(name)).collect();
    replies.map(found.len());
    for (name, value) in found {
        replies.bulk(name.as_bytes());
        replies.bulk(value.as_bytes());
    }
}

/// Where a setting is changed.
pub(super) enum Change {
    OfTheState,
    OfThisServer,
}

fn failed(name: &[u8], why: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{}') - {why}", shown(name, 128))
}

/// Checks `CONFIG SET name value ..` as far as can be without a server: the names and values.
pub(super) fn check(pairs: Arguments<'_>) -> Result<Change, String> {
    if !pairs.len().is_multiple_of(2) {
        return Err("ERR syntax error".into());
    }
    let names: Vec<&[u8]> = pairs.iter().step_by(2).collect();
    let twice =
        (1..names.len()).find(|at| names[..*at].iter().any(|name| name.eq_ignore_ascii_case(names[*at])));
    if let Some(at) = twice {
        return Err(failed(names[at], "duplicate parameter"));
    }
    let of_the_state: Vec<&str> = names.iter().filter_map(|name| name_of(name)).collect();
    match of_the_state[..] {
        [] => return Ok(Change::OfThisServer),
        [first, ..] if of_the_state.len() < names.len() => {
            let why = "all servers share it, and not the others: set them by commands of their own";
            return Err(failed(first.as_bytes(), why));
        }
        _ => {}
    }
    for (at, name) in of_the_state.iter().enumerate() {
        Setting::parse(name, pairs.get(2 * at + 1)).map_err(|why| failed(name.as_bytes(), &why))?;
    }
    Ok(Change::OfTheState)
}

/// A setting of this server that can be changed, with its new value.
enum Changed {
    SlowerThan(i64),
    SlowLogMost(usize),
    TrackingMost(usize),
}

const COUNT: &str = "between 0 and 9223372036854775807 inclusive";

/// What is to be changed; `None` if nobody can change that.
fn changed(name: &[u8], value: &[u8]) -> Option<Result<Changed, String>> {
    let number = |what: fn(i64) -> Option<Changed>, range: &str| {
        decimal(value).and_then(what).ok_or_else(|| failed(name, &format!("argument must be {range}")))
    };
    if is(name, SLOWER_THAN) {
        let range = "a number of microseconds, or -1 to note nothing";
        Some(number(|number| (number >= -1).then_some(Changed::SlowerThan(number)), range))
    } else if is(name, SLOW_LOG_MOST) {
        Some(number(|number| usize::try_from(number).ok().map(Changed::SlowLogMost), COUNT))
    } else if is(name, TRACKING_MOST) {
        Some(number(|number| usize::try_from(number).ok().map(Changed::TrackingMost), COUNT))
    } else {
        None
    }
}

/// `CONFIG SET name value ..` of settings of this server. Those that nobody can change may be set to the values that they have.
/// All are set, or none.
pub(super) fn set(
    pairs: Arguments<'_>,
    engine: &impl Engine,
    slow_log: &SlowLog,
    replies: &mut Replies<'_>,
) -> bool {
    let known = known(engine, slow_log);
    let mut changes = Vec::new();
    for at in (0..pairs.len()).step_by(2) {
        let (name, value) = (pairs.get(at), pairs.get(at + 1));
        match changed(name, value) {
            Some(Ok(change)) => {
                changes.push(change);
                continue;
            }
            Some(Err(wrong)) => {
                replies.error(&wrong);
                return false;
            }
            None => {}
        }
        let Some((_, current)) = known.iter().find(|(known, _)| is(name, known)) else {
            let name = shown(name, 128);
            replies.error(&format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"));
            return false;
        };
        if !value.eq_ignore_ascii_case(current.as_bytes()) {
            replies.error(&failed(name, "can't set immutable config: the servers' files decide it"));
            return false;
        }
    }
    for change in changes {
        match change {
            Changed::SlowerThan(microseconds) => slow_log.set_slower_than(microseconds),
            Changed::SlowLogMost(most) => slow_log.set_most(most),
            Changed::TrackingMost(most) => engine.reader().tracking().set_most_keys(most),
        }
    }
    replies.simple("OK");
    true
}
