//! Reads of a few keys that the engine executes right after a command, as bytes. They never leave the process.
//!
//! ```text
//! 1 value    key: all the rest
//! 2 call     time u64, 0 if it is not known | a call, as in [`command`](crate::command)
//! 3 entry    key: all the rest
//! 4 by       name of a user: length varint | bytes | a query other than 4
//! 5 in       database u8 | a query other than 4 and 5
//! ```
//!
//! A query is that of the user `default`, and for database 0, unless it says otherwise.
//!
//! The time, in milliseconds since 1970, is for commands that tell how long a key will last. What exists is decided by the
//! clock of the state alone.
//!
//! ```
//! use niagara_engine::{GlobalPosition, StateMachine};
//! use niagara_kvstore::{Data, Kv, Op, Reply, command, query};
//!
//! let mut kv = Kv::new();
//! let (mut append, mut length) = (Vec::new(), Vec::new());
//! command::encode_append(&mut append, b"diary", b"Dear diary");
//! query::encode_call(&mut length, 0, Op::StrLen, [&b"diary"[..]].into_iter());
//! kv.execute(GlobalPosition::new(1), &append.into());
//! assert_eq!(kv.answer(&length), Reply::Data(Data::Integer(10)));
//! ```

use crate::Database;
use crate::command::{self, Call, Command};
use crate::table::{Op, Spec};

const VALUE: u8 = 1;
const CALL: u8 = 2;
const ENTRY: u8 = 3;
const BY: u8 = 4;
const IN: u8 = 5;
const TIME_BYTES: usize = 8;

/// A decoded query. Keys are parts of the encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query<'a> {
    /// The value of a key: [`Reply::Value`](crate::Reply::Value).
    Value(&'a [u8]),
    /// A command that changes nothing: [`Reply::Data`](crate::Reply::Data).
    Call {
        /// The time, in milliseconds since 1970; 0 if it is not known.
        time: u64,
        /// The command.
        call: Call<'a>,
    },
    /// All that is stored with a key: [`Reply::Entry`](crate::Reply::Entry).
    Entry(&'a [u8]),
}

/// Bytes that are not a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed query")]
pub struct MalformedQuery;

/// Appends a query for the value of a key.
pub fn encode_value(out: &mut Vec<u8>, key: &[u8]) {
    out.push(VALUE);
    out.extend_from_slice(key);
}

/// Appends a call as a query.
///
/// # Panics
/// If it is not a valid one, or can change the state.
pub fn encode_call<'k>(out: &mut Vec<u8>, time: u64, op: Op, words: impl ExactSizeIterator<Item = &'k [u8]>) {
    assert!(Spec::of(op).is_read(), "{op:?} is no query");
    out.push(CALL);
    out.extend_from_slice(&time.to_le_bytes());
    command::encode_call(out, op, words);
}

/// Appends a query for all that is stored with a key.
pub fn encode_entry(out: &mut Vec<u8>, key: &[u8]) {
    out.push(ENTRY);
    out.extend_from_slice(key);
}

/// Begins a query of a user; the query follows.
pub(crate) fn encode_by(out: &mut Vec<u8>, user: &[u8]) {
    out.push(BY);
    command::put_sized(out, user);
}

/// Begins a query for a database; the query follows. `encode_by` precedes it.
pub(crate) fn encode_in(out: &mut Vec<u8>, database: Database) {
    out.extend([IN, database.number()]);
}

/// Whose a query is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asker<'q> {
    /// The default user, if nobody is named.
    pub(crate) user: Option<&'q [u8]>,
    pub(crate) database: Database,
}

/// Decodes one query, and whose it is.
///
/// # Errors
/// If it is none.
pub(crate) fn decode_for(bytes: &[u8]) -> Result<(Asker<'_>, Query<'_>), MalformedQuery> {
    let (mut rest, mut asker) = (bytes, Asker::default());
    if let Some(behind) = rest.strip_prefix(&[BY]) {
        rest = behind;
        asker.user = Some(command::take_sized(&mut rest).or(Err(MalformedQuery))?);
    }
    if let [IN, number, behind @ ..] = rest {
        rest = behind;
        asker.database = Database::new((*number).into()).ok_or(MalformedQuery)?;
    }
    Ok((asker, decode_plain(rest)?))
}

/// Decodes one query, which must be all of `bytes`, whoever's it is.
///
/// # Errors
/// If they are not a query.
pub fn decode(bytes: &[u8]) -> Result<Query<'_>, MalformedQuery> {
    decode_for(bytes).map(|(_, query)| query)
}

fn decode_plain(bytes: &[u8]) -> Result<Query<'_>, MalformedQuery> {
    let (kind, rest) = bytes.split_first().ok_or(MalformedQuery)?;
    match *kind {
        VALUE => Ok(Query::Value(rest)),
        CALL => {
            let (time, rest) = rest.split_first_chunk::<TIME_BYTES>().ok_or(MalformedQuery)?;
            match command::decode(rest) {
                Ok(Command::Call(call)) if Spec::of(call.op).is_read() => {
                    Ok(Query::Call { time: u64::from_le_bytes(*time), call })
                }
                _ => Err(MalformedQuery),
            }
        }
        ENTRY => Ok(Query::Entry(rest)),
        _ => Err(MalformedQuery),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back() {
        let keys: [&[u8]; 3] = [b"a", b"", &[b'k'; 300]];
        let mut bytes = Vec::new();
        encode_call(&mut bytes, 7, Op::MGet, keys.into_iter());
        let Ok(Query::Call { time: 7, call }) = decode(&bytes) else { panic!("{bytes:?}") };
        assert_eq!((call.op, call.words.collect::<Vec<_>>()), (Op::MGet, keys.to_vec()));
        bytes.pop();
        assert_eq!(decode(&bytes), Err(MalformedQuery), "it is cut short");
        let mut write = vec![CALL, 0, 0, 0, 0, 0, 0, 0, 0];
        command::encode_call(&mut write, Op::GetDel, keys.into_iter().take(1));
        for bytes in [&b""[..], &[0], &[IN + 1], &[IN, 16, VALUE], &write] {
            assert_eq!(decode(bytes), Err(MalformedQuery));
        }
        let mut bytes = Vec::new();
        encode_value(&mut bytes, b"");
        assert_eq!(decode(&bytes), Ok(Query::Value(b"")));
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, b"k");
        assert_eq!(decode(&bytes), Ok(Query::Entry(b"k")));
    }
}
