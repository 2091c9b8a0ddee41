//! What the commands of [the table](crate::table) do: a function for each, on locked shards.
//!
//! | file | commands on |
//! |---|---|
//! | `strings.rs`, `floats.rs`, `lcs.rs` | values |
//! | `bits.rs`, `bitfield.rs` | the bits of values |
//! | `keys.rs`, `expiry.rs` | keys, and how long they last |
//! | `databases.rs` | databases |
//! | `dump.rs` | keys, as dumps |
//! | `whole.rs` | all keys |
//! | `settings.rs` | settings that all servers share |
//! | `scripts.rs` | any of them: scripts |
//! | `compact.rs` | what the log carries otherwise, when a script calls it |
//! | `messages.rs` | messages for subscribers |
//! | `words.rs` | how the words of a client are read |
//!
//! Hashes, lists, sets, sorted sets and streams each get a file of their own.

mod bitfield;
mod bits;
mod compact;
mod databases;
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same type, and most can fail")]
mod dump;
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same type, and most can fail")]
mod expiry;
mod floats;
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same type, and most can fail")]
mod keys;
mod lcs;
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same type, and most can fail")]
mod messages;
mod scripts;
mod settings;
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same type, and most can fail")]
mod strings;
mod whole;
mod words;

use std::borrow::Cow;

use bytes::Bytes;

use super::entry::Entry;
use super::locked::{Look, Whole};
use super::map::Map;
use super::writer::Writing;
use crate::Data;
use crate::command::Call;
use crate::database::Space;
use crate::table::{Op, Spec};
pub(super) use scripts::eval;

/// What a command answers, or why it did nothing.
type Answer = Result<Data, Failure>;

/// Why a command did nothing, with a code as its first word.
#[derive(Debug, PartialEq, Eq)]
struct Failure(Cow<'static, str>);

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Failure {
        Failure(text.into())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure(text.into())
    }
}

/// The words behind a command's name.
type Words<'a> = &'a [&'a [u8]];

/// Executes commands that change nothing.
struct Reading<'r> {
    look: &'r dyn Look,
    map: &'r Map,
    /// The space of the database.
    space: Space,
    /// How many keys there are in the database, and in all of them.
    keys: u64,
    all_keys: u64,
    /// What all keys and values of all databases count, in bytes.
    bytes: u64,
    /// The clock of the state, which decides what exists.
    clock: u64,
    /// The time, as this server estimates it, which decides what is left of a key's time.
    time: u64,
}

impl<'r> Reading<'r> {
    fn get(&self, key: &[u8]) -> Option<&'r Entry> {
        let place = self.map.place(key).within(self.space);
        self.look.shard(place).get(place, key).filter(|entry| !entry.is_expired(self.clock))
    }

    /// A value, empty if there is none.
    fn value(&self, key: &[u8]) -> Bytes {
        self.get(key).map(|entry| entry.value().to_bytes()).unwrap_or_default()
    }
}

/// Executes commands that look at all keys.
pub(super) struct Walking<'r> {
    pub(super) whole: &'r dyn Whole,
    /// The space of the database.
    pub(super) space: Space,
    /// The clock of the state.
    pub(super) clock: u64,
    /// A number that differs from call to call; in a command, the same on every server.
    pub(super) seed: u64,
}

/// What a command does.
enum Handler {
    Write(fn(&mut Writing<'_>, Words<'_>) -> Answer),
    Read(fn(&Reading<'_>, Words<'_>) -> Answer),
    Whole(fn(&Walking<'_>, Words<'_>) -> Answer),
    /// It calls others, on all shards.
    Script,
    /// The log carries it in a form of its own.
    Compact,
}

fn handler(op: Op) -> Handler {
    use Handler::{Compact, Read, Script, Whole, Write};
    match op {
        Op::Get => Read(strings::get),
        Op::MGet => Read(strings::mget),
        Op::StrLen => Read(strings::strlen),
        Op::GetRange | Op::SubStr => Read(strings::get_range),
        Op::Set => Write(strings::set),
        Op::SetEx => Write(strings::set_ex),
        Op::PSetEx => Write(strings::pset_ex),
        Op::GetEx => Write(strings::get_ex),
        Op::GetDel => Write(strings::get_del),
        Op::Put => Write(strings::put_described),
        Op::SetRange => Write(strings::set_range),
        Op::IncrByFloat => Write(floats::incr_by_float),
        Op::Lcs => Read(lcs::lcs),
        Op::SetBit => Write(bits::set_bit),
        Op::GetBit => Read(bits::get_bit),
        Op::BitCount => Read(bits::bit_count),
        Op::BitPos => Read(bits::bit_pos),
        Op::BitOp => Write(bits::bit_op),
        Op::BitField => Write(bitfield::bit_field),
        Op::BitFieldRo => Read(bitfield::bit_field_ro),
        Op::Exists | Op::Touch => Read(keys::exists),
        Op::Type => Read(keys::kind),
        Op::Rename => Write(keys::rename),
        Op::RenameNx => Write(keys::rename_nx),
        Op::Copy => Write(keys::copy),
        Op::Dump => Read(dump::dump),
        Op::Restore => Write(dump::restore),
        Op::Move => Write(databases::move_key),
        Op::SwapDb => Write(databases::swap),
        Op::FlushDb => Write(databases::flush),
        Op::Object => Read(keys::object),
        Op::Memory => Read(keys::memory),
        Op::DbSize => Read(keys::db_size),
        Op::Expire => Write(expiry::expire),
        Op::PExpire => Write(expiry::pexpire),
        Op::ExpireAt => Write(expiry::expire_at),
        Op::PExpireAt => Write(expiry::pexpire_at),
        Op::Persist => Write(expiry::persist),
        Op::Ttl => Read(expiry::ttl),
        Op::PTtl => Read(expiry::pttl),
        Op::ExpireTime => Read(expiry::expire_time),
        Op::PExpireTime => Read(expiry::pexpire_time),
        Op::Time => Read(expiry::time),
        Op::Keys => Whole(whole::keys),
        Op::Scan => Whole(whole::scan),
        Op::RandomKey => Whole(whole::random_key),
        Op::Eval | Op::EvalRo | Op::EvalSha | Op::EvalShaRo => Script,
        Op::Script => Write(scripts::script),
        Op::Config => Write(settings::config),
        Op::Publish => Write(messages::publish),
        Op::SPublish => Write(messages::shard_publish),
        Op::Ping => Read(strings::ping),
        Op::Echo => Read(strings::echo),
        Op::IncrBy
        | Op::Incr
        | Op::Decr
        | Op::DecrBy
        | Op::Append
        | Op::SetNx
        | Op::GetSet
        | Op::MSet
        | Op::MSetNx
        | Op::Del
        | Op::Unlink
        | Op::FlushAll => Compact,
    }
}

fn answered(answer: Answer) -> Data {
    answer.unwrap_or_else(|Failure(text)| Data::Error(text))
}

/// Executes a call whose keys' shards are locked.
pub(super) fn execute(writer: &mut Writing<'_>, call: &Call<'_>) -> Data {
    let words: Vec<&[u8]> = call.words.clone().collect();
    execute_words(writer, call.op, &words)
}

/// Notes that a command of the log has read its keys.
fn note_reads(writer: &mut Writing<'_>, op: Op, words: Words<'_>) {
    let spec = Spec::of(op);
    let keys = spec.keys.among(words.len() + 1);
    keys.for_each(|at| writer.core.ledger.tracked.note_read(words[at - 1]));
    if writer.core.memory.asks_for_uses() && spec.uses_keys() {
        spec.keys.among(words.len() + 1).for_each(|at| writer.report(words[at - 1]));
    }
}

fn execute_words(writer: &mut Writing<'_>, op: Op, words: Words<'_>) -> Data {
    match handler(op) {
        Handler::Write(write) => answered(write(writer, words)),
        Handler::Read(read) => {
            let space = writer.space();
            let Writing { map, core, shards, .. } = writer;
            let clock = map.clock();
            let keys = core.ledger.counts(space).keys;
            let (all_keys, bytes) = (core.ledger.keys(), core.ledger.bytes());
            let reading = Reading { look: &**shards, map, space, keys, all_keys, bytes, clock, time: clock };
            let answer = answered(read(&reading, words));
            note_reads(writer, op, words);
            answer
        }
        Handler::Whole(_) | Handler::Compact | Handler::Script => {
            unreachable!("{op:?} is executed otherwise")
        }
    }
}

/// Executes a call that changes nothing, on locked shards, by the clock of the state and this server's time.
pub(super) fn read(
    look: &dyn Look,
    (map, space): (&Map, Space),
    (clock, time): (u64, u64),
    call: &Call<'_>,
) -> Data {
    let words: Vec<&[u8]> = call.words.clone().collect();
    let Handler::Read(read) = handler(call.op) else { unreachable!("{:?} is executed otherwise", call.op) };
    let keys = map.counts(space).0;
    let (all_keys, bytes) = (map.keys(), map.bytes());
    answered(read(&Reading { look, map, space, keys, all_keys, bytes, clock, time }, &words))
}

/// Executes a call that looks at all keys.
pub(super) fn walk(walking: &Walking<'_>, call: &Call<'_>) -> Data {
    let words: Vec<&[u8]> = call.words.clone().collect();
    walk_words(walking, call.op, &words)
}

fn walk_words(walking: &Walking<'_>, op: Op, words: Words<'_>) -> Data {
    let Handler::Whole(read) = handler(op) else { unreachable!("{op:?} is executed otherwise") };
    answered(read(walking, words))
}

/// Whether everything that the log may carry as a call has a function.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_function_of_its_kind() {
        for op in Op::all() {
            let spec = Spec::of(op);
            let fits = match handler(op) {
                Handler::Write(_) | Handler::Script => spec.is_call() && !spec.is_read(),
                Handler::Read(_) | Handler::Whole(_) => spec.is_read(),
                Handler::Compact => !spec.is_call(),
            };
            assert!(fits, "{op:?}");
        }
    }
}
