//! Commands for a database.

use super::fields::take_u8;
use super::{
    ADVANCE, ASK_CLOCKS, BY, Command, IN, KEEP_CHANGES, MAKE_ROOM, MalformedCommand, NAME_LIFE, ONCE,
    REMOVE_USERS, SET_USER, TELL_CLOCK, TIMED, USED, decode,
};
use crate::Database;

/// Begins a command for a database; the command follows. One for the first database needs no such beginning, unless it is
/// part of a block for another one.
///
/// ```
/// use niagara_engine::GlobalPosition;
/// use niagara_kvstore::{Database, Kv, command};
///
/// let mut kv = Kv::new();
/// let third = Database::new(3).unwrap();
/// let mut append = Vec::new();
/// command::encode_in(&mut append, third);
/// command::encode_append(&mut append, b"k", b"value");
/// kv.execute(GlobalPosition::new(1), &append.into());
/// # use niagara_engine::StateMachine;
/// assert!(kv.reader().with(b"k", |found| found.is_none()));
/// assert!(kv.reader().with_in(third, b"k", |found| found.is_some()));
/// ```
pub fn encode_in(out: &mut Vec<u8>, database: Database) {
    out.push(IN);
    out.push(database.number());
}

pub(super) fn decode_in<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let database = take_database(rest)?;
    let command = std::mem::take(rest);
    let has_none = |opcode: &u8| {
        let carries_others = matches!(*opcode, TIMED | BY | IN | ONCE);
        let is_of_servers = matches!(
            *opcode,
            NAME_LIFE | ADVANCE | ASK_CLOCKS | TELL_CLOCK | KEEP_CHANGES | USED | MAKE_ROOM
        );
        carries_others || is_of_servers || matches!(*opcode, SET_USER | REMOVE_USERS)
    };
    if command.first().is_some_and(has_none) {
        return Err(MalformedCommand("no such command is for a database"));
    }
    decode(command)?;
    Ok(Command::In { database, command })
}

pub(super) fn take_database(rest: &mut &[u8]) -> Result<Database, MalformedCommand> {
    Database::new(take_u8(rest)?.into()).ok_or(MalformedCommand("there is no such database"))
}
