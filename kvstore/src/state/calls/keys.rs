//! Commands on keys, whatever their values.

use bytes::Bytes;

use super::databases::database;
use super::words::{SYNTAX, integer, is};
use super::{Answer, Reading, Words, Writing};
use crate::Data;
use crate::decimal::decimal;
use crate::notices::About;
use crate::state::entry::Entry;

pub(super) fn exists(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(Data::count(words.iter().filter(|key| reading.get(key).is_some()).count()))
}

pub(super) fn kind(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(Data::Word(if reading.get(words[0]).is_some() { "string" } else { "none" }))
}

/// Keys that have expired and are not removed yet count, as in Redis.
pub(super) fn db_size(reading: &Reading<'_>, _words: Words<'_>) -> Answer {
    Ok(Data::Integer(reading.keys as i64))
}

const NO_KEY: &str = "ERR no such key";

pub(super) fn rename(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (from, to) = (words[0], words[1]);
    if writing.get(from).is_none() {
        return Err(NO_KEY.into());
    }
    move_to(writing, from, to);
    Ok(Data::OK)
}

pub(super) fn rename_nx(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (from, to) = (words[0], words[1]);
    if writing.get(from).is_none() {
        return Err(NO_KEY.into());
    }
    let is_free = writing.get(to).is_none();
    if is_free {
        move_to(writing, from, to);
    }
    Ok(Data::flag(is_free))
}

/// Removes a key, and tells subscribers.
pub(super) fn remove(writing: &mut Writing<'_>, key: &[u8]) -> Option<Entry> {
    let entry = writing.take(key)?;
    writing.tell(About::Key, "del", key);
    Some(entry)
}

fn move_to(writing: &mut Writing<'_>, from: &[u8], to: &[u8]) {
    if from == to {
        return;
    }
    let entry = writing.take(from).expect("it was there a moment ago");
    let attributes = entry.attributes();
    writing.put(to, entry.into_value(), attributes);
    writing.tell(About::Key, "rename_from", from);
    writing.tell(About::Key, "rename_to", to);
}

pub(super) fn copy(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (from, to) = (words[0], words[1]);
    let (mut replace, mut into) = (false, writing.database);
    let mut options = words[2..].iter();
    while let Some(option) = options.next() {
        if is(option, "REPLACE") {
            replace = true;
        } else if is(option, "DB") {
            into = database(options.next().ok_or(SYNTAX)?)?;
        } else {
            return Err(SYNTAX);
        }
    }
    if from == to && into == writing.database {
        return Err("ERR source and destination objects are the same".into());
    }
    let Some(entry) = writing.get(from) else { return Ok(Data::flag(false)) };
    let (value, attributes) = (entry.value().to_bytes(), entry.attributes());
    Ok(Data::flag(writing.within(into, |there| {
        let is_free = replace || there.get(to).is_none();
        if is_free {
            there.put(to, value, attributes);
            there.tell(About::Key, "copy_to", to);
        }
        is_free
    })))
}

const MEMORY_HELP: [&str; 4] = [
    "MEMORY <subcommand> [<key> ...]. Subcommands are:",
    "STATS: what all keys and values take",
    "USAGE <key> [SAMPLES <count>]: about how many bytes a key takes",
    "HELP: this help",
];

pub(super) fn memory(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    match words {
        [help] if is(help, "HELP") => Ok(Data::Array(MEMORY_HELP.into_iter().map(Data::Word).collect())),
        [stats] if is(stats, "STATS") => Ok(statistics(reading)),
        [usage, key, options @ ..] if is(usage, "USAGE") => {
            match options {
                [] => {}
                [samples, count] if is(samples, "SAMPLES") && integer(count)? >= 0 => {}
                _ => return Err(SYNTAX),
            }
            Ok(reading.get(key).map_or(Data::Null, |entry| Data::Integer(entry.bytes() as i64)))
        }
        _ => Err("ERR unknown subcommand or wrong number of arguments. Try MEMORY HELP.".into()),
    }
}

/// What there is to say under the names of Redis. It is the same whatever server is asked, since a script may ask.
fn statistics(reading: &Reading<'_>) -> Data {
    let keys: u64 = reading.all_keys;
    let each = reading.bytes.checked_div(keys).unwrap_or(0);
    let pairs = [("keys.count", keys), ("keys.bytes-per-key", each), ("dataset.bytes", reading.bytes)];
    Data::Map(pairs.into_iter().map(|(name, number)| (name.into(), Data::Integer(number as i64))).collect())
}

/// As in Redis without such a policy; there is none here.
const NO_FREQUENCY: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked.";

/// The longest value that Redis keeps beside its head.
const EMBEDDED_BYTES: usize = 44;

const HELP: [&str; 5] = [
    "OBJECT <subcommand> [<key>]. Subcommands are:",
    "ENCODING <key>: how Redis would keep the value, if it were set as it is",
    "IDLETIME <key>: always 0; uses are not kept by a clock",
    "REFCOUNT <key>: always 1",
    "HELP: this help",
];

pub(super) fn object(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let what = words[0];
    let shown = || String::from_utf8_lossy(&what[..what.len().min(128)]).into_owned();
    if is(what, "HELP") && words.len() == 1 {
        return Ok(Data::Array(HELP.into_iter().map(Data::Word).collect()));
    }
    let known = ["ENCODING", "IDLETIME", "REFCOUNT", "FREQ"].into_iter().find(|name| is(what, name));
    let Some(known) = known else {
        return Err(format!("ERR unknown subcommand '{}'. Try OBJECT HELP.", shown()).into());
    };
    let [_, key] = words else {
        let name = known.to_lowercase();
        return Err(format!("ERR wrong number of arguments for 'object|{name}' command").into());
    };
    let Some(entry) = reading.get(key) else { return Ok(Data::Null) };
    Ok(match known {
        "IDLETIME" => Data::Integer(0),
        "REFCOUNT" => Data::Integer(1),
        "FREQ" => return Err(NO_FREQUENCY.into()),
        _ => Data::Bulk(Bytes::from_static(match entry.value() {
            value if decimal(&value).is_some() => b"int",
            value if value.len() <= EMBEDDED_BYTES => b"embstr",
            _ => b"raw",
        })),
    })
}
