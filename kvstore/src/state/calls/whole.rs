//! Commands that look at all keys, one part of the map after the other.

use bytes::Bytes;

use super::words::{SYNTAX, integer, is};
use super::{Answer, Failure, Walking, Words};
use crate::glob::{Glob, MAX_PATTERN_BYTES};
use crate::state::scan;
use crate::{Cursor, Data};

/// The keys on a page of a scan unless the client asks for another number, as in Redis.
const SCAN_KEYS: usize = 10;

/// A walk over all keys takes the map's lock once per so many of them.
const WALK_KEYS: usize = 1 << 10;

fn pattern(word: &[u8]) -> Result<Glob, Failure> {
    Glob::new(word).ok_or_else(|| format!("ERR the pattern is longer than {MAX_PATTERN_BYTES} bytes").into())
}

pub(super) fn keys(walking: &Walking<'_>, words: Words<'_>) -> Answer {
    let Walking { whole, space, clock, .. } = *walking;
    let pattern = pattern(words[0])?;
    let (mut found, mut cursor) = (Vec::new(), Cursor::START);
    loop {
        cursor = scan::page(whole, (space, clock), cursor, WALK_KEYS, |key| {
            if pattern.matches(key) {
                found.push(Data::Bulk(Bytes::copy_from_slice(key)));
            }
        });
        if cursor == Cursor::START {
            return Ok(Data::Array(found));
        }
    }
}

pub(super) fn scan(walking: &Walking<'_>, words: Words<'_>) -> Answer {
    let Walking { whole, space, clock, .. } = *walking;
    let cursor = cursor(words[0]).ok_or("ERR invalid cursor: no server issued it; restart at 0")?;
    let (mut count, mut matching, mut strings) = (SCAN_KEYS, None, true);
    for option in words[1..].chunks(2) {
        let &[option, value] = option else { return Err(SYNTAX) };
        if is(option, "MATCH") {
            matching = Some(pattern(value)?);
        } else if is(option, "TYPE") {
            // Only strings have keys.
            strings = is(value, "string");
        } else if is(option, "COUNT") {
            match integer(value)? {
                keys @ 1.. => count = keys as usize,
                _ => return Err(SYNTAX),
            }
        } else {
            return Err(SYNTAX);
        }
    }
    let mut keys = Vec::new();
    let next = scan::page(whole, (space, clock), cursor, count, |key| {
        if strings && matching.as_ref().is_none_or(|pattern| pattern.matches(key)) {
            keys.push(Data::Bulk(Bytes::copy_from_slice(key)));
        }
    });
    Ok(Data::Array(vec![Data::Bulk(Bytes::from(next.0.to_string())), Data::Array(keys)]))
}

fn cursor(text: &[u8]) -> Option<Cursor> {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    (number <= Cursor::MAX.0).then_some(Cursor(number))
}

/// Some key: the first one behind a place that changes with each call.
pub(super) fn random_key(walking: &Walking<'_>, _words: Words<'_>) -> Answer {
    let Walking { whole, space, clock, seed } = *walking;
    // Consecutive seeds lead to places far apart.
    let start = Cursor(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11);
    let (mut cursor, mut wrapped) = (start, false);
    let mut found = None;
    loop {
        cursor = scan::page(whole, (space, clock), cursor, 1, |key| {
            found.get_or_insert_with(|| Bytes::copy_from_slice(key));
        });
        if let Some(key) = found {
            return Ok(Data::Bulk(key));
        }
        if cursor == Cursor::START {
            if wrapped || start == Cursor::START {
                return Ok(Data::Null);
            }
            wrapped = true;
        } else if wrapped && cursor > start {
            return Ok(Data::Null);
        }
    }
}
