//! The receiving half of the frame codec: takes bytes as they arrive, returns bodies, and copies nothing in
//! between.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::frame::{CUT, FrameError, HEAD_BYTES, Head, LONG_HEAD_BYTES};

/// Cuts a stream of bytes into frames.
///
/// It does not read by itself. The owner of the socket asks for [`room`](FrameReader::room), reads into it,
/// reports the number of bytes with [`advance`](FrameReader::advance), and takes bodies with
/// [`next_body`](FrameReader::next_body) until there are none. So one read call fills many frames.
///
/// A body is a slice of the read buffer, which lives as long as any slice of it: copy a short body to keep it
/// for long. When all slices are dropped the buffer is reused; a few buffers take turns. A body longer than
/// the buffer gets its own allocation, whose memory is touched only as bytes arrive, so a length that was
/// only claimed costs nothing. The pieces of a long body are read to where they belong in it, one body at a
/// time.
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
    long: Option<LongBody>,
    /// The body whose pieces are arriving, as far as they have. While one of them is in `long`, so is the
    /// body.
    cut: Option<CutBody>,
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

/// Between two pieces, this much is read at once: a head, and what usually passes.
const BETWEEN_PIECES: usize = 256;

/// A partly received body that does not fit into the read buffer, or piece of a body.
#[derive(Debug)]
struct LongBody {
    head: Head,
    /// Everything before `begin` are earlier pieces.
    bytes: Vec<u8>,
    begin: usize,
    received: usize,
}

/// The pieces of a body that have arrived.
#[derive(Debug)]
struct CutBody {
    bytes: Vec<u8>,
    length: usize,
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
            uncounted: 0,
            buffer_bytes,
            max_frame_bytes,
        };
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
        self.renew();
        self.spent.clear();
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

    /// The offset in the buffer that the next read call should not exceed. In a stream of large frames, each call
    /// takes the rest of one and the next one's head: that tells whether the next one still fits behind it,
    /// and if it does not, none of it has to be moved.
    fn read_up_to(&self) -> usize {
        match self.head() {
            Some(head) if head.length >= self.buffer_bytes / 8 => {
                self.buffer.capacity().min(head.bytes() + head.length + LONG_HEAD_BYTES)
            }
            None if self.cut.is_some() => self.buffer.capacity().min(self.filled + BETWEEN_PIECES),
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
            Some(long) => (&mut long.received, long.bytes.len()),
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
            if let Some(long) = self.long.take_if(|long| long.is_complete()) {
                long.head.check(&long.bytes[long.begin..])?;
                self.uncounted += long.head.bytes() + long.head.length;
                match self.complete(long.head, long.bytes) {
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
            if head.left.is_none() {
                return Ok(Some(frame.freeze()));
            }
            let mut bytes = self.begin_piece(&head);
            bytes.extend_from_slice(&frame);
            if let Some(body) = self.complete(head, bytes) {
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
        let missing = self.cut.as_ref().map(|cut| cut.length - cut.bytes.len());
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
        if head.left.is_none() && head.bytes() + head.length <= self.buffer_bytes {
            return;
        }
        // Reserves all memory at once, so that nothing has to move as it grows; untouched memory costs
        // nothing.
        let mut bytes = match head.left {
            Some(_) => self.begin_piece(&head),
            None => Vec::with_capacity(head.length),
        };
        let begin = bytes.len();
        bytes.extend_from_slice(&self.buffer[head.bytes()..self.filled]);
        self.long = Some(LongBody { head, begin, received: bytes.len(), bytes });
        self.buffer.advance(self.filled);
        self.filled = 0;
    }

    /// The earlier pieces of a body, to which this one is added.
    fn begin_piece(&mut self, head: &Head) -> Vec<u8> {
        let length = head.left.unwrap_or(head.length);
        let cut = self.cut.get_or_insert_with(|| CutBody { bytes: Vec::with_capacity(length), length });
        std::mem::take(&mut cut.bytes)
    }

    /// The body that ends with this frame, unless more pieces follow.
    fn complete(&mut self, head: Head, bytes: Vec<u8>) -> Option<Bytes> {
        match (&mut self.cut, head.left) {
            (Some(cut), Some(left)) if left > head.length => {
                cut.bytes = bytes;
                None
            }
            (_, left) => {
                if left.is_some() {
                    self.cut = None;
                }
                Some(Bytes::from(bytes))
            }
        }
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

impl LongBody {
    fn end(&self) -> usize {
        self.begin + self.head.length
    }

    fn is_complete(&self) -> bool {
        self.received == self.end()
    }

    /// Touches the next step of the memory when the last one is full.
    fn room(&mut self, step: usize) -> &mut [u8] {
        if self.received == self.bytes.len() {
            self.bytes.resize((self.received + step).min(self.end()), 0);
        }
        &mut self.bytes[self.received..]
    }
}

#[cfg(test)]
mod tests;
