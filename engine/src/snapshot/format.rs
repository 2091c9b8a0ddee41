//! The bytes of a snapshot's file after its header: chunks, and the trailer that proves that nothing is
//! missing. `docs/snapshot.md` gives every byte.

use bytes::{Buf, BufMut};

/// Length of a chunk's header, in bytes.
pub(crate) const CHUNK_HEAD_BYTES: usize = 16;
/// Length of the trailer, in bytes.
pub(crate) const TRAILER_BYTES: usize = 40;
/// The longest chunk, in bytes. An application's largest value has to fit into one.
pub(crate) const CHUNK_PAYLOAD_MAX: usize = 1 << 30;

/// Header of a chunk. `seal` is the checksum of the file's header, so a chunk of another file always fails
/// its checksum. Numbers start at 1.
pub(crate) fn chunk_head(seal: u32, number: u64, payload: &[u8]) -> [u8; CHUNK_HEAD_BYTES] {
    assert!(payload.len() <= CHUNK_PAYLOAD_MAX, "a chunk of {} bytes is too long", payload.len());
    let mut head = [0; CHUNK_HEAD_BYTES];
    (&mut head[4..8]).put_u32_le(payload.len() as u32);
    (&mut head[8..16]).put_u64_le(number);
    let sum = sum(seal, &[&head[4..], payload]);
    (&mut head[..4]).put_u32_le(sum);
    head
}

/// What a chunk's header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A payload of this many bytes.
    Chunk(usize),
    /// The rest of the trailer.
    Trailer,
}

/// Parses the header of the chunk that must have this number, and checks it as far as possible without the
/// payload.
pub(crate) fn read_head(head: &[u8; CHUNK_HEAD_BYTES], number: u64) -> Result<Head, &'static str> {
    let (mut length, mut found) = (&head[4..8], &head[8..16]);
    if found.get_u64_le() != number {
        return Err("a chunk is out of order");
    }
    match length.get_u32_le() as usize {
        0 => Ok(Head::Trailer),
        length if length <= CHUNK_PAYLOAD_MAX => Ok(Head::Chunk(length)),
        _ => Err("a chunk's length is impossible"),
    }
}

/// Whether the payload matches the header's checksum.
pub(crate) fn chunk_checks(seal: u32, head: &[u8; CHUNK_HEAD_BYTES], payload: &[u8]) -> bool {
    head[..4] == sum(seal, &[&head[4..], payload]).to_le_bytes()
}

/// Trailer of a file with this many chunks, bytes in them, and bytes in all. `chunks_sum` is the checksum of
/// the chunks' checksums.
pub(crate) fn trailer(
    seal: u32,
    chunks: u64,
    payload: u64,
    length: u64,
    chunks_sum: u32,
) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    let mut fields = &mut trailer[4..];
    fields.put_u32_le(0);
    [chunks + 1, payload, length].iter().for_each(|field| fields.put_u64_le(*field));
    fields.put_u32_le(chunks_sum);
    let sum = sum(seal, &[&trailer[4..]]);
    (&mut trailer[..4]).put_u32_le(sum);
    trailer
}

fn sum(seal: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seal);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
