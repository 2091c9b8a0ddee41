//! Commands become bytes.

use std::num::NonZeroU64;

use super::condition::put_condition;
use super::fields::{put_count, put_list, put_sized};
use super::{
    ADVANCE, APPEND, ASK_CLOCKS, Condition, DELETE, FLUSH_ALL, INCR_BY, KEEP_CHANGES, LASTING, LOOK,
    MAKE_ROOM, MSET, NAME_LIFE, PUT, SET, TELL_CLOCK, TIMED,
};
use crate::{Description, Life};

/// Appends the head of a set. The bytes of the value, at most [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES), follow and complete the
/// command.
///
/// ```
/// use niagara_kvstore::Description;
/// use niagara_kvstore::command::{self, Command, Condition};
///
/// let mut bytes = Vec::new();
/// command::encode_set_head(&mut bytes, b"color", &Condition::IfAbsent, false);
/// bytes.extend_from_slice(b"blue");
/// let Ok(Command::Set { key, value, condition, description, .. }) = command::decode(&bytes) else { panic!() };
/// assert_eq!((key, value, condition), (&b"color"[..], &b"blue"[..], Condition::IfAbsent));
/// assert_eq!(description, Description::NONE);
/// ```
pub fn encode_set_head(out: &mut Vec<u8>, key: &[u8], condition: &Condition, want_old: bool) {
    encode_put_head(out, key, condition, want_old, Description::NONE);
}

/// Appends the head of a set, like [`encode_set_head`], for a value with a description.
pub fn encode_put_head(
    out: &mut Vec<u8>,
    key: &[u8],
    condition: &Condition,
    want_old: bool,
    description: Description<'_>,
) {
    out.push(if description.is_empty() { SET } else { PUT });
    put_condition(out, condition);
    out.push(u8::from(want_old));
    if !description.is_empty() {
        put_sized(out, description.content_type);
        put_sized(out, description.content_encoding);
    }
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
    put_list(out, keys);
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

/// Appends a name for the state's life.
pub fn encode_name_life(out: &mut Vec<u8>, life: Life) {
    out.push(NAME_LIFE);
    out.extend_from_slice(&life.get().to_le_bytes());
}

/// Begins a command that carries the time, in milliseconds since 1970; the command follows.
///
/// ```
/// use niagara_engine::GlobalPosition;
/// use niagara_kvstore::{Kv, Op, command};
///
/// let mut kv = Kv::new();
/// let mut set = Vec::new();
/// command::encode_time(&mut set, 1_000_000);
/// let words: [&[u8]; 3] = [b"session", b"60", b"alice"];
/// command::encode_call(&mut set, Op::SetEx, words.into_iter());
/// kv.execute(GlobalPosition::new(1), &set.into());
/// assert!(kv.reader().get(b"session").is_some());
///
/// let mut advance = Vec::new();
/// command::encode_advance(&mut advance, 1_060_000);
/// kv.execute(GlobalPosition::new(2), &advance.into());
/// assert!(kv.reader().get(b"session").is_none());
/// # use niagara_engine::StateMachine;
/// ```
pub fn encode_time(out: &mut Vec<u8>, time: u64) {
    out.push(TIMED);
    out.extend_from_slice(&time.to_le_bytes());
}

/// What precedes a command that carries the time.
pub(crate) const TIME_BYTES: usize = 9;

/// Sets the time of a command that begins with [`encode_time`].
pub(crate) fn set_time(command: &mut [u8], time: u64) {
    command[1..TIME_BYTES].copy_from_slice(&time.to_le_bytes());
}

/// Begins a set of a key that lasts so many milliseconds; the set follows, and the time precedes it.
pub fn encode_lasting(out: &mut Vec<u8>, lasts: NonZeroU64) {
    out.push(LASTING);
    out.extend_from_slice(&lasts.get().to_le_bytes());
}

/// Appends the removal of what has expired at this time, in milliseconds since 1970.
pub fn encode_advance(out: &mut Vec<u8>, time: u64) {
    out.push(ADVANCE);
    out.extend_from_slice(&time.to_le_bytes());
}

/// Appends a question for the clocks of all servers.
pub fn encode_ask_clocks(out: &mut Vec<u8>, server: u64, round: u64) {
    out.push(ASK_CLOCKS);
    [server, round].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Appends what the clock of `server` shows, in milliseconds since 1970, for the question of another one.
pub fn encode_tell_clock(out: &mut Vec<u8>, server: u64, (asker, round): (u64, u64), time: u64) {
    out.push(TELL_CLOCK);
    [server, asker, round, time].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Appends a command without effect, which every release executes: a delete of a key in none of its versions.
/// Reads can be [attached](niagara_engine::Port::attach) to it.
pub fn encode_nothing(out: &mut Vec<u8>) {
    encode_delete(out, std::iter::once(&b""[..]), &Condition::IfAnyVersion(Vec::new()));
}

/// Appends a look at a key.
pub fn encode_look(out: &mut Vec<u8>, key: &[u8]) {
    out.push(LOOK);
    put_sized(out, key);
}

/// Appends a request to keep changes.
pub fn encode_keep_changes(out: &mut Vec<u8>) {
    out.push(KEEP_CHANGES);
}

/// Appends a request to evict what is too much, which needs level 3.
///
/// ```
/// use niagara_engine::GlobalPosition;
/// use niagara_kvstore::{Kv, Op, command};
///
/// let mut kv = Kv::new();
/// let (mut add_five, mut limit, mut make_room) = (Vec::new(), Vec::new(), Vec::new());
/// command::encode_incr_by(&mut add_five, b"visits", 5);
/// let words: [&[u8]; 5] = [b"SET", b"maxmemory", b"1", b"maxmemory-policy", b"allkeys-random"];
/// command::encode_call(&mut limit, Op::Config, words.into_iter());
/// command::encode_make_room(&mut make_room);
/// for (position, command) in (1..).zip([add_five, limit, make_room]) {
///     kv.execute(GlobalPosition::new(position), &command.into());
/// }
/// assert!(kv.reader().is_empty());
/// # use niagara_engine::StateMachine;
/// ```
pub fn encode_make_room(out: &mut Vec<u8>) {
    out.push(MAKE_ROOM);
}
