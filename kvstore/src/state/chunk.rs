//! Entries as the chunks of a snapshot carry them.
//!
//! ```text
//! chunk    format u8 = 7 | life u64, 0 if it has no name | clock u64, 0 if it has not been set | notices | memory | users |
//!          receipts | entry ..
//! notices  which ones of changes are sent: a bit for each letter of CONFIG SET notify-keyspace-events
//! memory   limit in bytes, 0 for none | number of the policy | keys that are compared | keys evicted so far |
//!          0, or 1 while there is too little memory: bytes taken | keys, when a command was last let in
//! users    length | a line for each, as ACL LIST shows it; in one chunk, or in none if nobody has changed them
//! receipts count | a part of all: number | key 16 u8 | request 16 u8 | position | executed, a time | answer length | answer
//! entry    database | key length | value length | version: position, further | content type length |
//!          content encoding length | deadline, 0 for none | position of the last report of a read, 0 for none | key | value |
//!          content type | content encoding
//! ```
//!
//! Life and clock are little-endian; other numbers are varints: LEB128 of at most 64 bits. Every chunk can be read
//! by itself, and the order of chunks and entries means nothing. Equal entries have equal bytes.
//!
//! The numbers of all receipts rise by one, in the order in which the requests were executed; an answer has
//! [a format of its own](crate::receipts). Clock, deadline and times are in milliseconds since 1970. Formats 1 to 6 can still be
//! read. They have neither a limit of memory nor reports of reads; formats 1 to 5 have no receipts; formats 1 to 4 send no notices, and all their entries are in database 0.
//! Formats 1 to 3 have no users, formats 1 and 2 have neither clock nor deadlines, and format 1 has no life and no content types:
//!
//! ```text
//! chunk    format u8 = 6 | life u64 | clock u64 | notices | users | receipts | entry ..
//! entry    database | key length | value length | version: position, further | content type length |
//!          content encoding length | deadline, 0 for none | key | value | content type | content encoding
//!
//! chunk    format u8 = 5 | life u64 | clock u64 | notices | users | entry ..
//!
//! chunk    format u8 = 4 | life u64 | clock u64 | users | entry ..
//! entry    key length | value length | version: position, further | content type length | content encoding length |
//!          deadline, 0 for none | key | value | content type | content encoding
//!
//! chunk    format u8 = 3 | life u64 | clock u64 | entry ..
//!
//! chunk    format u8 = 2 | life u64 | entry ..
//! entry    key length | value length | version: position, further | content type length | content encoding length |
//!          key | value | content type | content encoding
//!
//! chunk    format u8 = 1 | entry ..
//! entry    key length | value length | version: position, further | key | value
//! ```

use bytes::Bytes;
use niagara_engine::MalformedState;
use niagara_planted::{self as planted, Bug};

use super::entry::Entry;
use crate::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::database::Spaces;
use crate::memory::Memory;
use crate::notices::Notices;
use crate::receipts::{Name, Receipt};
use crate::varint::{NotAVarint, put_varint, take_varint};
use crate::{Database, Description, Life, Version};

/// The first byte of a chunk. Another layout gets another number, so that a snapshot is never misread.
const FORMAT: u8 = 7;

/// The layout before, without a limit of memory.
const UNLIMITED_FORMAT: u8 = 6;

/// An earlier layout, without receipts.
const RECEIPTLESS_FORMAT: u8 = 5;

/// An earlier layout, without databases.
const UNDIVIDED_FORMAT: u8 = 4;

/// An earlier layout, without users.
const USERLESS_FORMAT: u8 = 3;

/// An earlier layout, without clock and deadlines.
const TIMELESS_FORMAT: u8 = 2;

/// The first layout, without lives and descriptions.
const BARE_FORMAT: u8 = 1;

/// A number has at most 64 bits.
const NUMBER_BYTES_MAX: u32 = 10;
const CUT_SHORT: MalformedState = MalformedState("a chunk ends within an entry");
const TOO_LARGE: MalformedState = MalformedState("a number has more than 64 bits");

/// A key of a snapshot with its value. Both are parts of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry<'c> {
    /// The database that the key is in.
    pub database: Database,
    /// The key.
    pub key: &'c [u8],
    /// Its value.
    pub value: &'c [u8],
    /// The change that the value comes from.
    pub version: Version,
    /// The value's HTTP headers.
    pub description: Description<'c>,
    /// When it expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
    /// The position at which a read of the key was last reported; 0 if none was since the change.
    pub reported: u64,
}

impl<'c> SnapshotEntry<'c> {
    pub(super) fn of(entry: &'c Entry, spaces: Spaces) -> SnapshotEntry<'c> {
        SnapshotEntry {
            database: if planted::is(Bug::SpaceForDatabase) {
                Spaces::default().database(entry.place().space())
            } else {
                spaces.database(entry.place().space())
            },
            key: entry.key(),
            value: entry.value().bytes(),
            version: entry.version(),
            description: entry.description(),
            deadline: entry.deadline(),
            reported: entry.reported(),
        }
    }
}

/// The entries of one chunk of a snapshot, in no particular order. An error is the last item.
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
    let begun = take_head(chunk);
    let format = begun.as_ref().map_or(FORMAT, |head| head.format);
    let mut rest = begun.map(|head| head.rest);
    std::iter::from_fn(move || {
        let entry = match &mut rest {
            Ok([]) => return None,
            Ok(rest) => take_entry(rest, format),
            Err(malformed) => Err(*malformed),
        };
        if entry.is_err() {
            rest = Ok(&[]);
        }
        Some(entry)
    })
}

/// What all chunks of a state begin with: its life, if it has a name, its clock, in milliseconds since 1970, 0
/// before any command with a time, which notices it sends, and its limit of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) life: Option<Life>,
    pub(super) clock: u64,
    pub(super) notices: Notices,
    pub(super) memory: Memory,
}

impl Stamp {
    /// Of a chunk.
    pub(super) fn of(chunk: &[u8]) -> Result<Stamp, MalformedState> {
        take_head(chunk).map(|head| head.stamp)
    }
}

/// The users that a chunk holds, as text.
pub(super) fn users(chunk: &[u8]) -> Result<&[u8], MalformedState> {
    take_head(chunk).map(|head| head.users)
}

/// The receipts that a chunk holds, with their numbers.
pub(super) fn receipts(chunk: &[u8]) -> Result<Vec<(u64, Receipt)>, MalformedState> {
    let mut rest = take_head(chunk)?.receipts;
    let mut receipts = Vec::new();
    while !rest.is_empty() {
        receipts.push(take_receipt(&mut rest)?);
    }
    Ok(receipts)
}

/// What a receipt takes in a chunk, at most.
pub(super) fn receipt_bytes(receipt: &Receipt) -> usize {
    2 * size_of::<Name>() + 4 * NUMBER_BYTES_MAX as usize + receipt.answer.len()
}

/// Begins a chunk, which has the users or nothing of them, and some receipts.
pub(super) fn begin(chunk: &mut Vec<u8>, stamp: Stamp, users: &[u8], receipts: &[(u64, Receipt)]) {
    chunk.push(FORMAT);
    chunk.extend_from_slice(&stamp.life.map_or(0, Life::get).to_le_bytes());
    chunk.extend_from_slice(&stamp.clock.to_le_bytes());
    put_varint(chunk, stamp.notices.bits());
    stamp.memory.encode(chunk);
    put_varint(chunk, users.len() as u64);
    chunk.extend_from_slice(users);
    put_varint(chunk, receipts.len() as u64);
    for (number, Receipt { key, request, position, executed, answer }) in receipts {
        put_varint(chunk, *number);
        chunk.extend_from_slice(key);
        chunk.extend_from_slice(request);
        for number in [*position, *executed, answer.len() as u64] {
            put_varint(chunk, number);
        }
        chunk.extend_from_slice(answer);
    }
}

/// Appends an entry to a chunk.
pub(super) fn write_entry(chunk: &mut Vec<u8>, entry: &SnapshotEntry<'_>) {
    let SnapshotEntry { database, key, value, version, description, deadline, reported } = entry;
    put_varint(chunk, u64::from(database.number()));
    put_varint(chunk, key.len() as u64);
    put_varint(chunk, value.len() as u64);
    put_varint(chunk, version.position);
    put_varint(chunk, u64::from(version.further));
    put_varint(chunk, description.content_type.len() as u64);
    put_varint(chunk, description.content_encoding.len() as u64);
    put_varint(chunk, deadline.unwrap_or(0));
    put_varint(chunk, *reported);
    for part in [key, value, description.content_type, description.content_encoding] {
        chunk.extend_from_slice(part);
    }
}

/// The start of a chunk, and its entries.
struct Head<'c> {
    format: u8,
    stamp: Stamp,
    users: &'c [u8],
    receipts: &'c [u8],
    rest: &'c [u8],
}

fn take_head(chunk: &[u8]) -> Result<Head<'_>, MalformedState> {
    match chunk.split_first() {
        Some((&format @ BARE_FORMAT, rest)) => {
            Ok(Head { format, stamp: Stamp::default(), users: &[], receipts: &[], rest })
        }
        Some((&format @ TIMELESS_FORMAT..=FORMAT, mut rest)) => {
            let life = Life::new(take_u64(&mut rest)?);
            let clock = if format == TIMELESS_FORMAT { 0 } else { take_u64(&mut rest)? };
            let notices =
                if format >= RECEIPTLESS_FORMAT { take_notices(&mut rest)? } else { Notices::default() };
            let memory = if format == FORMAT { take_memory(&mut rest)? } else { Memory::default() };
            let users = if format >= UNDIVIDED_FORMAT { take_users(&mut rest)? } else { &[] };
            let receipts = if format >= UNLIMITED_FORMAT { take_receipts(&mut rest)? } else { &[] };
            Ok(Head { format, stamp: Stamp { life, clock, notices, memory }, users, receipts, rest })
        }
        Some(_) => Err(MalformedState("a chunk has another format")),
        None => Err(MalformedState("a chunk is empty")),
    }
}

fn take_notices(rest: &mut &[u8]) -> Result<Notices, MalformedState> {
    let bits = take_number(rest)?;
    Notices::of_bits(bits).ok_or(MalformedState("notices are sent that do not exist"))
}

fn take_memory(rest: &mut &[u8]) -> Result<Memory, MalformedState> {
    let memory = Memory::decode(rest).map_err(malformed)?;
    memory.ok_or(MalformedState(
        "a limit of memory has a policy that this release does not know: run a newer one",
    ))
}

fn take_users<'c>(rest: &mut &'c [u8]) -> Result<&'c [u8], MalformedState> {
    let length = take_number(rest)?;
    take_bytes(rest, length)
}

/// The bytes of all receipts of a chunk, checked.
fn take_receipts<'c>(rest: &mut &'c [u8]) -> Result<&'c [u8], MalformedState> {
    let count = take_number(rest)?;
    let begin = *rest;
    for _ in 0..count {
        take_receipt(rest)?;
    }
    Ok(&begin[..begin.len() - rest.len()])
}

fn take_receipt(rest: &mut &[u8]) -> Result<(u64, Receipt), MalformedState> {
    let number = take_number(rest)?;
    let (key, request) = (take_name(rest)?, take_name(rest)?);
    let (position, executed, length) = (take_number(rest)?, take_number(rest)?, take_number(rest)?);
    let answer = Bytes::copy_from_slice(take_bytes(rest, length)?);
    Ok((number, Receipt { key, request, position, executed, answer }))
}

fn take_name(rest: &mut &[u8]) -> Result<Name, MalformedState> {
    let (name, tail) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(*name)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, MalformedState> {
    let (bytes, tail) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(u64::from_le_bytes(*bytes))
}

fn take_entry<'c>(rest: &mut &'c [u8], format: u8) -> Result<SnapshotEntry<'c>, MalformedState> {
    let database =
        if format >= RECEIPTLESS_FORMAT { Database::new(take_number(rest)?) } else { Some(Database::FIRST) };
    let database = database.ok_or(MalformedState("a key is in a database that does not exist"))?;
    let key_length = take_number(rest)?;
    let value_length = take_number(rest)?;
    if key_length > MAX_KEY_BYTES as u64 {
        return Err(MalformedState("a key is longer than 65536 bytes"));
    }
    if value_length > MAX_VALUE_BYTES as u64 {
        return Err(MalformedState("a value is longer than 16 MiB"));
    }
    let position = take_number(rest)?;
    let further = u32::try_from(take_number(rest)?)
        .or(Err(MalformedState("a key has changed too often at one position")))?;
    let lengths = if format == BARE_FORMAT { [0, 0] } else { [take_number(rest)?, take_number(rest)?] };
    let has_deadline = format >= USERLESS_FORMAT;
    let deadline = if has_deadline { take_number(rest)? } else { 0 };
    let reported = if format == FORMAT { take_number(rest)? } else { 0 };
    let key = take_bytes(rest, key_length)?;
    let value = take_bytes(rest, value_length)?;
    let [content_type, content_encoding] = lengths;
    let description = Description {
        content_type: take_bytes(rest, content_type)?,
        content_encoding: take_bytes(rest, content_encoding)?,
    };
    if !description.is_valid() {
        return Err(MalformedState("a value's description is too long or not printable"));
    }
    let deadline = (deadline != 0).then_some(deadline);
    let version = Version { position, further };
    Ok(SnapshotEntry { database, key, value, version, description, deadline, reported })
}

fn take_bytes<'c>(rest: &mut &'c [u8], length: u64) -> Result<&'c [u8], MalformedState> {
    let length = usize::try_from(length).or(Err(CUT_SHORT))?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(bytes)
}

fn take_number(rest: &mut &[u8]) -> Result<u64, MalformedState> {
    take_varint(rest, NUMBER_BYTES_MAX).map_err(malformed)
}

fn malformed(error: NotAVarint) -> MalformedState {
    match error {
        NotAVarint::CutShort => CUT_SHORT,
        NotAVarint::TooLarge => TOO_LARGE,
    }
}

#[cfg(test)]
mod tests;
