//! Commands that consist of words, as a client of the Redis protocol sends them, and blocks of commands.

use super::fields::{
    KEY_TOO_LONG, VALUE_TOO_LONG, put_count, put_list, put_sized, take_array, take_count, take_key, take_op,
    take_sized, take_u8,
};
use super::{
    BLOCK, CALL, Command, Keys, MAX_KEY_BYTES, MAX_VALUE_BYTES, MalformedCommand, decode, take_database,
};
use crate::table::{Op, Spec};
use crate::{Database, Version};

/// Most commands of a block, and most keys that it watches.
pub const MAX_BLOCK_COMMANDS: usize = 1 << 16;

/// A command of [the table](Op), checked as far as can be without the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The command.
    pub op: Op,
    /// The words behind its name.
    pub words: Keys<'a>,
}

impl<'a> Call<'a> {
    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let count = self.words.len() + 1;
        let mut words = self.words.clone();
        let mut passed = 0;
        // The places rise.
        Spec::of(self.op).keys.among(count).map_while(move |at| {
            let key = words.nth(at - 1 - passed);
            passed = at;
            key
        })
    }

    /// Whether it looks at all keys.
    pub fn is_whole(&self) -> bool {
        matches!(self.op, Op::Keys | Op::Scan | Op::RandomKey)
    }

    /// Whether it may change any key, so that all shards must be locked.
    pub fn changes_all(&self) -> bool {
        matches!(self.op, Op::FlushDb | Op::SwapDb)
    }

    /// Whether it calls other commands, on keys that nobody knows before.
    pub fn is_script(&self) -> bool {
        matches!(self.op, Op::Eval | Op::EvalRo)
    }
}

/// Commands that are executed together, and what must hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    watches: Watches<'a>,
    commands: Keys<'a>,
}

impl<'a> Block<'a> {
    /// The keys that must be in these versions, or absent.
    pub fn watches(&self) -> Watches<'a> {
        self.watches.clone()
    }

    /// The commands.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = Command<'a>> + use<'a> {
        self.commands.clone().map(|bytes| decode(bytes).expect("decode has checked all of them"))
    }

    /// The commands, each as bytes.
    pub fn encoded(&self) -> Keys<'a> {
        self.commands.clone()
    }
}

/// A key that a block watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its database, if that is not the block's.
    pub database: Option<Database>,
    /// The version that it must be in; `None` if it must be absent.
    pub version: Option<Version>,
}

/// The keys that a block watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watches<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Watches<'a> {
    type Item = Watch<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(take_watch(&mut self.rest).expect("decode has checked all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Watches<'_> {}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
const ELSEWHERE: u8 = 2;

/// Appends a call.
///
/// # Panics
/// If it is not a valid one: see [`Op`].
pub fn encode_call<'k>(out: &mut Vec<u8>, op: Op, words: impl ExactSizeIterator<Item = &'k [u8]>) {
    assert!(Spec::of(op).is_call() && Spec::of(op).takes(words.len() + 1), "{op:?} is called rightly");
    out.push(CALL);
    put_count(out, op as usize);
    put_list(out, words);
}

/// Appends a block: watched keys, and encoded commands, which are neither
/// blocks nor timed.
pub fn encode_block<'k>(
    out: &mut Vec<u8>,
    watches: impl ExactSizeIterator<Item = Watch<'k>>,
    commands: impl ExactSizeIterator<Item = &'k [u8]>,
) {
    out.push(BLOCK);
    put_count(out, watches.len());
    for Watch { key, database, version } in watches {
        put_sized(out, key);
        if let Some(database) = database {
            out.extend([ELSEWHERE, database.number()]);
        }
        match version {
            None => out.push(ABSENT),
            Some(version) => {
                out.push(PRESENT);
                out.extend_from_slice(&version.position.to_le_bytes());
                out.extend_from_slice(&version.further.to_le_bytes());
            }
        }
    }
    put_list(out, commands);
}

pub(super) fn decode_call<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let op = take_op(rest)?;
    let count = take_count(rest)?;
    let spec = Spec::of(op);
    // A server knows scripts by their names that others do not.
    let is_name = matches!(op, Op::EvalSha | Op::EvalShaRo);
    if is_name || !spec.is_call() || !spec.takes(count.saturating_add(1)) {
        return Err(MalformedCommand("a call has another number of words"));
    }
    let words = Keys { rest, left: count };
    for _ in 0..count {
        if take_sized(rest)?.len() > MAX_VALUE_BYTES {
            return Err(VALUE_TOO_LONG);
        }
    }
    let call = Call { op, words };
    if call.keys().any(|key| key.len() > MAX_KEY_BYTES) {
        return Err(KEY_TOO_LONG);
    }
    Ok(Command::Call(call))
}

pub(super) fn decode_block<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let count = take_few(rest)?;
    let watches = Watches { rest, left: count };
    for _ in 0..count {
        take_watch(rest)?;
    }
    Ok(Command::Block(Block { watches, commands: take_commands(rest)? }))
}

/// Takes commands that are executed together, each as bytes.
pub(super) fn take_commands<'a>(rest: &mut &'a [u8]) -> Result<Keys<'a>, MalformedCommand> {
    let count = take_few(rest)?;
    let commands = Keys { rest, left: count };
    for _ in 0..count {
        match innermost(decode(take_sized(rest)?)?) {
            Command::Timed { .. }
            | Command::By { .. }
            | Command::SetUser { .. }
            | Command::RemoveUsers { .. }
            | Command::Block(_)
            | Command::Choice(_)
            | Command::Advance { .. }
            | Command::KeepChanges
            | Command::Used(_)
            | Command::MakeRoom
            | Command::AskClocks { .. }
            | Command::TellClock { .. }
            | Command::Once(_) => {
                return Err(MalformedCommand("a command may not be part of a block"));
            }
            _ => {}
        }
    }
    Ok(commands)
}

/// What is executed, in whichever database.
fn innermost(command: Command<'_>) -> Command<'_> {
    match command {
        Command::In { command, .. } => decode(command).expect("decode has checked it"),
        command => command,
    }
}

fn take_few(rest: &mut &[u8]) -> Result<usize, MalformedCommand> {
    match take_count(rest)? {
        count @ 0..=MAX_BLOCK_COMMANDS => Ok(count),
        _ => Err(MalformedCommand("a block has too many commands or watched keys")),
    }
}

fn take_watch<'a>(rest: &mut &'a [u8]) -> Result<Watch<'a>, MalformedCommand> {
    let key = take_key(rest)?;
    let (mut kind, mut database) = (take_u8(rest)?, None);
    if kind == ELSEWHERE {
        database = Some(take_database(rest)?);
        kind = take_u8(rest)?;
    }
    let version = match kind {
        ABSENT => None,
        PRESENT => {
            let position = u64::from_le_bytes(take_array(rest)?);
            Some(Version { position, further: u32::from_le_bytes(take_array(rest)?) })
        }
        _ => return Err(MalformedCommand("a watched key is neither absent nor present")),
    };
    Ok(Watch { key, database, version })
}
