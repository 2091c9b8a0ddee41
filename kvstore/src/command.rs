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
mod encode;
mod fields;
mod keys;
mod level;
mod once;
mod used;
mod user;

pub use call::{Block, Call, MAX_BLOCK_COMMANDS, Watch, Watches, encode_block, encode_call};
use call::{decode_block, decode_call};
use choice::decode_choice;
pub use choice::{Choice, MAX_CHOICE_PARTS, Test, Tests, encode_choice};
pub use condition::{Condition, MAX_CONDITION_VERSIONS};
use condition::{LAST_CONDITION, take_condition};
pub use database::encode_in;
use database::{decode_in, take_database};
pub(crate) use encode::{TIME_BYTES, set_time};
pub use encode::{
    encode_advance, encode_append, encode_ask_clocks, encode_delete, encode_flush_all, encode_incr_by,
    encode_keep_changes, encode_lasting, encode_look, encode_make_room, encode_mset, encode_name_life,
    encode_nothing, encode_put_head, encode_set_head, encode_tell_clock, encode_time,
};
pub(crate) use fields::{put_sized, take_sized};
use fields::{
    take_array, take_description, take_flag, take_key, take_last_value, take_life, take_u8, take_u64,
};
pub use keys::{Keys, Pairs};
use keys::{decode_delete, decode_mset};
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

#[cfg(test)]
mod tests;
