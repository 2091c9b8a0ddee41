//! Frames, the unit of writing: builds one without joining its payloads, and finds them again.

use std::io::IoSlice;

use bytes::Bytes;
use crc32fast::Hasher;

use super::LogEntry;
use super::direct::PAGE;
use super::format::{
    Note, RECORD_HEAD_BYTES, Record, Seal, decode_record, entry_bytes, entry_head, note_record, u32_at,
    u64_at,
};
use crate::planted::{self, Bug};

pub(super) const FRAME_HEAD_BYTES: u64 = 24;
const MARKER: [u8; 4] = *b"FRAM";
/// Payloads of at least this size are handed to the system without a copy. Copying a smaller one costs less
/// than another element in the vector of a write.
const SHARE_BYTES: usize = 4096;

/// Assembles a frame from entries and notes. Reused from frame to frame, so that its buffers are allocated
/// once.
#[derive(Debug)]
pub(super) struct FrameBuilder {
    seal: Seal,
    block: u64,
    sequence: u64,
    digest: Hasher,
    /// Where the frame starts in the next buffer: at a page, which direct IO can take without another copy.
    start: usize,
    /// Heads, notes and small payloads.
    copied: Vec<u8>,
    /// Large payloads, each with the length of `copied` that precedes it.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
}

impl FrameBuilder {
    /// Starts a frame for a segment with that seal and blocks of that length.
    pub fn new(seal: Seal, block: u64, sequence: u64) -> Self {
        let (digest, copied, shared) = (seal.hasher(), Vec::new(), Vec::new());
        let mut frame =
            FrameBuilder { seal, block, sequence, digest, start: 0, copied, shared, shared_bytes: 0 };
        frame.begin(seal, block, sequence);
        frame
    }

    /// Drops the frame and its payloads, and starts another.
    pub fn begin(&mut self, seal: Seal, block: u64, sequence: u64) {
        self.seal = seal;
        self.block = block;
        self.sequence = sequence;
        self.digest = seal.hasher();
        self.copied.clear();
        self.copied.reserve(PAGE + FRAME_HEAD_BYTES as usize);
        // If the buffer moves while the frame grows, only this frame is copied once more.
        self.start = self.copied.as_ptr().addr().wrapping_neg() % PAGE;
        self.copied.resize(self.start + FRAME_HEAD_BYTES as usize, 0);
        self.shared.clear();
        self.shared_bytes = 0;
    }

    /// Adds an entry. `sum` is the CRC of its data, if it is known. Returns where in the frame its record starts, in
    /// bytes.
    pub fn entry(&mut self, entry: &LogEntry, sum: Option<u32>) -> u64 {
        let at = self.bytes();
        let head = entry_head(self.seal, entry, sum);
        self.digest.update(&head[..4]);
        self.copied.extend_from_slice(&head);
        for payload in [&entry.context, &entry.data] {
            if payload.len() < SHARE_BYTES {
                self.copied.extend_from_slice(payload);
            } else {
                self.shared_bytes += payload.len();
                self.shared.push((self.copied.len(), payload.clone()));
            }
        }
        at
    }

    pub fn note(&mut self, note: Note) {
        let record = note_record(self.seal, note);
        self.digest.update(&record[..4]);
        self.copied.extend_from_slice(&record);
    }

    /// Completes the frame. Returns its length in bytes.
    pub fn finish(&mut self) -> u64 {
        let body = self.bytes() - FRAME_HEAD_BYTES;
        let padding = self.bytes().next_multiple_of(self.block) - self.bytes();
        self.copied.resize(self.copied.len() + padding as usize, 0);

        let body = u32::try_from(body).expect("a frame fits its segment, whose length fits 32 bits");
        let head = &mut self.copied[self.start..][..FRAME_HEAD_BYTES as usize];
        head[4..8].copy_from_slice(&MARKER);
        head[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        head[16..20].copy_from_slice(&body.to_le_bytes());
        head[20..24].copy_from_slice(&self.digest.clone().finalize().to_le_bytes());
        let checksum = self.seal.checksum(&head[4..]);
        head[..4].copy_from_slice(&checksum.to_le_bytes());
        self.bytes()
    }

    /// The frame's bytes in order, for one vectored write.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut from = self.start;
        for (until, payload) in &self.shared {
            if from < *until {
                slices.push(IoSlice::new(&self.copied[from..*until]));
            }
            slices.push(IoSlice::new(payload));
            from = *until;
        }
        if from < self.copied.len() {
            slices.push(IoSlice::new(&self.copied[from..]));
        }
        slices
    }

    fn bytes(&self) -> u64 {
        (self.copied.len() - self.start + self.shared_bytes) as u64
    }
}

/// How many of the first entries fit into one frame of at most `room` bytes, together with `notes` notes, and
/// how long the frame then is before padding. `room` consists of whole blocks, so padding fits, too.
pub(super) fn fitting(entries: &[LogEntry], notes: u64, room: u64) -> (usize, u64) {
    let mut bytes = FRAME_HEAD_BYTES + notes * RECORD_HEAD_BYTES;
    let mut count = 0;
    for entry in entries {
        let more = bytes + entry_bytes(entry);
        if more > room {
            break;
        }
        bytes = more;
        count += 1;
    }
    (count, bytes)
}

/// A frame whose checksums all match.
#[derive(Debug)]
pub(super) struct Frame {
    pub sequence: u64,
    /// Each record with its offset in the segment and its length.
    pub records: Vec<(usize, usize, Record)>,
    /// Where the next frame starts.
    pub end: usize,
}

/// A frame header whose checksum matches; what it says about the body may still be wrong.
struct FrameHead {
    sequence: u64,
    body: usize,
    digest: u32,
}

fn decode_head(seal: Seal, bytes: &[u8], at: usize) -> Option<FrameHead> {
    let head = bytes.get(at..at + FRAME_HEAD_BYTES as usize)?;
    if head[4..8] != MARKER || u32_at(head, 0) != seal.checksum(&head[4..]) {
        return None;
    }
    Some(FrameHead { sequence: u64_at(head, 8), body: u32_at(head, 16) as usize, digest: u32_at(head, 20) })
}

/// The frame at an offset of a segment with blocks of that length, if every byte of it is as it was written.
pub(super) fn decode_frame(seal: Seal, block: u64, segment: &Bytes, at: usize) -> Option<Frame> {
    let head = decode_head(seal, segment, at)?;
    let body = at + FRAME_HEAD_BYTES as usize;
    let (body_end, end) = (body + head.body, (body + head.body).next_multiple_of(block as usize));
    if end > segment.len() || segment[body_end..end].iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut records = Vec::new();
    let mut digest = seal.hasher();
    let mut next = body;
    while next < body_end {
        let (record, length) = decode_record(seal, &segment.slice(next..body_end))?;
        digest.update(&segment[next..next + 4]);
        records.push((next, length, record));
        next += length;
    }
    let whole = digest.finalize() == head.digest || planted::is(Bug::TornTailAccepted);
    whole.then_some(Frame { sequence: head.sequence, records, end })
}

/// The offset, `from` or whole blocks later, of a frame with a sequence number above `sequence`. Its header
/// suffices: it shows that the write of that frame had begun.
pub(super) fn find_later(
    seal: Seal,
    block: u64,
    segment: &[u8],
    from: usize,
    sequence: u64,
) -> Option<usize> {
    (from..segment.len())
        .step_by(block as usize)
        .find(|at| decode_head(seal, segment, *at).is_some_and(|head| head.sequence > sequence))
}
