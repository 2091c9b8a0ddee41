//! Frames: the form of one message on a connection.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | body length, u32 little endian |
//! | 4 | 4 | CRC-32 (IEEE) of the four length bytes and the body, u32 little endian |
//! | 8 | length | body |
//!
//! A body of more than 128 KiB is cut into pieces of 64 KiB, each with a head of its own, so that urgent
//! frames can pass between two of them. The highest bit of the length marks a piece:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | length of the piece, u32 little endian, plus 2^31 |
//! | 4 | 4 | CRC-32 (IEEE) of the four length bytes, what is left, and the piece |
//! | 8 | 4 | what is left: bytes of the body from this piece on, u32 little endian |
//! | 12 | length | piece |
//!
//! The pieces of one body follow each other, with nothing but whole frames between them. What is left in the
//! first piece is the length of the body.
//!
//! A body may hold checksums of what is at its end, which its receiver checks. Then the frame's checksum leaves that
//! *open end* out, so that no byte is summed twice. The second highest bit of the length marks it:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | body length, u32 little endian, plus 2^30 |
//! | 4 | 4 | CRC-32 (IEEE) of the four length bytes, the next four, and the covered bytes |
//! | 8 | 4 | how many bytes at the body's front are covered, u32 little endian |
//! | 12 | length | body |
//!
//! A piece with this bit is within the open end as a whole, and its checksum covers the rest of its head alone.
//!
//! The checksum covers the length, too: a frame of zeros, which is what a torn or zeroed stream looks like,
//! is never valid. TCP's own 16-bit checksum lets about one in 65,536 damaged segments through, too many for
//! a log that must be the same on every server.

use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;

/// Length of a frame's head, which precedes the body, in bytes.
pub const HEAD_BYTES: usize = 8;

/// Length of the head of a piece, and of a body with an open end, in bytes.
pub(crate) const LONG_HEAD_BYTES: usize = 12;

/// Marks a piece in the length field.
const PIECE: u32 = 1 << 31;

/// Marks an open end in the length field.
const OPEN: u32 = 1 << 30;

/// How bodies are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// The longest body that travels as a whole, in bytes.
    pub(crate) whole: usize,
    /// The longest piece of a longer one, in bytes.
    pub(crate) piece: usize,
}

/// A piece is what an urgent frame waits for: 26 ms at 20 Mbit/s.
pub(crate) const CUT: Cut = Cut { whole: 128 << 10, piece: 64 << 10 };

/// One message, as the parts of its body.
///
/// The parts are passed to the operating system one after the other and never joined, so a payload read from
/// one socket is written to the next without a copy. The checksum is computed once, here; clones share
/// everything, so sending one message to several servers costs a reference count for each.
///
/// ```
/// use bytes::Bytes;
/// use niagara_net::Frame;
///
/// let head = Bytes::from_static(b"append ");
/// let payload = Bytes::from_static(b"x = 1");
/// let frame = Frame::from_parts([head, payload]);
/// assert_eq!(frame.len(), 12);
///
/// let single = Frame::from(Bytes::from_static(b"heartbeat"));
/// assert_eq!(single.clone().len(), 9);
/// ```
#[derive(Debug, Clone)]
pub struct Frame {
    length: u32,
    /// How many bytes at the front of the body the checksum covers.
    covered: usize,
    /// The head of a body that travels as a whole. Without an open end, it is the shorter one.
    head: [u8; LONG_HEAD_BYTES],
    pieces: Option<Pieces>,
    parts: Arc<[Bytes]>,
    is_urgent: bool,
}

/// How a long body is cut.
#[derive(Debug, Clone)]
struct Pieces {
    /// The heads of the pieces, one after the other.
    heads: Arc<[u8]>,
    /// Length of each piece but the last, in bytes.
    each: usize,
}

impl Frame {
    /// A frame whose body is the given parts, one after the other.
    ///
    /// # Panics
    ///
    /// If the body is longer than a `u32` can express (4 GiB). Nothing received can be that long.
    pub fn from_parts(parts: impl IntoIterator<Item = Bytes>) -> Frame {
        Frame::seal(parts.into_iter().collect(), usize::MAX, CUT)
    }

    /// The same, with a checksum that covers `covered` bytes at the front of the body. Whoever receives the body has
    /// to check the others.
    ///
    /// # Panics
    ///
    /// If the body is longer than a `u32` can express.
    pub fn with_open_end(parts: impl IntoIterator<Item = Bytes>, covered: usize) -> Frame {
        Frame::seal(parts.into_iter().collect(), covered, CUT)
    }

    pub(crate) fn seal(parts: Arc<[Bytes]>, covered: usize, cut: Cut) -> Frame {
        let length: usize = parts.iter().map(Bytes::len).sum();
        let frame = Frame {
            length: u32::try_from(length).expect("a frame's body must be shorter than 4 GiB"),
            covered: covered.min(length),
            head: [0; LONG_HEAD_BYTES],
            pieces: None,
            parts,
            is_urgent: false,
        };
        if length > cut.whole { frame.sealed_in_pieces(cut.piece) } else { frame.sealed_whole() }
    }

    fn sealed_whole(mut self) -> Frame {
        let covered = (self.covered as u32).to_le_bytes();
        let length = (self.length | if self.has_open_end() { OPEN } else { 0 }).to_le_bytes();
        let mut checksum = Hasher::new();
        checksum.update(&length);
        if self.has_open_end() {
            checksum.update(&covered);
        }
        Slices::of_body(&self.parts).take_up_to(self.covered, |slice| checksum.update(slice));
        self.head[..4].copy_from_slice(&length);
        self.head[4..8].copy_from_slice(&checksum.finalize().to_le_bytes());
        self.head[8..].copy_from_slice(&covered);
        self
    }

    fn sealed_in_pieces(mut self, each: usize) -> Frame {
        let mut heads = Vec::with_capacity(self.len().div_ceil(each) * LONG_HEAD_BYTES);
        let mut left = self.len();
        let mut body = Slices::of_body(&self.parts);
        while left > 0 {
            let piece = left.min(each);
            let is_open = self.len() - left >= self.covered;
            let length = (piece as u32 | PIECE | if is_open { OPEN } else { 0 }).to_le_bytes();
            let left_bytes = (left as u32).to_le_bytes();
            let mut checksum = Hasher::new();
            checksum.update(&length);
            checksum.update(&left_bytes);
            body.take_up_to(piece, |slice| {
                if !is_open {
                    checksum.update(slice);
                }
            });
            heads.extend(length);
            heads.extend(checksum.finalize().to_le_bytes());
            heads.extend(left_bytes);
            left -= piece;
        }
        self.pieces = Some(Pieces { heads: heads.into(), each });
        self
    }

    /// Lets the frame pass others that wait for the same peer: it is written before all frames that are not
    /// urgent, and between the pieces of a long one. Urgent frames stay in their order. A body of more than
    /// 128 KiB waits its turn anyway.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use niagara_net::Frame;
    ///
    /// let heartbeat = Frame::from(Bytes::from_static(b"heartbeat")).urgent();
    /// assert!(heartbeat.is_urgent());
    /// ```
    #[must_use]
    pub fn urgent(mut self) -> Frame {
        self.is_urgent = self.pieces.is_none();
        self
    }

    /// Whether the frame passes others.
    pub fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// Length of the body, in bytes.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// The parts of the body, as passed to [`from_parts`](Frame::from_parts).
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Whether the body is empty. Such a frame is valid and arrives as an empty body.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the checksum leaves an end of the body to its receiver.
    pub fn has_open_end(&self) -> bool {
        self.covered < self.len()
    }

    /// Length of the head of a body that travels as a whole, in bytes.
    fn head_bytes(&self) -> usize {
        if self.has_open_end() { LONG_HEAD_BYTES } else { HEAD_BYTES }
    }

    /// Bytes on the wire: heads and body.
    pub(crate) fn wire_len(&self) -> usize {
        self.len() + self.pieces.as_ref().map_or(self.head_bytes(), |pieces| pieces.heads.len())
    }

    /// Of a frame that has been written in part: the bytes that must follow before another frame may.
    pub(crate) fn must_follow(&self, written: usize) -> usize {
        match &self.pieces {
            _ if written == 0 => 0,
            None => self.wire_len() - written,
            Some(pieces) => {
                let stride = LONG_HEAD_BYTES + pieces.each;
                (written.next_multiple_of(stride)).min(self.wire_len()) - written
            }
        }
    }

    /// The bytes on the wire, in order: each head, then the parts of what follows it.
    #[doc(hidden)]
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        match &self.pieces {
            None => {
                let head = &self.head[..self.head_bytes()];
                Slices::new(head, head.len(), self.len(), &self.parts)
            }
            Some(pieces) => Slices::new(&pieces.heads, LONG_HEAD_BYTES, pieces.each, &self.parts),
        }
    }
}

/// Heads, and between them the parts of a body.
struct Slices<'a> {
    heads: slice::ChunksExact<'a, u8>,
    /// Bytes of the body behind each head but the last.
    each: usize,
    /// Bytes that follow before the next head.
    due: usize,
    /// The rest of a part.
    part: &'a [u8],
    parts: slice::Iter<'a, Bytes>,
}

impl<'a> Slices<'a> {
    fn new(heads: &'a [u8], head_bytes: usize, each: usize, parts: &'a [Bytes]) -> Slices<'a> {
        Slices { heads: heads.chunks_exact(head_bytes), each, due: 0, part: &[], parts: parts.iter() }
    }

    fn of_body(parts: &'a [Bytes]) -> Slices<'a> {
        Slices::new(&[], HEAD_BYTES, 0, parts)
    }

    /// The next bytes of the body, `most` at most; `None` at its end.
    fn next_of_body(&mut self, most: usize) -> Option<&'a [u8]> {
        while self.part.is_empty() {
            self.part = self.parts.next()?;
        }
        let (slice, rest) = self.part.split_at(most.min(self.part.len()));
        self.part = rest;
        Some(slice)
    }

    /// Takes the next `count` bytes of the body.
    fn take_up_to(&mut self, mut count: usize, mut each: impl FnMut(&[u8])) {
        while count > 0
            && let Some(slice) = self.next_of_body(count)
        {
            count -= slice.len();
            each(slice);
        }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.due == 0 {
            let head = self.heads.next()?;
            self.due = self.each;
            return Some(head);
        }
        let slice = self.next_of_body(self.due)?;
        self.due -= slice.len();
        Some(slice)
    }
}

impl From<Bytes> for Frame {
    fn from(body: Bytes) -> Frame {
        Frame::seal(Arc::new([body]), usize::MAX, CUT)
    }
}

/// Why the bytes of a connection are not frames. Nobody knows then where the next frame starts, so the
/// connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field exceeds the receiver's limit. Nothing has been allocated for it.
    #[error(
        "a frame of {length} bytes exceeds the limit of {limit} bytes: give every server the same max_frame_bytes"
    )]
    TooLong {
        /// Value of the length field, in bytes.
        length: usize,
        /// Longest accepted body, in bytes.
        limit: usize,
    },
    /// The bytes changed on their way, or the sender does not speak this protocol.
    #[error(
        "a frame's checksum is {found:#010x} and should be {expected:#010x}: check the network path if this repeats"
    )]
    Checksum {
        /// Checksum in the frame's head.
        expected: u32,
        /// Checksum of the received bytes.
        found: u32,
    },
    /// A piece of a long body does not continue the one before it.
    #[error(
        "a piece of {length} bytes has {left} bytes of its message left, and {expected} are missing: run the same release on both ends"
    )]
    Piece {
        /// Length of the piece, in bytes.
        length: usize,
        /// Bytes of the message from this piece on, as its head says.
        left: usize,
        /// Bytes that the message still lacks; of its first piece, the most that a message may have.
        expected: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Length of the body or piece that follows, in bytes.
    pub(crate) length: usize,
    checksum: u32,
    /// Of a piece: bytes of the whole body from this piece on.
    pub(crate) left: Option<usize>,
    /// Of a body or piece with an open end: how many bytes at its front the checksum covers.
    covered: Option<usize>,
}

impl Head {
    /// The head at the front of these bytes; `None` if it is not yet complete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Head> {
        let [a, b, c, d, e, f, g, h] = *bytes.first_chunk()?;
        let (length, checksum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (is_piece, is_open) = (length & PIECE != 0, length & OPEN != 0);
        let more = match is_piece || is_open {
            false => 0,
            true => u32::from_le_bytes(*bytes[HEAD_BYTES..].first_chunk()?) as usize,
        };
        Some(Head {
            length: (length & !PIECE & !OPEN) as usize,
            checksum,
            left: is_piece.then_some(more),
            covered: is_open.then_some(if is_piece { 0 } else { more }),
        })
    }

    /// Length of the head itself, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        if self.left.or(self.covered).is_some() { LONG_HEAD_BYTES } else { HEAD_BYTES }
    }

    /// Fails unless the covered front of `body` has the sender's checksum.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), FrameError> {
        debug_assert_eq!(body.len(), self.length);
        let mut checksum = Hasher::new();
        let marks = self.left.map_or(0, |_| PIECE) | self.covered.map_or(0, |_| OPEN);
        checksum.update(&(body.len() as u32 | marks).to_le_bytes());
        if let Some(more) = self.left.or(self.covered) {
            checksum.update(&(more as u32).to_le_bytes());
        }
        checksum.update(&body[..self.covered.unwrap_or(body.len()).min(body.len())]);
        match checksum.finalize() {
            found if found == self.checksum => Ok(()),
            found => Err(FrameError::Checksum { expected: self.checksum, found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(frame: &Frame) -> Vec<u8> {
        frame.slices().collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_layout_is_length_checksum_body() {
        let wire = wire(&Frame::from(Bytes::from_static(b"abc")));
        assert_eq!(wire[..4], [3, 0, 0, 0]);
        assert_eq!(wire[4..8], crc32fast::hash(b"\x03\0\0\0abc").to_le_bytes());
        assert_eq!(wire[8..], *b"abc");
    }

    #[test]
    fn how_a_body_is_split_into_parts_does_not_show_on_the_wire() {
        let parts = ["on", "", "e me", "ssage"].map(Bytes::from);
        let frame = Frame::from_parts(parts);
        assert_eq!(frame.wire_len(), HEAD_BYTES + 11);
        assert_eq!(wire(&frame), wire(&Frame::from(Bytes::from_static(b"one message"))));
    }

    #[test]
    fn a_frame_of_zeros_is_not_valid() {
        assert!(Head::parse(&[0; HEAD_BYTES]).unwrap().check(&[]).is_err());
    }

    #[test]
    fn a_long_body_is_cut_into_pieces_that_say_what_is_left() {
        let parts = ["on", "", "e me", "ssage"].map(Bytes::from);
        let frame = Frame::seal(Arc::new(parts), usize::MAX, Cut { whole: 10, piece: 4 });
        let wire = wire(&frame);
        assert_eq!(wire.len(), frame.wire_len());
        let piece = |length: u8, left: u8, text: &str| {
            let summed = [&[length, 0, 0, 0x80, left, 0, 0, 0], text.as_bytes()].concat();
            let (length, left) = summed[..8].split_at(4);
            [length, &crc32fast::hash(&summed).to_le_bytes(), left, text.as_bytes()].concat()
        };
        assert_eq!(wire, [piece(4, 11, "one "), piece(4, 7, "mess"), piece(3, 3, "age")].concat());

        let must_follow = [0, 1, 15, 16, 17, 32, 33, 46].map(|written| frame.must_follow(written));
        assert_eq!(must_follow, [0, 15, 1, 0, 15, 0, 14, 1]);
        assert!(!frame.urgent().is_urgent(), "two long bodies never mix");
    }

    #[test]
    fn an_open_end_is_not_summed_and_the_head_says_where_it_begins() {
        let parts = || ["cov", "ered|", "open"].map(Bytes::from);
        let frame = Frame::with_open_end(parts(), 8);
        let wire = wire(&frame);
        assert_eq!((wire.len(), frame.has_open_end()), (frame.wire_len(), true));
        let head = [12, 0, 0, 0x40, 8, 0, 0, 0];
        let summed = crc32fast::hash(&[&head, &b"covered|"[..]].concat());
        assert_eq!(wire, [&head[..4], &summed.to_le_bytes(), &head[4..], b"covered|open"].concat());

        let head = Head::parse(&wire).unwrap();
        assert_eq!((head.length, head.bytes(), head.left), (12, LONG_HEAD_BYTES, None));
        head.check(b"covered|else").unwrap();
        assert!(head.check(b"Covered|open").is_err());

        let whole = Frame::with_open_end(parts(), 12);
        assert_eq!((whole.wire_len(), whole.has_open_end()), (HEAD_BYTES + 12, false));
    }

    #[test]
    fn pieces_within_an_open_end_are_not_summed() {
        let frame = |end: &'static str| {
            let parts = [Bytes::from_static(b"covered"), Bytes::from_static(end.as_bytes())];
            Frame::seal(Arc::new(parts), 7, Cut { whole: 10, piece: 4 })
        };
        let (one, other) = (wire(&frame("|an end")), wire(&frame("|ANeND")));
        let heads = |wire: &[u8]| [0, 16, 32].map(|at| wire[at..at + 12].to_vec());
        let (one, other) = (heads(&one), heads(&other));
        assert_eq!(one.each_ref().map(|head| head[3]), [0x80, 0x80, 0xc0]);
        assert_eq!((&one[0][..4], &one[2][..4]), (&other[0][..4], &[4, 0, 0, 0xc0][..]));
        let head = Head::parse(&one[2]).unwrap();
        assert_eq!((head.length, head.left), (4, Some(6)));
        head.check(b"what").unwrap();
    }

    #[test]
    fn a_clone_shares_the_parts() {
        let frame = Frame::from(Bytes::from(vec![7; 100]));
        assert!(Arc::ptr_eq(&frame.parts, &frame.clone().parts));
    }
}
