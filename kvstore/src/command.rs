//! The commands that the global log carries, and their bytes.
//!
//! A command is an opcode and its fields. An opcode never changes its meaning: a new layout gets a new opcode, so that
//! a log written by an older version stays readable.
//!
//! ```text
//! 1 set        condition | want_old u8 | key | value: all the rest
//! 2 delete     condition | count varint | count x key
//! 3 mset       if_absent u8 | count varint | count x (key, value)
//! 4 append     key | value: all the rest
//! 5 incr by    i64 | key
//! 6 flush all
//! condition    kind u8: 0 always, 1 if absent, 2 if present, 3 if any version: count varint | count x (u64, u32)
//! key, value   length varint | bytes
//! ```
//!
//! Integers are little-endian, varints LEB128 of at most 32 bits. A set's value comes last and without a length, so
//! that a front end can receive a large one straight into the command's buffer, behind the key.

use crate::Version;

/// Longest key, in bytes; the shortest has none.
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// Longest value, in bytes; the shortest has none.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Most versions that one condition names. More than a client can have a reason for, and small against a key.
pub const MAX_CONDITION_VERSIONS: usize = 64;

const SET: u8 = 1;
const DELETE: u8 = 2;
const MSET: u8 = 3;
const APPEND: u8 = 4;
const INCR_BY: u8 = 5;
const FLUSH_ALL: u8 = 6;

const ALWAYS: u8 = 0;
const IF_ABSENT: u8 = 1;
const IF_PRESENT: u8 = 2;
const IF_ANY_VERSION: u8 = 3;

/// A decoded command; keys and values are parts of the encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Gives a key a value.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
        /// When to do it.
        condition: Condition,
        /// Whether the reply shall hold the value before.
        want_old: bool,
    },
    /// Removes keys. A condition other than [`Condition::Always`] goes with exactly one key.
    Delete {
        /// The keys; one that is named twice is removed once.
        keys: Keys<'a>,
        /// When to do it.
        condition: Condition,
    },
    /// Gives several keys their values, all at once.
    MSet {
        /// The keys and values; of a key that is named twice the last value counts.
        pairs: Pairs<'a>,
        /// Only if none of the keys exists.
        if_absent: bool,
    },
    /// Adds bytes to the end of a value; an absent key counts as an empty value.
    Append {
        /// The key.
        key: &'a [u8],
        /// The bytes to add.
        value: &'a [u8],
    },
    /// Adds to a value that is a decimal integer; an absent key counts as 0.
    IncrBy {
        /// The key.
        key: &'a [u8],
        /// What to add.
        delta: i64,
    },
    /// Removes every key.
    FlushAll,
}

/// When a write is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// In any case.
    #[default]
    Always,
    /// If the key does not exist.
    IfAbsent,
    /// If the key exists.
    IfPresent,
    /// If the key exists in one of these versions; with none of them, never.
    IfAnyVersion(Vec<Version>),
}

impl Condition {
    /// Whether the write may be done to a key that is in version `current`, or absent.
    pub fn holds(&self, current: Option<Version>) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfAbsent => current.is_none(),
            Condition::IfPresent => current.is_some(),
            Condition::IfAnyVersion(versions) => current.is_some_and(|current| versions.contains(&current)),
        }
    }
}

/// Bytes that are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed command: {0}")]
pub struct MalformedCommand(pub &'static str);

/// The keys of a [`Command::Delete`], checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    rest: &'a [u8],
    left: usize,
}

/// The keys and values of a [`Command::MSet`], checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<'a>(Keys<'a>);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(take_sized(&mut self.rest).expect("decode has walked over all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Keys<'_> {}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left / 2, Some(self.0.left / 2))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// Appends the head of a set: the bytes of the value, at most [`MAX_VALUE_BYTES`], follow and complete the command.
///
/// ```
/// use niagara_kvstore::command::{self, Command, Condition};
///
/// let mut bytes = Vec::new();
/// command::encode_set_head(&mut bytes, b"color", &Condition::IfAbsent, false);
/// bytes.extend_from_slice(b"blue");
/// let set = Command::Set { key: b"color", value: b"blue", condition: Condition::IfAbsent, want_old: false };
/// assert_eq!(command::decode(&bytes), Ok(set));
/// ```
pub fn encode_set_head(out: &mut Vec<u8>, key: &[u8], condition: &Condition, want_old: bool) {
    out.push(SET);
    put_condition(out, condition);
    out.push(u8::from(want_old));
    put_sized(out, key);
}

/// Appends a delete.
pub fn encode_delete<'k>(
    out: &mut Vec<u8>,
    keys: impl ExactSizeIterator<Item = &'k [u8]>,
    condition: &Condition,
) {
    out.push(DELETE);
    put_condition(out, condition);
    put_count(out, keys.len());
    for key in keys {
        put_sized(out, key);
    }
}

/// Appends an mset of keys with values.
pub fn encode_mset<'k>(
    out: &mut Vec<u8>,
    pairs: impl ExactSizeIterator<Item = (&'k [u8], &'k [u8])>,
    if_absent: bool,
) {
    out.push(MSET);
    out.push(u8::from(if_absent));
    put_count(out, pairs.len());
    for (key, value) in pairs {
        put_sized(out, key);
        put_sized(out, value);
    }
}

/// Appends an append.
pub fn encode_append(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.push(APPEND);
    put_sized(out, key);
    out.extend_from_slice(value);
}

/// Appends an increment.
pub fn encode_incr_by(out: &mut Vec<u8>, key: &[u8], delta: i64) {
    out.push(INCR_BY);
    out.extend_from_slice(&delta.to_le_bytes());
    put_sized(out, key);
}

/// Appends a flush of everything.
pub fn encode_flush_all(out: &mut Vec<u8>) {
    out.push(FLUSH_ALL);
}

/// Reads one command, which must be all of `bytes`. Whatever the bytes, the answer is a command within all limits or
/// an error.
pub fn decode(bytes: &[u8]) -> Result<Command<'_>, MalformedCommand> {
    let mut rest = bytes;
    let command = match take_u8(&mut rest)? {
        SET => {
            let condition = take_condition(&mut rest)?;
            let want_old = take_flag(&mut rest)?;
            let key = take_key(&mut rest)?;
            Command::Set { key, value: take_last_value(&mut rest)?, condition, want_old }
        }
        DELETE => decode_delete(&mut rest)?,
        MSET => decode_mset(&mut rest)?,
        APPEND => Command::Append { key: take_key(&mut rest)?, value: take_last_value(&mut rest)? },
        INCR_BY => {
            let delta = i64::from_le_bytes(take_array(&mut rest)?);
            Command::IncrBy { key: take_key(&mut rest)?, delta }
        }
        FLUSH_ALL => Command::FlushAll,
        _ => return Err(MalformedCommand("unknown opcode; a newer version may have written it")),
    };
    if rest.is_empty() { Ok(command) } else { Err(MalformedCommand("bytes behind the end")) }
}

fn decode_delete<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let condition = take_condition(rest)?;
    let count = take_varint(rest)?;
    if count == 0 || (count > 1 && condition != Condition::Always) {
        return Err(MalformedCommand("a delete needs a key, and exactly one with a condition"));
    }
    let keys = Keys { rest, left: count };
    for _ in 0..count {
        take_key(rest)?;
    }
    Ok(Command::Delete { keys, condition })
}

fn decode_mset<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let if_absent = take_flag(rest)?;
    let count = take_varint(rest)?;
    if count == 0 {
        return Err(MalformedCommand("an mset needs a key"));
    }
    // Every pair takes three bytes at least, so that this cannot overflow for a count that the loop accepts.
    let pairs = Pairs(Keys { rest, left: count.saturating_mul(2) });
    for _ in 0..count {
        take_key(rest)?;
        if take_sized(rest)?.len() > MAX_VALUE_BYTES {
            return Err(VALUE_TOO_LONG);
        }
    }
    Ok(Command::MSet { pairs, if_absent })
}

const CUT_SHORT: MalformedCommand = MalformedCommand("it ends too early");
const VALUE_TOO_LONG: MalformedCommand = MalformedCommand("a value is longer than 16 MiB");

fn put_condition(out: &mut Vec<u8>, condition: &Condition) {
    match condition {
        Condition::Always => out.push(ALWAYS),
        Condition::IfAbsent => out.push(IF_ABSENT),
        Condition::IfPresent => out.push(IF_PRESENT),
        Condition::IfAnyVersion(versions) => {
            out.push(IF_ANY_VERSION);
            put_count(out, versions.len());
            for version in versions {
                out.extend_from_slice(&version.position.to_le_bytes());
                out.extend_from_slice(&version.further.to_le_bytes());
            }
        }
    }
}

fn take_condition(rest: &mut &[u8]) -> Result<Condition, MalformedCommand> {
    Ok(match take_u8(rest)? {
        ALWAYS => Condition::Always,
        IF_ABSENT => Condition::IfAbsent,
        IF_PRESENT => Condition::IfPresent,
        IF_ANY_VERSION => {
            let count = take_varint(rest)?;
            if count > MAX_CONDITION_VERSIONS {
                return Err(MalformedCommand("a condition names too many versions"));
            }
            let versions = (0..count).map(|_| {
                let position = u64::from_le_bytes(take_array(rest)?);
                Ok(Version { position, further: u32::from_le_bytes(take_array(rest)?) })
            });
            Condition::IfAnyVersion(versions.collect::<Result<_, _>>()?)
        }
        _ => return Err(MalformedCommand("unknown condition")),
    })
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let mut rest = u32::try_from(count).expect("front ends bound a request far below 4 GiB");
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn take_u8(rest: &mut &[u8]) -> Result<u8, MalformedCommand> {
    let (&first, tail) = rest.split_first().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(first)
}

fn take_flag(rest: &mut &[u8]) -> Result<bool, MalformedCommand> {
    match take_u8(rest)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(MalformedCommand("a flag is neither 0 nor 1")),
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], MalformedCommand> {
    let (head, tail) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(*head)
}

fn take_varint(rest: &mut &[u8]) -> Result<usize, MalformedCommand> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = take_u8(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value)
                .map(|value| value as usize)
                .or(Err(MalformedCommand("a length is too large")));
        }
    }
    Err(MalformedCommand("a length is too large"))
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let length = take_varint(rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(bytes)
}

fn take_key<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let key = take_sized(rest)?;
    if key.len() <= MAX_KEY_BYTES { Ok(key) } else { Err(MalformedCommand("a key has at most 65536 bytes")) }
}

fn take_last_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let value = std::mem::take(rest);
    if value.len() <= MAX_VALUE_BYTES { Ok(value) } else { Err(VALUE_TOO_LONG) }
}

#[cfg(test)]
mod tests;
