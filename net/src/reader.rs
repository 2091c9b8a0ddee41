//! The receiving half of the frame codec: takes bytes as they arrive, returns bodies, and copies nothing in
//! between.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::frame::{CUT, FrameError, HEAD_BYTES, Head, LONG_HEAD_BYTES};
use crate::recycled::Recycled;

/// Cuts a stream of bytes into frames.
///
/// It does not read by itself. The owner of the socket asks for [`room`](FrameReader::room), reads into it,
/// reports the number of bytes with [`advance`](FrameReader::advance), and takes bodies with
/// [`next_body`](FrameReader::next_body) until there are none. So one read call fills many frames.
///
/// A body is a slice of the read buffer, which lives as long as any slice of it: copy a short body to keep it
/// for long. When all slices are dropped the buffer is reused; a few buffers take turns. A body that takes much of
/// the buffer, and is not there as a whole, is read to memory of its own, which is used again after it. New memory is
/// touched only as bytes arrive, so a length that was only claimed costs nothing. The pieces of a long body are read to
/// where they belong in it, one body at a time.
///
/// ```
/// use niagara_net::FrameReader;
///
/// // A body of two bytes, "hi", as it is on the wire, arriving in two pieces.
/// let wire = [2, 0, 0, 0, 0xfb, 0x38, 0x40, 0x65, b'h', b'i'];
/// let mut reader = FrameReader::new(4096, 1 << 20);
/// for piece in wire.chunks(7) {
///     assert_eq!(reader.next_body(), Ok(None));
///     reader.room()[..piece.len()].copy_from_slice(piece);
///     reader.advance(piece.len());
/// }
/// assert_eq!(reader.next_body().unwrap().unwrap(), "hi");
/// ```
#[derive(Debug)]
pub struct FrameReader {
    /// The first `filled` bytes were received and are not yet returned, the rest is room. More of it is
    /// touched as needed, up to the capacity.
    buffer: BytesMut,
    filled: usize,
    /// Earlier buffers, oldest first, whose bodies may still be in use.
    spent: VecDeque<BytesMut>,
    long: Option<Arriving>,
    /// The body whose pieces are arriving, as far as they have. While one of them is in `long`, so is the
    /// body.
    cut: Option<OwnBody>,
    recycled: Recycled,
    /// So many frames ago at most, the last body with memory of its own came.
    long_lately: u8,
    /// Bytes of valid frames and pieces, heads included, that are not yet counted.
    uncounted: usize,
    buffer_bytes: usize,
    max_frame_bytes: usize,
}

/// Size of a read call if nothing is known of the next bytes: hundreds of small messages.
const READ_BYTES: usize = 128 << 10;

/// How many earlier buffers are kept for reuse. Bodies live as long as a log keeps its recent part in memory,
/// and reused memory is still in the processor's caches: new memory took a fifth of a group thread's time.
const MOST_SPENT: usize = 8;

/// Between two pieces, and where bodies have memory of their own, this much is read at once: a head, and what usually
/// passes. What is read of the next body has to be moved.
const BETWEEN: usize = 256;

/// Behind a body with memory of its own, so many frames count as between two of them.
const LATELY: u8 = 16;

/// A body with memory of its own.
#[derive(Debug)]
struct OwnBody {
    /// Initialized as far as it goes, which may be further than what has arrived.
    memory: Vec<u8>,
    received: usize,
    length: usize,
}

/// A frame or piece that is being read to where it belongs in its body.
#[derive(Debug)]
struct Arriving {
    head: Head,
    body: OwnBody,
    begin: usize,
}

impl FrameReader {
    /// A reader with a buffer of `buffer_bytes` (at least the 12 bytes of a long head) that accepts bodies of up to
    /// `max_frame_bytes`. A small buffer takes more read calls, and bodies pin a large one longer; 64 to 256
    /// KiB is a good compromise.
    pub fn new(buffer_bytes: usize, max_frame_bytes: usize) -> FrameReader {
        assert!(buffer_bytes >= LONG_HEAD_BYTES, "the read buffer must hold a long head");
        let mut reader = FrameReader {
            buffer: BytesMut::new(),
            filled: 0,
            spent: VecDeque::new(),
            long: None,
            cut: None,
            recycled: Recycled::new(0),
            long_lately: 0,
            uncounted: 0,
            buffer_bytes,
            max_frame_bytes,
        };
        reader.recycled = reader.recycled_memory();
        reader.renew();
        reader
    }

    /// Changes the sizes. Bytes that were received already stay: they start the next frame.
    #[doc(hidden)]
    pub fn resize(&mut self, buffer_bytes: usize, max_frame_bytes: usize) {
        assert!(
            buffer_bytes >= self.buffer_bytes && max_frame_bytes >= self.max_frame_bytes,
            "limits only grow"
        );
        self.buffer_bytes = buffer_bytes;
        self.max_frame_bytes = max_frame_bytes;
        self.recycled = self.recycled_memory();
        self.renew();
        self.spent.clear();
    }

    /// For bodies that are not longer than the buffer.
    fn recycled_memory(&self) -> Recycled {
        Recycled::new(self.buffer_bytes + LONG_HEAD_BYTES)
    }

    /// Where the next bytes of the stream belong. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.long.is_none() && !self.has_room() {
            self.renew();
        }
        let (buffer_bytes, filled, end) = (self.buffer_bytes, self.filled, self.read_up_to());
        let room = match &mut self.long {
            Some(long) => long.room(buffer_bytes),
            None => {
                if self.buffer.len() < end {
                    self.buffer.resize(end, 0);
                }
                &mut self.buffer[filled..end]
            }
        };
        assert!(!room.is_empty(), "a reader always has room for the frame that it waits for");
        room
    }

    /// Whether the rest of the buffer can take the frame at its front. If nothing is known of that frame, a
    /// quarter of the buffer must be free, so that read calls stay large.
    fn has_room(&self) -> bool {
        match self.head() {
            Some(head) => self.buffer.capacity() >= head.bytes() + head.length,
            None => self.buffer.capacity() - self.filled >= self.buffer_bytes.div_ceil(4).max(HEAD_BYTES),
        }
    }

    /// The offset in the buffer that the next read call should not exceed.
    fn read_up_to(&self) -> usize {
        match self.head() {
            None if self.cut.is_some() || self.long_lately > 0 => {
                self.buffer.capacity().min(self.filled + BETWEEN)
            }
            _ => self.buffer.capacity().min(self.filled + READ_BYTES),
        }
    }

    /// Reports that the first `count` bytes of [`room`](FrameReader::room) have been filled.
    ///
    /// # Panics
    ///
    /// If `count` exceeds the room.
    pub fn advance(&mut self, count: usize) {
        let (received, room_end) = match &mut self.long {
            Some(long) => {
                let end = long.room_end();
                (&mut long.body.received, end)
            }
            None => (&mut self.filled, self.buffer.len()),
        };
        *received += count;
        assert!(*received <= room_end, "advanced past the room that was given");
    }

    /// The next complete body, or `None` if it needs more bytes.
    ///
    /// # Errors
    ///
    /// If the stream is damaged or a frame exceeds the limit. No frame can follow: close the connection.
    pub fn next_body(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(Arriving { head, mut body, begin }) = self.long.take_if(|long| long.is_complete()) {
                let end = begin + head.length;
                self.unread(&body.memory[end..body.received]);
                body.received = end;
                head.check(&body.memory[begin..end])?;
                self.uncounted += head.bytes() + head.length;
                match self.complete(head, body) {
                    Some(body) => return Ok(Some(body)),
                    None => continue,
                }
            }
            let Some(head) = self.head() else { return Ok(None) };
            self.admit(&head)?;
            let wire_len = head.bytes() + head.length;
            if self.filled < wire_len {
                self.begin_long(head);
                return Ok(None);
            }
            let mut frame = self.buffer.split_to(wire_len);
            self.filled -= wire_len;
            frame.advance(head.bytes());
            head.check(&frame)?;
            self.uncounted += wire_len;
            self.long_lately = self.long_lately.saturating_sub(1);
            if head.left.is_none() {
                return Ok(Some(frame.freeze()));
            }
            let mut body = self.own_body(&head);
            body.put(&frame);
            if let Some(body) = self.complete(head, body) {
                return Ok(Some(body));
            }
        }
    }

    /// Bytes of the valid frames and pieces since the last call, heads included.
    pub(crate) fn count(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted) as u64
    }

    /// Fails if no correct sender sends this head now.
    fn admit(&self, head: &Head) -> Result<(), FrameError> {
        let limit = self.max_frame_bytes;
        let Some(left) = head.left else {
            let fits = head.length <= limit;
            return if fits { Ok(()) } else { Err(FrameError::TooLong { length: head.length, limit }) };
        };
        let missing = self.cut.as_ref().map(|cut| cut.length - cut.received);
        if missing.is_none() && left > limit {
            return Err(FrameError::TooLong { length: left, limit });
        }
        let continues = missing.is_none_or(|missing| left == missing);
        if continues && (1..=CUT.piece.min(left)).contains(&head.length) {
            return Ok(());
        }
        Err(FrameError::Piece { length: head.length, left, expected: missing.unwrap_or(limit) })
    }

    /// Prepares for the rest of an incomplete frame, if that does not belong into the buffer.
    fn begin_long(&mut self, head: Head) {
        let is_short = head.length < self.buffer_bytes / 8;
        if head.left.is_none() && is_short && head.bytes() + head.length <= self.buffer_bytes {
            return;
        }
        let mut body = self.own_body(&head);
        let begin = body.received;
        body.put(&self.buffer[head.bytes()..self.filled]);
        self.long = Some(Arriving { head, body, begin });
        self.long_lately = LATELY;
        self.buffer.advance(self.filled);
        self.filled = 0;
    }

    /// The earlier pieces of the body to which this frame belongs, or memory for a new one. All of it is reserved at
    /// once, so that nothing has to move as it grows; untouched memory costs nothing.
    fn own_body(&mut self, head: &Head) -> OwnBody {
        let begun = if head.left.is_some() { self.cut.take() } else { None };
        begun.unwrap_or_else(|| {
            let length = head.left.unwrap_or(head.length);
            OwnBody { memory: self.recycled.take(length + LONG_HEAD_BYTES), received: 0, length }
        })
    }

    /// The body that ends with this frame, unless more pieces follow.
    fn complete(&mut self, head: Head, body: OwnBody) -> Option<Bytes> {
        if head.left.is_some_and(|left| left > head.length) {
            self.cut = Some(body);
            return None;
        }
        Some(self.recycled.lend(body.memory, body.length))
    }

    /// Starts the buffer, which is empty, with these bytes.
    fn unread(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.buffer.capacity() < bytes.len() {
            self.renew();
        }
        self.filled = bytes.len();
        if self.buffer.len() < self.filled {
            self.buffer.resize(self.filled, 0);
        }
        self.buffer[..self.filled].copy_from_slice(bytes);
    }

    /// The head at the front of the buffer, if it has arrived and no long body must be filled first.
    fn head(&self) -> Option<Head> {
        match &self.long {
            None => Head::parse(&self.buffer[..self.filled]),
            Some(_) => None,
        }
    }

    /// Starts a whole buffer, with the incomplete frame moved to its front. It reuses the same memory, or
    /// that of an earlier buffer, if all bodies in it have been dropped. Otherwise the memory is new, and the
    /// old one belongs to its bodies.
    fn renew(&mut self) {
        self.buffer.truncate(self.filled);
        // Bodies tend to be powers of two, like the buffer: the extra room is for their heads.
        let capacity = self.buffer_bytes + self.buffer_bytes / 64;
        if self.buffer.try_reclaim(capacity - self.filled) {
            return;
        }
        let free = self.spent.iter_mut().position(|spent| spent.try_reclaim(capacity));
        let again = free.and_then(|free| self.spent.remove(free));
        let mut next = again.unwrap_or_else(|| BytesMut::with_capacity(capacity));
        next.extend_from_slice(&self.buffer);
        let mut spent = std::mem::replace(&mut self.buffer, next);
        spent.clear();
        self.spent.push_back(spent);
        if self.spent.len() > MOST_SPENT {
            self.spent.pop_front();
        }
    }
}

impl OwnBody {
    /// Adds bytes that were read to somewhere else.
    fn put(&mut self, bytes: &[u8]) {
        let initialized = (self.memory.len() - self.received).min(bytes.len());
        let (first, second) = bytes.split_at(initialized);
        self.memory[self.received..][..initialized].copy_from_slice(first);
        self.memory.extend_from_slice(second);
        self.received += bytes.len();
    }
}

impl Arriving {
    fn is_complete(&self) -> bool {
        self.body.received >= self.begin + self.head.length
    }

    /// The head of the next frame may come with the end of this one, which saves a read call.
    fn room_end(&self) -> usize {
        self.body.memory.len().min(self.begin + self.head.length + LONG_HEAD_BYTES)
    }

    /// Touches the next step of the memory when the last one is full.
    fn room(&mut self, step: usize) -> &mut [u8] {
        if self.body.received == self.body.memory.len() {
            let end = self.begin + self.head.length + LONG_HEAD_BYTES;
            self.body.memory.resize((self.body.received + step).min(end), 0);
        }
        let end = self.room_end();
        &mut self.body.memory[self.body.received..end]
    }
}

#[cfg(test)]
mod tests;
