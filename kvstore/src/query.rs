//! Reads of a few keys that the engine executes right after a command, as bytes. They never leave the process.
//!
//! ```text
//! 1 value    key: all the rest
//! 2 values   keys, each: length varint | bytes
//! 3 exist    likewise
//! 4 length   key: all the rest
//! 5 entry    key: all the rest
//! ```
//!
//! ```
//! use niagara_engine::{GlobalPosition, StateMachine};
//! use niagara_kvstore::{Kv, Reply, command, query};
//!
//! let mut kv = Kv::new();
//! let (mut append, mut length) = (Vec::new(), Vec::new());
//! command::encode_append(&mut append, b"diary", b"Dear diary");
//! query::encode_length(&mut length, b"diary");
//! kv.execute(GlobalPosition::new(1), &append.into());
//! assert_eq!(kv.answer(&length), Reply::Count(10));
//! ```

use crate::command::{put_sized, take_sized};

const VALUE: u8 = 1;
const VALUES: u8 = 2;
const EXIST: u8 = 3;
const LENGTH: u8 = 4;
const ENTRY: u8 = 5;

/// A decoded query. Keys are parts of the encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query<'a> {
    /// The value of a key: [`Reply::Value`](crate::Reply::Value).
    Value(&'a [u8]),
    /// The values of several keys at one moment: [`Reply::Values`](crate::Reply::Values).
    Values(QueryKeys<'a>),
    /// How many of the keys exist; a key that is named twice counts twice: [`Reply::Count`](crate::Reply::Count).
    Exist(QueryKeys<'a>),
    /// The length of a key's value in bytes, 0 if there is none: [`Reply::Count`](crate::Reply::Count).
    Length(&'a [u8]),
    /// All that is stored with a key: [`Reply::Entry`](crate::Reply::Entry).
    Entry(&'a [u8]),
}

/// The keys of a query, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryKeys<'a>(&'a [u8]);

impl<'a> Iterator for QueryKeys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        (!self.0.is_empty()).then(|| take_sized(&mut self.0).expect("decode has checked all of them"))
    }
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

/// Appends a query for the values of several keys.
pub fn encode_values<'k>(out: &mut Vec<u8>, keys: impl Iterator<Item = &'k [u8]>) {
    out.push(VALUES);
    keys.for_each(|key| put_sized(out, key));
}

/// Appends a query for the number of these keys that exist.
pub fn encode_exist<'k>(out: &mut Vec<u8>, keys: impl Iterator<Item = &'k [u8]>) {
    out.push(EXIST);
    keys.for_each(|key| put_sized(out, key));
}

/// Appends a query for the length of a key's value.
pub fn encode_length(out: &mut Vec<u8>, key: &[u8]) {
    out.push(LENGTH);
    out.extend_from_slice(key);
}

/// Appends a query for all that is stored with a key.
pub fn encode_entry(out: &mut Vec<u8>, key: &[u8]) {
    out.push(ENTRY);
    out.extend_from_slice(key);
}

/// Decodes one query, which must be all of `bytes`.
///
/// # Errors
/// If they are not a query.
pub fn decode(bytes: &[u8]) -> Result<Query<'_>, MalformedQuery> {
    let (kind, rest) = bytes.split_first().ok_or(MalformedQuery)?;
    let keys = || {
        let mut unchecked = rest;
        while !unchecked.is_empty() {
            take_sized(&mut unchecked).or(Err(MalformedQuery))?;
        }
        Ok(QueryKeys(rest))
    };
    Ok(match *kind {
        VALUE => Query::Value(rest),
        VALUES => Query::Values(keys()?),
        EXIST => Query::Exist(keys()?),
        LENGTH => Query::Length(rest),
        ENTRY => Query::Entry(rest),
        _ => return Err(MalformedQuery),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back() {
        let keys: [&[u8]; 3] = [b"a", b"", &[b'k'; 300]];
        let mut bytes = Vec::new();
        encode_values(&mut bytes, keys.into_iter());
        let Ok(Query::Values(found)) = decode(&bytes) else { panic!("{bytes:?}") };
        assert_eq!(found.collect::<Vec<_>>(), keys);
        bytes[0] = EXIST;
        assert!(matches!(decode(&bytes), Ok(Query::Exist(_))));
        bytes.pop();
        assert_eq!(decode(&bytes), Err(MalformedQuery), "it is cut short");
        for bytes in [&b""[..], &[0], &[ENTRY + 1]] {
            assert_eq!(decode(bytes), Err(MalformedQuery));
        }
        let mut bytes = Vec::new();
        encode_length(&mut bytes, b"");
        assert_eq!(decode(&bytes), Ok(Query::Length(b"")));
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, b"k");
        assert_eq!(decode(&bytes), Ok(Query::Entry(b"k")));
    }
}
