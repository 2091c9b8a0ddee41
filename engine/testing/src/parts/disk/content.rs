//! A file's bytes, and what a loss of power makes of them.

use super::BLOCK;
use crate::parts::aim::Kind;
use crate::parts::chance::Chance;

/// A file's bytes: as they are, and as they would be after a loss of power if no unsynced write survived.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub bytes: Vec<u8>,
    pub durable: Vec<u8>,
    pub unsynced: Vec<Change>,
    pub kind: Kind,
}

/// A change of a file that is not durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Written(usize, Vec<u8>),
    /// Written directly; the write has not returned.
    Direct(usize, Vec<u8>),
    /// Durable, unlike changes before it.
    Kept(usize, Vec<u8>),
    Emptied,
}

/// Writes all of the bytes, and fills a gap before them with zeros.
pub(super) fn overwrite(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    lengthen(bytes, at);
    let kept = data.len().min(bytes.len() - at);
    bytes[at..at + kept].copy_from_slice(&data[..kept]);
    bytes.extend_from_slice(&data[kept..]);
}

/// Writes the bytes whose index in `data` satisfies `keep`.
fn overwrite_some(bytes: &mut Vec<u8>, at: usize, data: &[u8], keep: impl Fn(usize) -> bool) {
    lengthen(bytes, at + data.len());
    for (place, byte) in data.iter().enumerate().filter(|(place, _)| keep(*place)) {
        bytes[at + place] = *byte;
    }
}

fn lengthen(bytes: &mut Vec<u8>, length: usize) {
    bytes.resize(bytes.len().max(length), 0);
}

/// Writes only the front, the back, or a mixture of the bytes.
pub(super) fn tear(bytes: &mut Vec<u8>, at: usize, data: &[u8], chance: &mut Chance) {
    let cut = chance.below(data.len() as u64 + 1) as usize;
    let pieces = chance.bits();
    match chance.below(3) {
        0 => overwrite_some(bytes, at, data, |place| place < cut),
        1 => overwrite_some(bytes, at, data, |place| place >= cut),
        _ => overwrite_some(bytes, at, data, |place| pieces >> (place / 16 % 64) & 1 == 1),
    }
}

/// Writes any of the blocks, and leaves one of them half written or full of noise. A block that already holds
/// what is written keeps it.
pub(super) fn tear_blocks(bytes: &mut Vec<u8>, at: usize, data: &[u8], chance: &mut Chance) {
    lengthen(bytes, at + data.len());
    let spoilt = chance.below((data.len() / BLOCK) as u64) as usize;
    for (number, block) in data.chunks(BLOCK).enumerate() {
        let there = &mut bytes[at + number * BLOCK..][..block.len()];
        match (number == spoilt, chance.below(2)) {
            _ if *there == *block => {}
            (true, 0) => there[..BLOCK / 2].copy_from_slice(&block[..BLOCK / 2]),
            (true, _) => there.fill_with(|| chance.below(256) as u8),
            (false, 0) => {}
            (false, _) => there.copy_from_slice(block),
        }
    }
}
