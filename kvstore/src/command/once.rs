//! Commands that are executed once, however often they are sent.

use super::fields::{take_array, take_u64};
use super::{
    ADVANCE, ASK_CLOCKS, Command, KEEP_CHANGES, MAKE_ROOM, MalformedCommand, NAME_LIFE, ONCE, REMOVE_USERS,
    SET_USER, TELL_CLOCK, TIME_BYTES, TIMED, USED, decode,
};

/// A command with a key of its own, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once<'a> {
    /// When it is too late to execute it, in milliseconds since 1970.
    pub until: u64,
    /// The digest of the user and the key.
    pub key: [u8; 16],
    /// The digest of all that the request asks for.
    pub request: [u8; 16],
    /// The command, checked.
    pub command: &'a [u8],
}

/// What precedes a command that carries the time and is executed once.
pub(crate) const TIMED_ONCE_BYTES: usize = TIME_BYTES + ONCE_BYTES;

/// What precedes a command that is executed once, without the time.
pub(super) const ONCE_BYTES: usize = 1 + 8 + 16 + 16;

/// Begins a command that is executed once; the command follows. It carries the time, which precedes this. `key` is a digest of
/// the user and the request's key, `request` one of all that is asked for.
///
/// ```
/// use niagara_engine::GlobalPosition;
/// use niagara_kvstore::{Kv, Reply, command};
///
/// let mut kv = Kv::new();
/// let mut create = Vec::new();
/// command::encode_time(&mut create, 1_000_000);
/// command::encode_once(&mut create, 1_060_000, [1; 16], [2; 16]);
/// command::encode_set_head(&mut create, b"lock", &command::Condition::IfAbsent, false);
/// let create = create.into();
/// assert!(matches!(kv.execute(GlobalPosition::new(1), &create), Reply::Stored { created: true, .. }));
/// let again = kv.execute(GlobalPosition::new(2), &create);
/// assert!(matches!(again, Reply::Again { position: 1, .. }));
/// ```
pub fn encode_once(out: &mut Vec<u8>, until: u64, key: [u8; 16], request: [u8; 16]) {
    out.push(ONCE);
    out.extend_from_slice(&until.to_le_bytes());
    out.extend_from_slice(&key);
    out.extend_from_slice(&request);
}

/// Sets the time of a command that begins with [`encode_time`](super::encode_time) and [`encode_once`], and when it is too late
/// for it.
pub(crate) fn set_times(command: &mut [u8], time: u64, until: u64) {
    assert!(command[0] == TIMED && command[TIME_BYTES] == ONCE, "it carries the time, and is executed once");
    command[1..TIME_BYTES].copy_from_slice(&time.to_le_bytes());
    command[TIME_BYTES + 1..TIME_BYTES + 9].copy_from_slice(&until.to_le_bytes());
}

/// Sets the digest of what such a command asks for.
pub(crate) fn set_request(command: &mut [u8], request: [u8; 16]) {
    assert!(command[0] == TIMED && command[TIME_BYTES] == ONCE, "it carries the time, and is executed once");
    command[TIMED_ONCE_BYTES - request.len()..TIMED_ONCE_BYTES].copy_from_slice(&request);
}

pub(super) fn decode_once<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let (until, key, request) = (take_u64(rest)?, take_array(rest)?, take_array(rest)?);
    let command = std::mem::take(rest);
    // A server does these by itself, or they have no result to keep.
    let is_no_clients = |opcode: &u8| {
        matches!(
            *opcode,
            TIMED | ONCE | NAME_LIFE | ADVANCE | ASK_CLOCKS | TELL_CLOCK | KEEP_CHANGES | USED | MAKE_ROOM
        ) || matches!(*opcode, SET_USER | REMOVE_USERS)
    };
    if command.first().is_some_and(is_no_clients) {
        return Err(MalformedCommand("no such command is executed once"));
    }
    decode(command)?;
    Ok(Command::Once(Once { until, key, request, command }))
}
