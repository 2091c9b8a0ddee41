//! The commands that the global log carries, as bytes.
//!
//! A command is an opcode and its fields. An opcode never changes its meaning: a new layout gets a new
//! opcode, so logs of older versions stay readable.
//!
//! ```text
//! 1 set        condition | want_old u8 | key | value: all the rest
//! 2 delete     condition | count varint | count x key
//! 3 mset       if_absent u8 | count varint | count x (key, value)
//! 4 append     key | value: all the rest
//! 5 incr by    i64 | key
//! 6 flush all
//! 7 put        condition | want_old u8 | content type | content encoding | key | value: all the rest
//! 8 name life  u64, not 0
//! 9 timed      time u64 | a command other than 9, 12 and 25
//! 10 call      number of a command of Redis varint | count varint | count x word
//! 11 block     count varint | count x (key | 2 u8 with its database u8, if it is in another one |
//!              0 u8, or 1 u8 with a version (u64, u32)) | commands
//! 12 advance   time u64
//! 13 ask       server u64 | round u64
//! 14 tell      server u64 | asker u64 | round u64 | time u64
//! 15 lasting   milliseconds u64, not 0 | a command 1 or 7
//! 16 by        name of a user | count varint | count x number of a command of Redis varint |
//!              a command of a client other than 9, 16 and 23
//! 17 set user  name of a user | count varint | count x rule
//! 18 remove users   count varint | count x name of a user
//! 19 choice    count varint | count x (key, test) | commands | commands
//! 20 look      key
//! 21 keep changes
//! 22 in       database u8 | a command of a client other than 9, 16, 22 and 23
//! 23 once     until u64 | key 16 u8 | request 16 u8 | a command of a client other than 9, 17, 18 and 23
//! 24 used     count varint | count x (database u8 | key)
//! 25 make room from level 3 on
//! commands     count varint | count x (length varint | a command other than 9, 11 to 14, 16 to 19, 21 and 23 to 25)
//! test         kind u8: 0 condition, 1 its value is: value, 2 its value is not: value; from level 2 on 3 its value sorts before:
//!              value, 4 its value sorts after: value
//! condition    kind u8: 0 always, 1 if absent, 2 if present, 3 if any version: count varint | count x (u64, u32),
//!              4 if any tag, 5 unless any tag: count varint | count x (u64, u64, u32), 6 both: condition | condition
//! key, value, word, name, rule, content type, content encoding   length varint | bytes
//! ```
//!
//! A command is for database 0 unless it says otherwise. A command that a client sends is that of the user `default` unless it says otherwise. With the user, it says which command of
//! Redis it was, since several have one form here: one number, or one for each command of a block. For a choice it says none, since
//! each form stands for one command there. Rules hold passwords as their digests only.
//!
//! A command that is executed *once* has the digests of a key and of all that is asked for, and carries the time. If a command with
//! the same key has been executed lately, its answer is given, or, if it was another one, nothing is done; nor is after `until`.
//!
//! Times are in milliseconds since 1970, as the server that took the command estimates them. They move the
//! clock of the state forward, which decides what has expired. An *advance* also removes what has. With *ask* and *tell*,
//! servers compare their clocks; they change nothing.
//!
//! A *choice* executes the first commands if all tests hold, and the second ones otherwise. A *look* changes nothing, and
//! neither does the request to *keep changes* for whoever watches them. *Used* reports which keys a server has read lately, which
//! decides what is evicted. *Make room* evicts what is too much when no other command does.
//!
//! What a level adds is marked with it ([`needed_level`]), and stays out of the log until the cluster is at that level.
//!
//! Integers are little-endian; varints are LEB128 of at most 32 bits. A set's value comes last and without a
//! length, so a front end can receive a large one directly into the command's buffer, behind the key.

mod call;
mod choice;
mod condition;
mod database;
mod fields;
mod level;
mod once;
mod used;
mod user;

pub use call::{Block, Call, MAX_BLOCK_COMMANDS, Watch, Watches, encode_block, encode_call};
use call::{decode_block, decode_call};
use choice::decode_choice;
pub use choice::{Choice, MAX_CHOICE_PARTS, Test, Tests, encode_choice};
pub use condition::{Condition, MAX_CONDITION_VERSIONS};
use condition::{LAST_CONDITION, put_condition, take_condition};
pub use database::encode_in;
use database::{decode_in, take_database};
use fields::{put_count, put_list, take_array, take_count, take_flag, take_life, take_u8, take_u64};
pub(crate) use fields::{put_sized, take_sized};
pub use level::needed_level;
use once::decode_once;
pub use once::{Once, encode_once};
pub(crate) use once::{TIMED_ONCE_BYTES, set_request, set_times};
use used::decode_used;
pub use used::{Used, encode_used};
pub(crate) use user::MAX_USER_NAME_BYTES;
pub use user::{Called, encode_by, encode_remove_users, encode_set_user};
use user::{decode_by, decode_remove_users, decode_set_user};

use std::num::NonZeroU64;

use crate::{Database, Description, Life, MAX_CONTENT_ENCODING_BYTES, MAX_CONTENT_TYPE_BYTES};

/// Longest key, in bytes. A key may be empty.
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// Longest value, in bytes. A value may be empty.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

const SET: u8 = 1;
const DELETE: u8 = 2;
const MSET: u8 = 3;
const APPEND: u8 = 4;
const INCR_BY: u8 = 5;
const FLUSH_ALL: u8 = 6;
const PUT: u8 = 7;
const NAME_LIFE: u8 = 8;
const TIMED: u8 = 9;
const CALL: u8 = 10;
const BLOCK: u8 = 11;
const ADVANCE: u8 = 12;
const ASK_CLOCKS: u8 = 13;
const TELL_CLOCK: u8 = 14;
const LASTING: u8 = 15;
const BY: u8 = 16;
const SET_USER: u8 = 17;
const REMOVE_USERS: u8 = 18;
const CHOICE: u8 = 19;
const LOOK: u8 = 20;
const KEEP_CHANGES: u8 = 21;
const IN: u8 = 22;
const ONCE: u8 = 23;
const USED: u8 = 24;
/// The highest opcode of level 1.
const LAST_OPCODE: u8 = USED;
const MAKE_ROOM: u8 = 25;

/// Raised when a release executes an existing command with another result, or knows more calls. What a level adds does not
/// count: a command that needs it is not executed before all servers know it.
const RESULTS: u8 = 7;

/// Names everything that decides what commands do, for
/// [`Config::application`](niagara_engine::Config::application): servers that differ in any of it refuse each
/// other. It names what there is at level 1; what later levels add is named by the [level](needed_level). In hexadecimal, from the left: results and last opcode, last kind of condition and most versions in
/// one (a byte each), longest key and longest value (four bytes each), longest content type and longest
/// content encoding (two bytes each).
pub const fn application() -> u128 {
    let small = (RESULTS as u128) << 24
        | (LAST_OPCODE as u128) << 16
        | (LAST_CONDITION as u128) << 8
        | MAX_CONDITION_VERSIONS as u128;
    small << 96
        | (MAX_KEY_BYTES as u128) << 64
        | (MAX_VALUE_BYTES as u128) << 32
        | (MAX_CONTENT_TYPE_BYTES as u128) << 16
        | MAX_CONTENT_ENCODING_BYTES as u128
}

/// A decoded command. Keys and values are parts of the encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Sets a key's value.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
        /// The value's HTTP headers.
        description: Description<'a>,
        /// When to execute it.
        condition: Condition,
        /// Whether the reply holds the previous value.
        want_old: bool,
        /// How long the key lasts from now, by the clock of the state, in milliseconds.
        lasts: Option<NonZeroU64>,
    },
    /// Removes keys. A condition other than [`Condition::Always`] requires exactly one key.
    Delete {
        /// The keys. One that is named twice is removed once.
        keys: Keys<'a>,
        /// When to execute it.
        condition: Condition,
    },
    /// Sets several keys at once.
    MSet {
        /// The keys and values. If a key is named twice, its last value counts.
        pairs: Pairs<'a>,
        /// Only if none of the keys exists.
        if_absent: bool,
    },
    /// Appends bytes to a value. A missing key counts as an empty value.
    Append {
        /// The key.
        key: &'a [u8],
        /// The bytes to add.
        value: &'a [u8],
    },
    /// Adds to a value that is a decimal integer. A missing key counts as 0.
    IncrBy {
        /// The key.
        key: &'a [u8],
        /// What to add.
        delta: i64,
    },
    /// Removes every key of every database.
    FlushAll,
    /// Names the life of a state without a name. If several do, the first one counts.
    NameLife {
        /// A random number.
        life: Life,
    },
    /// A command that carries the time, in milliseconds since 1970, by which keys expire.
    Timed {
        /// The time.
        time: u64,
        /// The command, checked.
        command: &'a [u8],
    },
    /// A command of the Redis protocol, in its words.
    Call(Call<'a>),
    /// Several commands at once.
    Block(Block<'a>),
    /// One of two lists of commands at once, by what keys hold.
    Choice(Choice<'a>),
    /// Shows all that is stored with a key.
    Look {
        /// The key.
        key: &'a [u8],
    },
    /// Removes keys that have expired: a bounded number, the earliest first.
    Advance {
        /// The time, in milliseconds since 1970.
        time: u64,
    },
    /// A command of a user who may not do everything, or is not `default`.
    By {
        /// The user's name.
        user: &'a [u8],
        /// What the user has called: one command, or those of a block.
        called: Called<'a>,
        /// The command, checked.
        command: &'a [u8],
    },
    /// A command for another database than the first one.
    In {
        /// The database.
        database: Database,
        /// The command, checked.
        command: &'a [u8],
    },
    /// A command that is executed once, however often it is sent.
    Once(Once<'a>),
    /// Makes or changes a user.
    SetUser {
        /// The user's name.
        name: &'a [u8],
        /// Rules as in ACL SETUSER, with digests of passwords.
        rules: Keys<'a>,
    },
    /// Removes users.
    RemoveUsers {
        /// Their names.
        names: Keys<'a>,
    },
    /// Somebody watches changes: every server keeps the next ones, up to a number of bytes.
    KeepChanges,
    /// Reports that a server has read keys lately.
    Used(Used<'a>),
    /// Evicts keys if all take more than they may: a bounded number.
    MakeRoom,
    /// Asks all servers what their clocks show.
    AskClocks {
        /// The server that asks.
        server: u64,
        /// A number that tells its questions apart.
        round: u64,
    },
    /// Answers such a question.
    TellClock {
        /// The server that answers.
        server: u64,
        /// The server that has asked.
        asker: u64,
        /// The number of the question.
        round: u64,
        /// What the clock shows, in milliseconds since 1970.
        time: u64,
    },
}

/// Why bytes are not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed command: {0}")]
pub struct MalformedCommand(pub &'static str);

/// The keys of a [`Command::Delete`], or the words of a [`Call`], checked.
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
        Some(take_sized(&mut self.rest).expect("decode has checked all of them"))
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

/// Appends the head of a set. The bytes of the value, at most [`MAX_VALUE_BYTES`], follow and complete the
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

/// Decodes one command, which must be all of `bytes`. For any bytes, returns a command within all limits or
/// an error.
pub fn decode(bytes: &[u8]) -> Result<Command<'_>, MalformedCommand> {
    let mut rest = bytes;
    let command = match take_u8(&mut rest)? {
        opcode @ (SET | PUT) => {
            let condition = take_condition(&mut rest)?;
            let want_old = take_flag(&mut rest)?;
            let description = if opcode == PUT { take_description(&mut rest)? } else { Description::NONE };
            let key = take_key(&mut rest)?;
            let value = take_last_value(&mut rest)?;
            Command::Set { key, value, description, condition, want_old, lasts: None }
        }
        DELETE => decode_delete(&mut rest)?,
        MSET => decode_mset(&mut rest)?,
        APPEND => Command::Append { key: take_key(&mut rest)?, value: take_last_value(&mut rest)? },
        INCR_BY => {
            let delta = i64::from_le_bytes(take_array(&mut rest)?);
            Command::IncrBy { key: take_key(&mut rest)?, delta }
        }
        FLUSH_ALL => Command::FlushAll,
        NAME_LIFE => Command::NameLife { life: take_life(&mut rest)? },
        LASTING => {
            let milliseconds = NonZeroU64::new(take_u64(&mut rest)?);
            let lasting = std::mem::take(&mut rest);
            match decode(lasting)? {
                Command::Set { key, value, description, condition, want_old, lasts: None }
                    if milliseconds.is_some() =>
                {
                    Command::Set { key, value, description, condition, want_old, lasts: milliseconds }
                }
                _ => return Err(MalformedCommand("only a set lasts, and not for no time")),
            }
        }
        TIMED => {
            let time = take_u64(&mut rest)?;
            let command = std::mem::take(&mut rest);
            if matches!(command.first(), Some(&(TIMED | ADVANCE | MAKE_ROOM))) {
                return Err(MalformedCommand("a command carries two times, or one without a use for it"));
            }
            decode(command)?;
            Command::Timed { time, command }
        }
        BY => decode_by(&mut rest)?,
        IN => decode_in(&mut rest)?,
        ONCE => decode_once(&mut rest)?,
        SET_USER => decode_set_user(&mut rest)?,
        REMOVE_USERS => decode_remove_users(&mut rest)?,
        CALL => decode_call(&mut rest)?,
        BLOCK => decode_block(&mut rest)?,
        CHOICE => decode_choice(&mut rest)?,
        KEEP_CHANGES => Command::KeepChanges,
        USED => decode_used(&mut rest)?,
        MAKE_ROOM => Command::MakeRoom,
        LOOK => Command::Look { key: take_key(&mut rest)? },
        ADVANCE => Command::Advance { time: take_u64(&mut rest)? },
        ASK_CLOCKS => Command::AskClocks { server: take_u64(&mut rest)?, round: take_u64(&mut rest)? },
        TELL_CLOCK => Command::TellClock {
            server: take_u64(&mut rest)?,
            asker: take_u64(&mut rest)?,
            round: take_u64(&mut rest)?,
            time: take_u64(&mut rest)?,
        },
        _ => return Err(MalformedCommand("unknown opcode; a newer version may have written it")),
    };
    if rest.is_empty() { Ok(command) } else { Err(MalformedCommand("bytes after the end")) }
}

fn decode_delete<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let condition = take_condition(rest)?;
    let count = take_count(rest)?;
    if count == 0 || (count > 1 && condition != Condition::Always) {
        return Err(MalformedCommand("a delete needs a key, and exactly one if it has a condition"));
    }
    let keys = Keys { rest, left: count };
    for _ in 0..count {
        take_key(rest)?;
    }
    Ok(Command::Delete { keys, condition })
}

fn decode_mset<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let if_absent = take_flag(rest)?;
    let count = take_count(rest)?;
    if count == 0 {
        return Err(MalformedCommand("an mset needs a key"));
    }
    // Every pair takes at least three bytes, so this cannot overflow for a count that the loop accepts.
    let pairs = Pairs(Keys { rest, left: count.saturating_mul(2) });
    for _ in 0..count {
        take_key(rest)?;
        if take_sized(rest)?.len() > MAX_VALUE_BYTES {
            return Err(VALUE_TOO_LONG);
        }
    }
    Ok(Command::MSet { pairs, if_absent })
}

const BAD_DESCRIPTION: MalformedCommand =
    MalformedCommand("a value's description is too long or not printable");
const KEY_TOO_LONG: MalformedCommand = MalformedCommand("a key is longer than 65536 bytes");
const VALUE_TOO_LONG: MalformedCommand = MalformedCommand("a value is longer than 16 MiB");

fn take_description<'a>(rest: &mut &'a [u8]) -> Result<Description<'a>, MalformedCommand> {
    let description = Description { content_type: take_sized(rest)?, content_encoding: take_sized(rest)? };
    if description.is_valid() { Ok(description) } else { Err(BAD_DESCRIPTION) }
}

fn take_key<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let key = take_sized(rest)?;
    if key.len() <= MAX_KEY_BYTES { Ok(key) } else { Err(KEY_TOO_LONG) }
}

fn take_last_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let value = std::mem::take(rest);
    if value.len() <= MAX_VALUE_BYTES { Ok(value) } else { Err(VALUE_TOO_LONG) }
}

#[cfg(test)]
mod tests;
