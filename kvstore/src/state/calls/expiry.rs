//! How long keys last.

use super::keys::remove;
use super::words::{integer, is};
use super::{Answer, Failure, Reading, Words, Writing};
use crate::Data;
use crate::notices::About;
use crate::state::entry::Entry;
use bytes::Bytes;

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    /// Since 1970.
    UnixSeconds,
    /// Since 1970.
    UnixMilliseconds,
}

impl Unit {
    pub(super) const ALL: [Unit; 4] =
        [Unit::Seconds, Unit::Milliseconds, Unit::UnixSeconds, Unit::UnixMilliseconds];

    /// The option of SET that it belongs to.
    pub(super) fn option(self) -> &'static str {
        match self {
            Unit::Seconds => "EX",
            Unit::Milliseconds => "PX",
            Unit::UnixSeconds => "EXAT",
            Unit::UnixMilliseconds => "PXAT",
        }
    }

    /// A time in milliseconds since 1970, `clock` being now; below zero if it lies before 1970.
    fn since_1970(self, number: i64, clock: u64) -> Option<i64> {
        let clock = i64::try_from(clock).ok()?;
        match self {
            Unit::Seconds => number.checked_mul(1000)?.checked_add(clock),
            Unit::Milliseconds => number.checked_add(clock),
            Unit::UnixSeconds => number.checked_mul(1000),
            Unit::UnixMilliseconds => Some(number),
        }
    }
}

fn invalid(name: &str) -> Failure {
    format!("ERR invalid expire time in '{name}' command").into()
}

/// A deadline that must be above zero, as `clock` is now.
pub(super) fn deadline(name: &str, number: i64, unit: Unit, clock: u64) -> Result<u64, Failure> {
    let deadline = (number > 0).then(|| unit.since_1970(number, clock)).flatten();
    deadline.and_then(|deadline| u64::try_from(deadline).ok()).ok_or_else(|| invalid(name))
}

/// When EXPIRE and its kin do something.
#[derive(Default)]
struct When {
    /// The key has no deadline.
    none: bool,
    /// It has one.
    some: bool,
    /// The new one is later.
    later: bool,
    /// The new one is earlier.
    earlier: bool,
}

impl When {
    fn read(words: Words<'_>) -> Result<When, Failure> {
        let mut when = When::default();
        for word in words {
            let known = [
                ("NX", &mut when.none),
                ("XX", &mut when.some),
                ("GT", &mut when.later),
                ("LT", &mut when.earlier),
            ];
            match known.into_iter().find(|(name, _)| is(word, name)) {
                Some((_, flag)) => *flag = true,
                None => {
                    return Err(format!("ERR Unsupported option {}", String::from_utf8_lossy(word)).into());
                }
            }
        }
        if when.none && (when.some || when.later || when.earlier) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if when.later && when.earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(when)
    }

    fn holds(&self, current: Option<u64>, new: i64) -> bool {
        let current = current.map(|deadline| i64::try_from(deadline).unwrap_or(i64::MAX));
        !(self.none && current.is_some()
            || self.some && current.is_none()
            || self.later && current.is_none_or(|current| new <= current)
            || self.earlier && current.is_some_and(|current| new >= current))
    }
}

fn set_deadline(writing: &mut Writing<'_>, name: &str, words: Words<'_>, unit: Unit) -> Answer {
    let when = When::read(&words[2..])?;
    let number = integer(words[1])?;
    let deadline = unit.since_1970(number, writing.map.clock()).ok_or_else(|| invalid(name))?;
    let Some(entry) = writing.get(words[0]) else { return Ok(Data::flag(false)) };
    let attributes = entry.attributes();
    if !when.holds(attributes.deadline(), deadline) {
        return Ok(Data::flag(false));
    }
    match u64::try_from(deadline).ok().filter(|deadline| *deadline > writing.map.clock()) {
        Some(deadline) => {
            writing.set_attributes(words[0], attributes.with_deadline(Some(deadline)));
            writing.tell(About::Key, "expire", words[0]);
        }
        None => drop(remove(writing, words[0])),
    }
    Ok(Data::flag(true))
}

pub(super) fn expire(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_deadline(writing, "expire", words, Unit::Seconds)
}

pub(super) fn pexpire(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_deadline(writing, "pexpire", words, Unit::Milliseconds)
}

pub(super) fn expire_at(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_deadline(writing, "expireat", words, Unit::UnixSeconds)
}

pub(super) fn pexpire_at(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_deadline(writing, "pexpireat", words, Unit::UnixMilliseconds)
}

pub(super) fn persist(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let attributes = writing.get(words[0]).map(Entry::attributes).unwrap_or_default();
    let expires = attributes.deadline().is_some();
    if expires {
        writing.set_attributes(words[0], attributes.with_deadline(None));
        writing.tell(About::Key, "persist", words[0]);
    }
    Ok(Data::flag(expires))
}

/// What `show` makes of a key's deadline, -1 if it has none, -2 if there is no key.
fn time_of(reading: &Reading<'_>, key: &[u8], show: impl FnOnce(u64) -> u64) -> Answer {
    Ok(Data::Integer(match reading.get(key).map(Entry::deadline) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => show(deadline) as i64,
    }))
}

fn left(reading: &Reading<'_>, deadline: u64) -> u64 {
    deadline.saturating_sub(reading.time.max(reading.clock))
}

fn in_seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1000
}

pub(super) fn ttl(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    time_of(reading, words[0], |deadline| in_seconds(left(reading, deadline)))
}

pub(super) fn pttl(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    time_of(reading, words[0], |deadline| left(reading, deadline))
}

pub(super) fn expire_time(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    time_of(reading, words[0], in_seconds)
}

pub(super) fn pexpire_time(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    time_of(reading, words[0], |deadline| deadline)
}

pub(super) fn time(reading: &Reading<'_>, _words: Words<'_>) -> Answer {
    let time = reading.time.max(reading.clock);
    let parts = [time / 1000, time % 1000 * 1000];
    Ok(Data::Array(parts.map(|part| Data::Bulk(Bytes::from(part.to_string()))).into()))
}
