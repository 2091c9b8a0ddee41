//! Bytes received from one client and not yet consumed.

/// The smallest buffer for a connection's leftover bytes.
const SMALLEST_BUFFER_BYTES: usize = 1 << 10;

/// Room that is worth a read of its own.
const ROOM_BYTES: usize = 64 << 10;

/// A buffer that is this many times larger than needed is replaced by a fitting one.
const SHRINKING: usize = 4;

/// A buffer gets room for so many times what has come, if the client has announced as much. That is addresses, not memory,
/// until the client sends it; but some systems promise no more addresses than they have memory.
const ANNOUNCED: usize = 4;

/// A window of one client's byte stream. Parsers look at [`bytes`](Input::bytes) and consume from the front,
/// without copying.
///
/// While a thread serves a connection whose window is empty, it [lends](Input::lend) it the thread's own
/// large buffer. So a connection that has not received half a request owns no buffer at all.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The window is `start..end`. What the capacity has beyond is initialized as it is needed: half of a large buffer would
    /// otherwise be written twice, or never used.
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of the stream was consumed before the window.
    offset: u64,
    /// How long the window will be at least, as far as is known.
    expected: usize,
}

impl Input {
    /// The window.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The place of the window's byte `at` in the stream.
    pub(crate) fn position(&self, at: usize) -> u64 {
        self.offset + at as u64
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.len(), "only received bytes can be consumed");
        self.start += bytes;
        self.offset += bytes as u64;
        self.expected = 0;
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
        }
    }

    /// The client has announced that the window will be so long, at least: a buffer that has room for that need not grow again.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
    }

    /// How large a buffer has to be, if nothing is said of more: at least so large, and for what the client has announced.
    fn fitting(&self, least: usize) -> usize {
        let announced = self.expected.min(ANNOUNCED * self.len());
        // The allocator rounds up what is large.
        let least = if least < ROOM_BYTES { least.next_power_of_two() } else { least };
        least.max(SMALLEST_BUFFER_BYTES).max(announced)
    }

    /// Room for more behind the window: `most` bytes, or fewer. However far a client is read ahead, a byte is moved a
    /// bounded number of times.
    pub(crate) fn space(&mut self, most: usize) -> &mut [u8] {
        let room = self.data.capacity() - self.end;
        let missing = self.expected.saturating_sub(self.len());
        let enough = if missing > 0 { missing.min(ROOM_BYTES) } else { ROOM_BYTES };
        if room == 0 || room < enough.min(self.data.capacity() / 2) {
            self.make_room();
        }
        let until = self.data.capacity().min(self.end.saturating_add(most));
        if self.data.len() < until {
            self.data.resize(until, 0);
        }
        &mut self.data[self.end..until]
    }

    /// Makes the buffer at least twice as large as the window, and moves the window to its front. No more is moved than was
    /// consumed or received since the last time.
    fn make_room(&mut self) {
        let window = self.len();
        let fitting = self.fitting(2 * window);
        let is_roomy = self.start >= window && self.data.capacity() >= fitting;
        if self.start == 0 {
            // A large allocation grows by moving pages, not bytes.
            self.data.reserve_exact(fitting - self.data.len());
        } else if is_roomy && self.data.capacity() <= SHRINKING * fitting.max(ROOM_BYTES) {
            self.data.copy_within(self.start..self.end, 0);
        } else {
            let mut data = Vec::with_capacity(if is_roomy { fitting.max(2 * ROOM_BYTES) } else { fitting });
            data.extend_from_slice(self.bytes());
            self.data = data;
        }
        self.start = 0;
        self.end = window;
    }

    /// Adds the first `bytes` of [`space`](Input::space) to the window.
    pub(crate) fn filled(&mut self, bytes: usize) {
        assert!(bytes <= self.data.len() - self.end, "a read cannot fill more than the space it was given");
        self.end += bytes;
    }

    /// Uses `buffer`, whose bytes are garbage, if this input's own buffer holds nothing.
    /// [`give_back`](Input::give_back) undoes this.
    pub(crate) fn lend(&mut self, buffer: &mut Vec<u8>) -> bool {
        let lend = self.is_empty();
        if lend {
            self.data = std::mem::take(buffer);
        }
        lend
    }

    /// Returns the lent buffer. What is left in the window moves to a fitting buffer of its own.
    pub(crate) fn give_back(&mut self, buffer: &mut Vec<u8>) {
        let mut own = Vec::new();
        if !self.is_empty() {
            own.reserve_exact(self.fitting(self.len()));
            own.extend_from_slice(self.bytes());
        }
        self.end -= self.start;
        self.start = 0;
        *buffer = std::mem::replace(&mut self.data, own);
    }

    /// Frees the buffer if it holds nothing.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.data = Vec::new();
        }
    }
}

#[cfg(test)]
impl Input {
    pub(crate) fn capacity(&self) -> usize {
        self.data.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTION: usize = 128 << 10;

    fn receive(input: &mut Input, bytes: &[u8]) {
        for chunk in bytes.chunks(7) {
            let space = input.space(chunk.len());
            space[..chunk.len()].copy_from_slice(chunk);
            input.filled(chunk.len());
        }
    }

    #[test]
    fn a_lent_buffer_goes_back_and_the_rest_stays() {
        let mut buffer = vec![0xEE; 100];
        let lent = buffer.as_ptr();
        let mut input = Input::default();
        assert!(input.lend(&mut buffer));
        receive(&mut input, b"consumed, left");
        assert_eq!(input.bytes().as_ptr(), lent);
        input.consume(10);
        input.give_back(&mut buffer);
        assert_eq!((buffer.as_ptr(), buffer.len()), (lent, 100));
        assert_eq!(input.bytes(), b"left");
        assert_eq!(input.position(0), 10);
        assert!(!input.lend(&mut buffer), "an input with leftovers uses its own buffer");
    }

    #[test]
    fn it_grows_with_what_comes_and_is_freed_when_empty() {
        let mut input = Input::default();
        let sent: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        receive(&mut input, &sent);
        assert_eq!(input.bytes(), sent);
        assert!(input.capacity() < 4 * sent.len());
        input.consume(99_999);
        receive(&mut input, b"more");
        assert_eq!(input.bytes()[1..], *b"more");
        input.consume(5);
        input.release();
        assert_eq!(input.capacity(), 0);
        assert_eq!(input.position(0), 100_004);
    }

    #[test]
    fn a_large_buffer_is_written_only_as_far_as_it_is_needed() {
        let mut input = Input::default();
        let portion = [7; 100 << 10];
        for n in 1..50 {
            let space = input.space(portion.len());
            let count = space.len();
            space.copy_from_slice(&portion[..count]);
            input.filled(count);
            assert!(input.data.len() <= input.len().max(SMALLEST_BUFFER_BYTES), "after {n} portions");
        }
        assert!(input.len() > 4 << 20 && input.bytes().iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_announced_is_moved_once() {
        let mut input = Input::default();
        let mut buffer = vec![7; PORTION];
        assert!(input.lend(&mut buffer));
        let count = input.space(usize::MAX).len();
        input.filled(count);
        input.expect(ANNOUNCED * PORTION);
        input.give_back(&mut buffer);
        let first = input.bytes().as_ptr();
        while input.len() < ANNOUNCED * PORTION {
            let count = input.space(10_000).len();
            input.filled(count);
        }
        assert_eq!(input.bytes().as_ptr(), first);
        assert!(input.capacity() < 2 * input.len(), "what has not come counts little");
    }
}
