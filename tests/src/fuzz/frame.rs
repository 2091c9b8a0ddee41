//! Streams of frames, as a connection reads them.

use bytes::Bytes;
use niagara_net::{Frame, FrameError, FrameReader, HEAD_BYTES};

use super::script::{Cuts, Script};

/// Sizes of the read buffer; the least is that of a long head.
const BUFFERS: [usize; 4] = [LONG_HEAD_BYTES, 24, 100, 4096];
/// Length of the head of a piece, and of a body with an open end, in bytes.
const LONG_HEAD_BYTES: usize = HEAD_BYTES + 4;
/// Marks a piece in the length field.
const PIECE: u32 = 1 << 31;
/// Marks an open end in the length field.
const OPEN: u32 = 1 << 30;
/// The longest piece, in bytes.
const LONGEST_PIECE: usize = 64 << 10;

/// Longest bodies that are taken.
const LIMITS: [usize; 4] = [0, 59, 2000, u32::MAX as usize];

/// What a stream is cut into: its bodies, and what ended it, unless bytes are still awaited.
type Read = (Vec<Bytes>, Option<FrameError>);

/// **However a stream of bytes is cut into reads, [`FrameReader`] gives the bodies that the format's definition says, in
/// order and unharmed by later reads, and then the error that it says.** Changing the reader's sizes on the way, as a
/// connection does behind the greeting, changes nothing.
///
/// ```text
/// sizes u8 | count of cuts u8 | cuts | stream
/// sizes: 2 bits for the buffer, 2 for the limit, 1 whether the stream is sealed, 1 whether the reader grows on the way,
///        1 whether a sealed stream's bodies are cut into pieces, 1 whether they have open ends, behind the first third
/// ```
///
/// A sealed stream is made of bodies, each behind a 16-bit length (and, if they are cut, 8 bits for that of a piece), and gets its checksums here: no fuzzer guesses them. What
/// [`Frame`] makes of the same bodies must be the same bytes.
///
/// # Panics
/// When the property does not hold.
pub fn frame(data: &[u8]) {
    let mut script = Script(data);
    let sizes = script.byte();
    let buffer = BUFFERS[usize::from(sizes & 3)];
    let limit = LIMITS[usize::from(sizes >> 2 & 3)];
    let cuts = Cuts(script.sized(false));
    let has_open_ends = sizes & 0x80 != 0;
    let stream = match sizes & 0x50 {
        0x10 => sealed(&mut script, has_open_ends),
        0x50 => sealed_in_pieces(&mut script, has_open_ends),
        _ => script.0.to_vec(),
    };

    let expected = defined(&stream, limit);
    for cuts in [Cuts::NONE, Cuts::finest(&stream), cuts] {
        let read = read(&stream, cuts, buffer, limit, sizes & 0x20 != 0);
        assert!(read == expected, "cut as {cuts:?}: {read:?}, but by definition {expected:?}");
    }
}

/// The stream of these bodies; what is left of the script's last body goes in as it is, like a frame that never ends.
fn sealed(script: &mut Script<'_>, has_open_ends: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    while !script.is_empty() {
        let length = script.short();
        let body = script.take(length);
        let covered = if has_open_ends { length / 3 } else { length };
        let at = stream.len();
        if covered < length {
            let (marked, more) = (length as u32 | OPEN, (covered as u32).to_le_bytes());
            stream.extend_from_slice(&marked.to_le_bytes());
            let front = &body[..covered.min(body.len())];
            stream.extend_from_slice(&checksum(marked, &[&more, front].concat()).to_le_bytes());
            stream.extend_from_slice(&more);
        } else {
            stream.extend_from_slice(&(length as u32).to_le_bytes());
            stream.extend_from_slice(&checksum(length as u32, body).to_le_bytes());
        }
        stream.extend_from_slice(body);
        if body.len() == length {
            let (first, second) = body.split_at(length / 3);
            let frame = Frame::with_open_end([first, second].map(Bytes::copy_from_slice), covered);
            let wire: Vec<u8> = frame.slices().flatten().copied().collect();
            assert_eq!(wire, stream[at..], "a frame's bytes are its length, its checksum and its body");
        }
    }
    stream
}

/// The same with each body in pieces; now and then a whole body of one byte passes between two of them.
fn sealed_in_pieces(script: &mut Script<'_>, has_open_ends: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    while !script.is_empty() {
        let (length, each) = (script.short(), 1 + usize::from(script.byte()));
        let body = script.take(length);
        let mut left = length;
        for piece in body.chunks(each) {
            let is_open = has_open_ends && length - left >= length / 3;
            let (mark, covered) = if is_open { (PIECE | OPEN, &[][..]) } else { (PIECE, piece) };
            let (marked, rest) = (piece.len() as u32 | mark, (left as u32).to_le_bytes());
            stream.extend_from_slice(&marked.to_le_bytes());
            stream.extend_from_slice(&checksum(marked, &[&rest, covered].concat()).to_le_bytes());
            stream.extend_from_slice(&rest);
            stream.extend_from_slice(piece);
            left -= piece.len();
            if left % 3 == 2 {
                stream.extend_from_slice(&1u32.to_le_bytes());
                stream.extend_from_slice(&checksum(1, &[7]).to_le_bytes());
                stream.push(7);
            }
        }
    }
    stream
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length.to_le_bytes());
    checksum.update(body);
    checksum.finalize()
}

/// What the definition of a frame says about a stream that is all there.
fn defined(stream: &[u8], limit: usize) -> Read {
    let mut bodies = Vec::new();
    let mut rest = stream;
    // The body whose pieces arrive, and its length.
    let mut cut: Option<(Vec<u8>, usize)> = None;
    while let Some((&[a, b, c, d, e, f, g, h], behind)) = rest.split_first_chunk() {
        let (length, expected) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (marked, is_open) = (length, length & OPEN != 0);
        let length = length & !OPEN;
        if length & PIECE != 0 {
            let Some((&left_bytes, behind)) = behind.split_first_chunk() else { break };
            let (length, left) = ((length - PIECE) as usize, u32::from_le_bytes(left_bytes) as usize);
            let missing = cut.as_ref().map(|(begun, whole)| whole - begun.len());
            if missing.is_none() && left > limit {
                return (bodies, Some(FrameError::TooLong { length: left, limit }));
            }
            if missing.is_some_and(|missing| missing != left)
                || !(1..=left.min(LONGEST_PIECE)).contains(&length)
            {
                let expected = missing.unwrap_or(limit);
                return (bodies, Some(FrameError::Piece { length, left, expected }));
            }
            let Some((piece, behind)) = behind.split_at_checked(length) else { break };
            let found = checksum(marked, &[&left_bytes[..], if is_open { &[] } else { piece }].concat());
            if found != expected {
                return (bodies, Some(FrameError::Checksum { expected, found }));
            }
            let (mut begun, whole) = cut.take().unwrap_or((Vec::new(), left));
            begun.extend_from_slice(piece);
            if begun.len() == whole {
                bodies.push(Bytes::from(begun));
            } else {
                cut = Some((begun, whole));
            }
            rest = behind;
            continue;
        }
        let (more, behind) = match behind.split_first_chunk::<4>() {
            Some((more, behind)) if is_open => (&more[..], behind),
            None if is_open => break,
            _ => (&[][..], behind),
        };
        if length as usize > limit {
            return (bodies, Some(FrameError::TooLong { length: length as usize, limit }));
        }
        let Some((body, behind)) = behind.split_at_checked(length as usize) else { break };
        let covered = more.try_into().map_or(u32::MAX, u32::from_le_bytes);
        let found = checksum(marked, &[more, &body[..body.len().min(covered as usize)]].concat());
        if found != expected {
            return (bodies, Some(FrameError::Checksum { expected, found }));
        }
        bodies.push(Bytes::copy_from_slice(body));
        rest = behind;
    }
    (bodies, None)
}

/// What the reader says about it. Every third body is let go at once, so that the buffer is used again while others
/// are held, and those that are held are looked at in the end.
fn read(stream: &[u8], cuts: Cuts<'_>, buffer: usize, limit: usize, grows: bool) -> Read {
    // What bodies arrive before the reader has grown has to fit before, too.
    let (mut reader, mut grows) = (FrameReader::new(buffer, limit), grows);
    let mut bodies = Vec::new();
    for piece in cuts.pieces(stream) {
        let mut rest = piece.bytes;
        while !rest.is_empty() {
            let room = reader.room();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            reader.advance(count);
            rest = &rest[count..];
            loop {
                match reader.next_body() {
                    Ok(Some(body)) if bodies.len() % 3 == 2 => bodies.push(Bytes::copy_from_slice(&body)),
                    Ok(Some(body)) => bodies.push(body),
                    Ok(None) => break,
                    Err(error) => return (bodies, Some(error)),
                }
                if std::mem::take(&mut grows) {
                    reader.resize(2 * buffer, limit);
                }
            }
        }
    }
    (bodies, None)
}
