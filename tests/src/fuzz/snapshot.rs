//! Snapshot files.

use std::io::IoSlice;
use std::path::Path;

use niagara_engine::internals::snapshot::{Header, SnapshotReader};
use niagara_kvstore::snapshot_entries;
use niagara_log::{Files, MemoryFiles};

/// Bytes of the parts that `docs/snapshot.md` gives a fixed length.
const PRELUDE: usize = 24;
const CHUNK_HEAD: usize = 16;
const TRAILER: usize = 40;

/// **Whatever a file holds, it is refused with a reason, or read to its end;** then its header can be said again in the same
/// bytes, its trailer ends the file, and its chunks are entries or are refused.
///
/// If the first byte is odd, the rest has its checksums put right, so that what stands behind them is reached.
///
/// # Panics
/// When the property does not hold.
pub fn snapshot(data: &[u8]) {
    let Some((flags, file)) = data.split_first() else { return };
    let mut bytes = file.to_vec();
    if flags & 1 == 1 {
        seal(&mut bytes);
    }
    let (files, path) = (MemoryFiles::default(), Path::new("a.snap"));
    let written = files.create(path).and_then(|file| file.write_all_at(&mut [IoSlice::new(&bytes)], 0));
    written.expect("memory is there");
    let mut reader = match SnapshotReader::open(&files, path) {
        Ok(reader) => reader,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let header = reader.header().encode();
    // The first version is read, and not written any more.
    if field(&bytes, 8) == Some(1) {
        assert_eq!(Header::decode(&header).as_ref(), Ok(&**reader.header()));
    } else {
        assert_eq!(header, bytes[..header.len()]);
    }
    loop {
        let before = reader.position();
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                assert_eq!(reader.position() - before, (CHUNK_HEAD + chunk.len()) as u64);
                // The first entry that is none ends the chunk.
                let entries = snapshot_entries(&chunk).take_while(Result::is_ok).count();
                assert!(entries <= chunk.len());
            }
            Ok(None) => return assert_eq!(reader.position() + TRAILER as u64, bytes.len() as u64),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

/// Puts the checksums right: of the header, of each chunk, and of the trailer.
pub(super) fn seal(bytes: &mut [u8]) {
    let Some(length) = field(bytes, 12).map(|length| length as usize) else { return };
    if !(PRELUDE..=bytes.len()).contains(&length) {
        return;
    }
    let header_sum = sum(0, &[&bytes[..16], &bytes[20..length]]);
    bytes[16..20].copy_from_slice(&header_sum.to_le_bytes());
    let mut chunks = crc32fast::Hasher::new();
    let mut at = length;
    while let Some(payload) = field(bytes, at + 4).filter(|payload| *payload > 0) {
        let end = at + CHUNK_HEAD + payload as usize;
        if end > bytes.len() {
            return;
        }
        let chunk_sum = sum(header_sum, &[&bytes[at + 4..end]]).to_le_bytes();
        bytes[at..at + 4].copy_from_slice(&chunk_sum);
        chunks.update(&chunk_sum);
        at = end;
    }
    if let Some(trailer) = bytes.get_mut(at..at + TRAILER) {
        trailer[32..36].copy_from_slice(&chunks.finalize().to_le_bytes());
        let trailer_sum = sum(header_sum, &[&trailer[4..]]);
        trailer[..4].copy_from_slice(&trailer_sum.to_le_bytes());
    }
}

fn field(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn sum(start: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(start);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
