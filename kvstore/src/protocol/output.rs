//! Replies that wait to be sent to one client.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::Value;

/// A value of at least this size is sent from where it lies. Below, copying is cheaper than one more buffer
/// to gather.
const SHARED_BYTES: usize = 4 << 10;

/// The same for a reply that is already long, so that a request for a million values does not copy gigabytes.
const SHARED_BYTES_IN_LONG_REPLIES: usize = 256;
const LONG_REPLY_BYTES: usize = 1 << 20;

/// Room that the first of some replies makes for the others: those of a short pipeline.
const FIRST_ROOM_BYTES: usize = 256;

/// Encoded replies in order, gathered into one `writev`.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// What is complete. Of the first chunk, `sent` bytes are already sent.
    chunks: VecDeque<Bytes>,
    sent: usize,
    chunk_bytes: usize,
    tail: Vec<u8>,
}

impl Output {
    /// Where short texts are appended.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        if self.tail.capacity() == 0 {
            self.tail.reserve(FIRST_ROOM_BYTES);
        }
        &mut self.tail
    }

    /// Appends a value. A large one is not copied.
    pub(crate) fn value<'v>(&mut self, value: impl Into<Value<'v>>) {
        let value = value.into();
        let long = self.len() >= LONG_REPLY_BYTES;
        if value.len() < if long { SHARED_BYTES_IN_LONG_REPLIES } else { SHARED_BYTES } {
            self.text().extend_from_slice(&value);
        } else {
            self.seal();
            self.push(value.to_bytes());
        }
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `slices` with what waits, from the front, up to so many bytes, and returns how many it has filled.
    pub(crate) fn gather<'a>(&'a mut self, slices: &mut [IoSlice<'a>], most: usize) -> usize {
        self.seal();
        let (mut skip, mut left) = (self.sent, most);
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            if left == 0 {
                break;
            }
            let part = &chunk[skip..];
            let part = &part[..part.len().min(left)];
            *slice = IoSlice::new(part);
            left -= part.len();
            skip = 0;
            count += 1;
        }
        count
    }

    /// Drops the first `bytes`, which are sent, and frees their memory.
    pub(crate) fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.chunk_bytes, "no more can be sent than was gathered");
        self.chunk_bytes -= bytes;
        self.sent += bytes;
        while let Some(first) = self.chunks.front().filter(|first| first.len() <= self.sent) {
            self.sent -= first.len();
            self.chunks.pop_front();
        }
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.push(tail.into());
        }
    }

    fn push(&mut self, chunk: Bytes) {
        self.chunk_bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Takes everything that waits, as one piece: for callers without a socket.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.seal();
        let mut bytes = Vec::with_capacity(self.chunk_bytes);
        let mut skip = self.sent;
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk[skip..]);
            skip = 0;
        }
        self.advance(self.chunk_bytes);
        bytes
    }
}

#[cfg(test)]
impl Output {
    /// Memory held for replies, other than values of the store.
    pub(crate) fn capacity(&self) -> usize {
        let own = self.chunks.iter().filter(|chunk| chunk.is_unique()).map(Bytes::len).sum::<usize>();
        self.chunks.capacity() * size_of::<Bytes>() + own + self.tail.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_lose_and_repeat_nothing() {
        let large = Bytes::from(vec![b'v'; SHARED_BYTES]);
        let mut output = Output::default();
        output.text().extend_from_slice(b"head ");
        output.value(&large);
        output.value(&Bytes::from_static(b" small"));
        let whole = [b"head ".as_slice(), &large, b" small"].concat();
        assert_eq!(output.len(), whole.len());
        let mut sent = Vec::new();
        for step in [1usize, 4, 1000, 3096, 2, 100].iter().cycle() {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = output.gather(&mut slices, *step);
            let gathered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter()).copied().collect();
            assert!(gathered.len() <= *step);
            output.advance(gathered.len());
            sent.extend(gathered);
            if output.is_empty() {
                break;
            }
        }
        assert_eq!(sent, whole);
        assert_eq!(output.capacity(), 0, "an idle connection keeps no buffer");
    }

    #[test]
    fn a_long_reply_does_not_copy_its_values() {
        let value = Bytes::from(vec![b'v'; SHARED_BYTES_IN_LONG_REPLIES]);
        let mut output = Output::default();
        for _ in 0..100_000 {
            output.value(&value);
        }
        assert_eq!(output.len(), 100_000 * value.len());
        assert!(output.capacity() < output.len() / 2);
    }

    #[test]
    fn a_large_value_is_not_copied() {
        let large = Bytes::from(vec![b'v'; SHARED_BYTES]);
        let mut output = Output::default();
        output.value(&large);
        let mut slices = [IoSlice::new(&[]); 1];
        assert_eq!(output.gather(&mut slices, usize::MAX), 1);
        assert_eq!(slices[0].as_ptr(), large.as_ptr());
    }
}
