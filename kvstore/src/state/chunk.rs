//! Entries as the chunks of a snapshot carry them.
//!
//! ```text
//! chunk    format u8 = 1 | entry ..
//! entry    key length | value length | version: position, further | key | value
//! ```
//!
//! Numbers are varints: LEB128 of at most 64 bits. Every chunk can be read by itself, and nothing follows from the order
//! of chunks or of entries.

use niagara_engine::MalformedState;

use crate::Version;
use crate::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// What a chunk begins with. Another layout gets another number, so that a snapshot is never misread.
const FORMAT: u8 = 1;

const CUT_SHORT: MalformedState = MalformedState("a chunk ends within an entry");
const TOO_LARGE: MalformedState = MalformedState("a number has more than 64 bits");

/// A key of a snapshot with its value; both are parts of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry<'c> {
    /// The key.
    pub key: &'c [u8],
    /// Its value.
    pub value: &'c [u8],
    /// The change that the value comes from.
    pub version: Version,
}

/// The entries of one chunk of a snapshot, in no order that means anything. Nothing follows an error.
///
/// ```
/// use niagara_engine::{Frozen, GlobalPosition, StateMachine};
/// use niagara_kvstore::{Kv, command, snapshot_entries};
///
/// let mut kv = Kv::new();
/// let mut add_five = Vec::new();
/// command::encode_incr_by(&mut add_five, b"visits", 5);
/// kv.execute(GlobalPosition::new(1), &add_five.into());
/// let mut chunk = Vec::new();
/// assert!(kv.freeze().next_chunk(&mut chunk));
/// for entry in snapshot_entries(&chunk) {
///     let entry = entry?;
///     assert_eq!((entry.key, entry.value, entry.version.position), (&b"visits"[..], &b"5"[..], 1));
/// }
/// # Ok::<(), niagara_engine::MalformedState>(())
/// ```
pub fn snapshot_entries(chunk: &[u8]) -> impl Iterator<Item = Result<SnapshotEntry<'_>, MalformedState>> {
    let mut rest = match chunk.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some(_) => Err(MalformedState("a chunk has another format")),
        None => Err(MalformedState("a chunk is empty")),
    };
    std::iter::from_fn(move || {
        let entry = match &mut rest {
            Ok([]) => return None,
            Ok(rest) => take_entry(rest),
            Err(malformed) => Err(*malformed),
        };
        if entry.is_err() {
            rest = Ok(&[]);
        }
        Some(entry)
    })
}

/// Begins a chunk.
pub(super) fn begin(chunk: &mut Vec<u8>) {
    chunk.push(FORMAT);
}

/// Appends an entry to a chunk.
pub(super) fn write_entry(chunk: &mut Vec<u8>, key: &[u8], value: &[u8], version: Version) {
    put_number(chunk, key.len() as u64);
    put_number(chunk, value.len() as u64);
    put_number(chunk, version.position);
    put_number(chunk, u64::from(version.further));
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(value);
}

fn take_entry<'c>(rest: &mut &'c [u8]) -> Result<SnapshotEntry<'c>, MalformedState> {
    let key_length = take_number(rest)?;
    let value_length = take_number(rest)?;
    if key_length > MAX_KEY_BYTES as u64 {
        return Err(MalformedState("a key has at most 65536 bytes"));
    }
    if value_length > MAX_VALUE_BYTES as u64 {
        return Err(MalformedState("a value has more than 16 MiB"));
    }
    let position = take_number(rest)?;
    let further = u32::try_from(take_number(rest)?)
        .or(Err(MalformedState("a key has changed too often at one position")))?;
    let key = take_bytes(rest, key_length as usize)?;
    let value = take_bytes(rest, value_length as usize)?;
    Ok(SnapshotEntry { key, value, version: Version { position, further } })
}

fn take_bytes<'c>(rest: &mut &'c [u8], length: usize) -> Result<&'c [u8], MalformedState> {
    let (bytes, tail) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(bytes)
}

fn put_number(chunk: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        chunk.push(number as u8 | 0x80);
        number >>= 7;
    }
    chunk.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, MalformedState> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(CUT_SHORT)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        number |= bits << shift;
        if number >> shift != bits {
            return Err(TOO_LARGE);
        }
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200), any::<(u64, u32)>()), 0..20)
        ) {
            let mut chunk = Vec::new();
            begin(&mut chunk);
            for (key, value, (position, further)) in &entries {
                write_entry(&mut chunk, key, value, Version { position: *position, further: *further });
            }
            let read: Vec<_> = snapshot_entries(&chunk)
                .map(|entry| entry.map(|SnapshotEntry { key, value, version }| {
                    (key.to_vec(), value.to_vec(), (version.position, version.further))
                }))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in vec(prop_oneof![0u8..4, any::<u8>()], 0..300), known: bool) {
            if known && let Some(first) = bytes.first_mut() {
                *first = FORMAT;
            }
            let entries: Vec<_> = snapshot_entries(&bytes).collect();
            prop_assert!(entries.iter().rev().skip(1).all(Result::is_ok), "something follows an error");
        }

        #[test]
        fn a_chunk_that_is_cut_short_is_told_from_a_whole_one(value in vec(any::<u8>(), 0..300), cut in 1usize..300) {
            let mut chunk = Vec::new();
            begin(&mut chunk);
            write_entry(&mut chunk, b"key", &value, Version { position: u64::MAX, further: u32::MAX });
            chunk.truncate(chunk.len().saturating_sub(cut));
            // With nothing but the format, it is a chunk without entries.
            prop_assert!(chunk.len() == 1 || snapshot_entries(&chunk).any(|entry| entry.is_err()));
        }
    }

    #[test]
    fn lengths_that_no_command_allows_are_refused() {
        let version = Version { position: 1, further: 0 };
        for (key, value) in [(MAX_KEY_BYTES + 1, 0), (1, MAX_VALUE_BYTES + 1)] {
            let mut chunk = Vec::new();
            begin(&mut chunk);
            write_entry(&mut chunk, &vec![1; key], &vec![2; value], version);
            assert!(snapshot_entries(&chunk).next().unwrap().is_err(), "{key} and {value} bytes");
        }
    }

    #[test]
    fn another_format_is_refused() {
        assert!(snapshot_entries(&[2]).next().unwrap().is_err());
        assert!(snapshot_entries(&[]).next().unwrap().is_err());
        assert!(snapshot_entries(&[FORMAT]).next().is_none());
    }
}
