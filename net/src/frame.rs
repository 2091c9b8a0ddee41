//! Frames: the form of one message on a connection.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | body length, u32 little endian |
//! | 4 | 4 | CRC-32 (IEEE) of the four length bytes and the body, u32 little endian |
//! | 8 | length | body |
//!
//! The checksum covers the length, too: a frame of zeros, which is what a torn or zeroed stream looks like,
//! is never valid. TCP's own 16-bit checksum lets about one in 65,536 damaged segments through, too many for
//! a log that must be the same on every server.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;

/// Length of a frame's head, which precedes the body, in bytes.
pub const HEAD_BYTES: usize = 8;

/// Length of the length field, the part of the head that the checksum covers, in bytes.
const LENGTH_BYTES: usize = 4;

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
    head: [u8; HEAD_BYTES],
    parts: Arc<[Bytes]>,
}

impl Frame {
    /// A frame whose body is the given parts, one after the other.
    ///
    /// # Panics
    ///
    /// If the body is longer than a `u32` can express (4 GiB). Nothing received can be that long.
    pub fn from_parts(parts: impl IntoIterator<Item = Bytes>) -> Frame {
        Frame::seal(parts.into_iter().collect())
    }

    fn seal(parts: Arc<[Bytes]>) -> Frame {
        let length: usize = parts.iter().map(Bytes::len).sum();
        let length = u32::try_from(length).expect("a frame's body must be shorter than 4 GiB");
        let length = length.to_le_bytes();
        let mut checksum = Hasher::new();
        checksum.update(&length);
        parts.iter().for_each(|part| checksum.update(part));

        let mut head = [0; HEAD_BYTES];
        head[..LENGTH_BYTES].copy_from_slice(&length);
        head[LENGTH_BYTES..].copy_from_slice(&checksum.finalize().to_le_bytes());
        Frame { head, parts }
    }

    /// Length of the body, in bytes.
    pub fn len(&self) -> usize {
        Head::parse(self.head).length
    }

    /// The parts of the body, as passed to [`from_parts`](Frame::from_parts).
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Whether the body is empty. Such a frame is valid and arrives as an empty body.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the wire: head and body.
    pub(crate) fn wire_len(&self) -> usize {
        HEAD_BYTES + self.len()
    }

    /// The bytes on the wire, in order: the head, then each part.
    #[doc(hidden)]
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(&self.head[..]).chain(self.parts.iter().map(|part| &part[..]))
    }
}

impl From<Bytes> for Frame {
    fn from(body: Bytes) -> Frame {
        Frame::seal(Arc::new([body]))
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
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Length of the body that follows, in bytes.
    pub(crate) length: usize,
    checksum: u32,
}

impl Head {
    pub(crate) fn parse(head: [u8; HEAD_BYTES]) -> Head {
        let [a, b, c, d, e, f, g, h] = head;
        Head { length: u32::from_le_bytes([a, b, c, d]) as usize, checksum: u32::from_le_bytes([e, f, g, h]) }
    }

    /// Fails unless `body` has the sender's checksum.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), FrameError> {
        debug_assert_eq!(body.len(), self.length);
        let mut checksum = Hasher::new();
        checksum.update(&(body.len() as u32).to_le_bytes());
        checksum.update(body);
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
        assert!(Head::parse([0; HEAD_BYTES]).check(&[]).is_err());
    }

    #[test]
    fn a_clone_shares_the_parts() {
        let frame = Frame::from(Bytes::from(vec![7; 100]));
        assert!(Arc::ptr_eq(&frame.parts, &frame.clone().parts));
    }
}
