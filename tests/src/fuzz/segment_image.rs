//! Segment files of a log as bytes: made valid, and taken apart, by a second reading of `engine/log/src/FORMAT.md`.
//!
//! No fuzzer guesses a checksum. So targets for the log give their bytes the checksums that they need, and all else stays
//! as the fuzzer has it. This shares no code with the engine: a misreading cannot hide on both sides.

use std::ops::Range;

pub(super) const HEADER_BYTES: usize = 64;
const FRAME_HEAD_BYTES: usize = 24;
const RECORD_HEAD_BYTES: usize = 32;
const ENTRY: u8 = 1;

/// How segments are sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealing {
    /// Cuts lengths that lead out of a frame or the file, so that more of it is valid. Else they stay, and what they belong
    /// to gets its checksum all the same.
    pub(super) fit: bool,
    /// The number of the first frame, if frames are to be numbered one after the other.
    pub(super) sequence: Option<u64>,
}

impl Sealing {
    /// Makes any bytes the segment of that log and number, with sound checksums from the first frame on up to the first that
    /// is not marked as one.
    pub(super) fn seal(&mut self, bytes: &mut Vec<u8>, log_id: u64, number: u64) {
        if bytes.len() < HEADER_BYTES {
            bytes.resize(HEADER_BYTES, 0);
        }
        bytes[..8].copy_from_slice(b"NIAGLOG\0");
        let version = if get(bytes, 8, 4) == 1 { 1 } else { 2 };
        put(bytes, 8, version, 4);
        put(bytes, 16, log_id, 8);
        put(bytes, 24, number, 8);
        let block = block_of(bytes);
        put(bytes, 48, if version == 1 { 0 } else { block as u64 }, 8);
        let sum = checksum(0, &[&bytes[..12], &bytes[16..HEADER_BYTES]]);
        put(bytes, 12, sum.into(), 4);
        let seal = checksum(0, &[&bytes[16..40]]);

        let mut at = HEADER_BYTES.next_multiple_of(block);
        while is_frame(bytes, at) {
            if let Some(next) = &mut self.sequence {
                put(bytes, at + 8, *next, 8);
                *next += 1;
            }
            at = self.seal_frame(bytes, at, block, seal);
        }
    }

    /// Returns the frame's end.
    fn seal_frame(&self, bytes: &mut Vec<u8>, at: usize, block: usize, seal: u32) -> usize {
        let body = at + FRAME_HEAD_BYTES;
        let length = get(bytes, at + 16, 4) as usize;
        let room = body + length.min(bytes.len() - body);
        let mut digest = seal;
        let mut next = body;
        while next + RECORD_HEAD_BYTES <= room {
            let end = self.seal_record(bytes, next, room, seal);
            digest = checksum(digest, &[&bytes[next..next + 4]]);
            next = end;
        }
        if self.fit {
            put(bytes, at + 16, (next - body) as u64, 4);
            let end = next.next_multiple_of(block);
            bytes.resize(bytes.len().max(end), 0);
            bytes[next..end].fill(0);
        }
        put(bytes, at + 20, digest.into(), 4);
        let sum = checksum(seal, &[&bytes[at + 4..at + FRAME_HEAD_BYTES]]);
        put(bytes, at, sum.into(), 4);
        next.next_multiple_of(block)
    }

    /// Returns the record's end, which is at most `room`.
    fn seal_record(&self, bytes: &mut [u8], at: usize, room: usize, seal: u32) -> usize {
        let mut end = at + RECORD_HEAD_BYTES;
        if bytes[at + 4] == ENTRY {
            for length in [at + 24, at + 28] {
                let bounded = (get(bytes, length, 4) as usize).min(room - end);
                if self.fit {
                    put(bytes, length, bounded as u64, 4);
                }
                end += bounded;
            }
        }
        let sum = checksum(seal, &[&bytes[at + 4..end]]);
        put(bytes, at, sum.into(), 4);
        end
    }
}

/// Where the whole frames of a segment lie. Nothing is checked.
pub(super) fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let block = block_of(bytes);
    let mut at = HEADER_BYTES.next_multiple_of(block);
    while is_frame(bytes, at) {
        let end = (at + FRAME_HEAD_BYTES + get(bytes, at + 16, 4) as usize).next_multiple_of(block);
        frames.push(at..end);
        at = end;
    }
    frames
}

/// Length of a block, as the header says; that of version 1 if it says what no header may.
fn block_of(bytes: &[u8]) -> usize {
    match get(bytes, 48, 8) as usize {
        block @ 8..=65_536 if block.is_power_of_two() && get(bytes, 8, 4) != 1 => block,
        _ => 8,
    }
}

fn is_frame(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 4..at + 8) == Some(b"FRAM") && at + FRAME_HEAD_BYTES <= bytes.len()
}

fn checksum(initial: u32, parts: &[&[u8]]) -> u32 {
    let mut checksum = crc32fast::Hasher::new_with_initial(initial);
    parts.iter().for_each(|part| checksum.update(part));
    checksum.finalize()
}

/// Writes the low `width` bytes of a number, little endian.
fn put(bytes: &mut [u8], at: usize, number: u64, width: usize) {
    bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
}

fn get(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
