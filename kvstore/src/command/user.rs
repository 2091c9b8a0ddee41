//! Commands about users, and commands of users.

use super::fields::{put_count, put_list, put_sized, take_count, take_op, take_sized};
use super::{
    ADVANCE, ASK_CLOCKS, BY, Command, KEEP_CHANGES, Keys, MAKE_ROOM, MalformedCommand, NAME_LIFE, ONCE,
    REMOVE_USERS, SET_USER, TELL_CLOCK, TIMED, USED, decode,
};
use crate::table::Op;

/// The longest name of a user.
pub(crate) const MAX_USER_NAME_BYTES: usize = 256;

/// The longest rule: one with further rights holds several. What all users may take bounds it further.
const MAX_RULE_BYTES: usize = 64 << 10;

const BAD_NAME: MalformedCommand = MalformedCommand("a user's name is too long");
const BAD_RULE: MalformedCommand = MalformedCommand("a user's rule is longer than 65536 bytes");

/// Begins a command of a user; the command follows. What carries the time precedes it.
///
/// ```
/// use niagara_kvstore::command::{self, Command, Condition};
/// use niagara_kvstore::Op;
///
/// let mut bytes = Vec::new();
/// command::encode_by(&mut bytes, b"alice", [Op::SetNx].into_iter());
/// command::encode_set_head(&mut bytes, b"color", &Condition::Always, false);
/// let Ok(Command::By { user, mut called, command }) = command::decode(&bytes) else { panic!() };
/// assert_eq!((user, called.next()), (&b"alice"[..], Some(Op::SetNx)));
/// assert!(matches!(command::decode(command), Ok(Command::Set { .. })));
/// ```
pub fn encode_by(out: &mut Vec<u8>, user: &[u8], called: impl ExactSizeIterator<Item = Op>) {
    out.push(BY);
    put_sized(out, user);
    put_count(out, called.len());
    called.for_each(|op| put_count(out, op as usize));
}

/// What a user has called, in the words of Redis, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    rest: &'a [u8],
    left: usize,
}

impl Iterator for Called<'_> {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        self.left = self.left.checked_sub(1)?;
        Some(take_op(&mut self.rest).expect("decode has checked all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Called<'_> {}

/// Appends the making, or a change, of a user.
///
/// ```
/// use niagara_engine::GlobalPosition;
/// use niagara_kvstore::{Data, Kv, Op, Reply, command};
///
/// let mut kv = Kv::new();
/// let mut set_user = Vec::new();
/// let rules: [&[u8]; 3] = [b"on", b"+get", b"~color"];
/// command::encode_set_user(&mut set_user, b"alice", rules.into_iter());
/// assert_eq!(kv.execute(GlobalPosition::new(1), &set_user.into()), Reply::Data(Data::Word("OK")));
///
/// let mut flush = Vec::new();
/// command::encode_by(&mut flush, b"alice", [Op::FlushAll].into_iter());
/// command::encode_flush_all(&mut flush);
/// assert!(matches!(kv.execute(GlobalPosition::new(2), &flush.into()), Reply::Denied(_)));
/// ```
pub fn encode_set_user<'k>(out: &mut Vec<u8>, name: &[u8], rules: impl ExactSizeIterator<Item = &'k [u8]>) {
    out.push(SET_USER);
    put_sized(out, name);
    put_list(out, rules);
}

/// Appends the removal of users.
pub fn encode_remove_users<'k>(out: &mut Vec<u8>, names: impl ExactSizeIterator<Item = &'k [u8]>) {
    out.push(REMOVE_USERS);
    put_list(out, names);
}

pub(super) fn decode_by<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let user = take_name(rest)?;
    let count = take_count(rest)?;
    let called = Called { rest, left: count };
    for _ in 0..count {
        take_op(rest)?;
    }
    let command = std::mem::take(rest);
    // A server does these by itself.
    let is_no_clients = |opcode: &u8| {
        matches!(
            *opcode,
            TIMED
                | BY
                | ONCE
                | NAME_LIFE
                | ADVANCE
                | ASK_CLOCKS
                | TELL_CLOCK
                | KEEP_CHANGES
                | USED
                | MAKE_ROOM
        )
    };
    if command.first().is_some_and(is_no_clients) {
        return Err(MalformedCommand("a user sends no such command"));
    }
    decode(command)?;
    Ok(Command::By { user, called, command })
}

pub(super) fn decode_set_user<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let name = take_name(rest)?;
    Ok(Command::SetUser { name, rules: take_words(rest, MAX_RULE_BYTES, BAD_RULE)? })
}

pub(super) fn decode_remove_users<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    Ok(Command::RemoveUsers { names: take_words(rest, MAX_USER_NAME_BYTES, BAD_NAME)? })
}

fn take_name<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let name = take_sized(rest)?;
    if name.len() <= MAX_USER_NAME_BYTES { Ok(name) } else { Err(BAD_NAME) }
}

fn take_words<'a>(
    rest: &mut &'a [u8],
    most: usize,
    too_long: MalformedCommand,
) -> Result<Keys<'a>, MalformedCommand> {
    let count = take_count(rest)?;
    let words = Keys { rest, left: count };
    for _ in 0..count {
        if take_sized(rest)?.len() > most {
            return Err(too_long);
        }
    }
    Ok(words)
}
