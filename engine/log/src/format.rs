#![doc = include_str!("FORMAT.md")]

use bytes::Bytes;
use crc32fast::Hasher;

use super::{EntryId, HardState, LogEntry};
use crate::planted::{self, Bug};

/// Length of a segment's header.
pub(super) const HEADER_BYTES: u64 = 64;
pub(super) const RECORD_HEAD_BYTES: u64 = 32;
/// The version that is written. Version 1 is read, too.
pub(super) const VERSION: u32 = 2;
/// Version 1 knows one length of blocks, and packs frames that closely.
pub(super) const PACKED_BLOCK: u64 = 8;
/// The longest block.
const BLOCK_BYTES_MAX: u64 = 64 << 10;

const MAGIC: [u8; 8] = *b"NIAGLOG\0";

/// What a segment's header says about the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The log that it belongs to.
    pub log_id: u64,
    /// Its place among the log's segments, from 1.
    pub number: u64,
    /// Distinguishes the lives of a recycled file.
    pub salt: u64,
    /// Length that the file was made with, which it never falls below; 0 in older segments, which do not
    /// record it.
    pub bytes: u64,
    /// Frames start and end at multiples of this, in bytes.
    pub block: u64,
}

/// Why a segment's header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not a segment, or damaged.
    Damaged,
    /// Written in another version of the format.
    Version(u32),
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.block.to_le_bytes());
        let checksum = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Checks the version before the checksum: another version may sum up other bytes.
    pub fn decode(bytes: &[u8; HEADER_BYTES as usize]) -> Result<Self, HeaderError> {
        if bytes[..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        // All versions keep magic, version and checksum in the same place, so that damage is not mistaken for
        // a version.
        if u32_at(bytes, 12) != header_checksum(bytes) {
            return Err(HeaderError::Damaged);
        }
        let block = match u32_at(bytes, 8) {
            1 => PACKED_BLOCK,
            VERSION => u64_at(bytes, 48),
            other => return Err(HeaderError::Version(other)),
        };
        if !is_block(block) {
            return Err(HeaderError::Damaged);
        }
        Ok(SegmentHeader {
            log_id: u64_at(bytes, 16),
            number: u64_at(bytes, 24),
            salt: u64_at(bytes, 32),
            bytes: u64_at(bytes, 40),
            block,
        })
    }

    /// Where the first frame starts.
    pub fn frames_start(&self) -> u64 {
        frames_start(self.block)
    }

    /// What every checksum in this segment starts from.
    pub fn seal(&self) -> Seal {
        if planted::is(Bug::RecycledSegmentTrusted) {
            return Seal(crc32fast::hash(&self.log_id.to_le_bytes()));
        }
        Seal(crc32fast::hash(&self.encode()[16..40]))
    }
}

/// Whether frames can be aligned to blocks of that length.
pub(super) fn is_block(bytes: u64) -> bool {
    bytes.is_power_of_two() && (PACKED_BLOCK..=BLOCK_BYTES_MAX).contains(&bytes)
}

/// Where the first frame of a segment starts: the header has the first block to itself.
pub(super) fn frames_start(block: u64) -> u64 {
    HEADER_BYTES.next_multiple_of(block)
}

fn header_checksum(bytes: &[u8; HEADER_BYTES as usize]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

/// What every checksum in one life of one segment file starts from, so that bytes of another life never
/// check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal(u32);

impl Seal {
    /// A checksum that starts from the seal.
    pub fn hasher(self) -> Hasher {
        Hasher::new_with_initial(self.0)
    }

    pub fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// What a frame says after its entries.
pub(super) type Notes = [Option<Note>; 2];

/// A record without payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Replaces the hard state before it.
    HardState(HardState),
    /// Entries up to this one are compacted away.
    Floor(EntryId),
    /// The last entry written before this segment.
    Start(EntryId),
    /// Everything before this record is dropped, and the log is compacted to this entry.
    Reset(EntryId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Entry(LogEntry),
    Note(Note),
}

const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const FLOOR: u8 = 3;
const START: u8 = 4;
const RESET: u8 = 5;

pub(super) fn entry_bytes(entry: &LogEntry) -> u64 {
    RECORD_HEAD_BYTES + entry.context.len() as u64 + entry.data.len() as u64
}

/// From this length on, taking a known sum of the data into account costs less than summing it again, which takes
/// the more time the less of it the processor's caches hold.
const COMBINE_FROM: usize = 16 << 10;

/// The head of an entry's record; context and data follow it. `sum` is the CRC of the data, if it is known.
pub(super) fn entry_head(seal: Seal, entry: &LogEntry, sum: Option<u32>) -> [u8; RECORD_HEAD_BYTES as usize] {
    let (context, data) = (entry.context.len() as u64, entry.data.len() as u64);
    let mut head = head(ENTRY, entry.kind, [entry.index, entry.term, context | data << 32]);
    let mut hasher = seal.hasher();
    hasher.update(&head[4..]);
    hasher.update(&entry.context);
    match sum {
        Some(sum) if entry.data.len() >= COMBINE_FROM => {
            hasher.combine(&Hasher::new_with_initial_len(sum, data));
        }
        _ => hasher.update(&entry.data),
    }
    head[..4].copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

/// A note's whole record.
pub(super) fn note_record(seal: Seal, note: Note) -> [u8; RECORD_HEAD_BYTES as usize] {
    let mut head = match note {
        Note::HardState(state) => head(HARD_STATE, 0, [state.term, state.vote, state.commit]),
        Note::Floor(floor) => head(FLOOR, 0, [floor.index, floor.term, 0]),
        Note::Start(last) => head(START, 0, [last.index, last.term, 0]),
        Note::Reset(floor) => head(RESET, 0, [floor.index, floor.term, 0]),
    };
    let checksum = seal.checksum(&head[4..]);
    head[..4].copy_from_slice(&checksum.to_le_bytes());
    head
}

fn head(kind_of_record: u8, kind_of_entry: u8, fields: [u64; 3]) -> [u8; RECORD_HEAD_BYTES as usize] {
    let mut bytes = [0; RECORD_HEAD_BYTES as usize];
    bytes[4] = kind_of_record;
    bytes[5] = kind_of_entry;
    for (i, field) in fields.into_iter().enumerate() {
        bytes[8 + 8 * i..16 + 8 * i].copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

/// The record at the start of `bytes` and its length; `None` if there is no valid one. An entry's context and
/// data are slices of `bytes`, not copies.
pub(super) fn decode_record(seal: Seal, bytes: &Bytes) -> Option<(Record, usize)> {
    const HEAD: usize = RECORD_HEAD_BYTES as usize;
    if bytes.len() < HEAD {
        return None;
    }
    let [a, b, c] = [8, 16, 24].map(|at| u64_at(bytes, at));
    let (context, data) = if bytes[4] == ENTRY { (c as u32 as usize, (c >> 32) as usize) } else { (0, 0) };
    let end = HEAD + context + data;
    let trusted = planted::is(Bug::TornTailAccepted);
    if bytes.len() < end || !trusted && u32_at(bytes, 0) != seal.checksum(&bytes[4..end]) {
        return None;
    }
    let record = match bytes[4] {
        ENTRY => Record::Entry(LogEntry {
            index: a,
            term: b,
            kind: bytes[5],
            context: bytes.slice(HEAD..HEAD + context),
            data: bytes.slice(HEAD + context..end),
        }),
        HARD_STATE => Record::Note(Note::HardState(HardState { term: a, vote: b, commit: c })),
        FLOOR => Record::Note(Note::Floor(EntryId { index: a, term: b })),
        START => Record::Note(Note::Start(EntryId { index: a, term: b })),
        RESET => Record::Note(Note::Reset(EntryId { index: a, term: b })),
        _ => return None,
    };
    Some((record, end))
}

/// Panics if the integer is not within `bytes`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

/// Panics if the integer is not within `bytes`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
