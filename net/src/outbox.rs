//! Frames that wait to be written to one connection.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::frame::Frame;

/// Capacity, in frames, that an empty queue keeps. It has more after the other end has not read for a while.
const SPARE_PLACES: usize = 256;

/// A bounded queue of whole frames, and how far the first of them has been written.
#[derive(Debug)]
pub(crate) struct Outbox {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that have been written; always less than its length.
    written: usize,
    /// Bytes that have yet to be written.
    bytes: usize,
    limit: usize,
}

/// Result of [`Outbox::gather`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Number of slices filled in.
    pub(crate) slices: usize,
    /// Bytes in these slices.
    pub(crate) bytes: usize,
}

impl Outbox {
    /// An empty queue for up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox { frames: VecDeque::new(), written: 0, bytes: 0, limit }
    }

    /// Queues the frame, or returns `false` and leaves the queue as it is. An empty queue takes any frame:
    /// one that exceeds the limit could never be sent otherwise.
    pub(crate) fn push(&mut self, frame: Frame) -> bool {
        let fits = self.is_empty() || self.bytes + frame.wire_len() <= self.limit;
        if fits {
            self.bytes += frame.wire_len();
            self.frames.push_back(frame);
        }
        fits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that have yet to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames that have yet to be written, at least in part.
    pub(crate) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Points `slices` at the next bytes to write, in order, as many as there are slices for. Nothing is
    /// copied: each slice is the memory of a head or a part.
    pub(crate) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> Gathered {
        let mut gathered = Gathered { slices: 0, bytes: 0 };
        let mut skip = self.written;
        for part in self.frames.iter().flat_map(Frame::slices) {
            if skip >= part.len() {
                // Written already, or empty.
                skip -= part.len();
                continue;
            }
            let Some(slice) = slices.get_mut(gathered.slices) else { break };
            *slice = IoSlice::new(&part[skip..]);
            gathered.slices += 1;
            gathered.bytes += part.len() - skip;
            skip = 0;
        }
        gathered
    }

    /// Removes `count` written bytes, and drops the frames that are complete. Returns their number.
    pub(crate) fn advance(&mut self, count: usize) -> usize {
        assert!(count <= self.bytes, "more was written than was queued");
        self.bytes -= count;
        self.written += count;
        let before = self.frames.len();
        while let Some(first) = self.frames.front()
            && self.written >= first.wire_len()
        {
            self.written -= first.wire_len();
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.frames.shrink_to(SPARE_PLACES);
        }
        before - self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::HEAD_BYTES;

    fn frame(bytes: usize) -> Frame {
        Frame::from(Bytes::from(vec![5; bytes]))
    }

    #[test]
    fn what_is_written_is_the_memory_of_the_parts_themselves() {
        let parts = [Bytes::from(vec![1; 10]), Bytes::new(), Bytes::from(vec![2; 5000])];
        let mut outbox = Outbox::new(1 << 20);
        outbox.push(Frame::from_parts(parts.clone()));
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(outbox.gather(&mut slices), Gathered { slices: 3, bytes: HEAD_BYTES + 5010 });
        assert_eq!((slices[1].as_ptr(), slices[1].len()), (parts[0].as_ptr(), 10));
        assert_eq!((slices[2].as_ptr(), slices[2].len()), (parts[2].as_ptr(), 5000));
    }

    #[test]
    fn a_part_that_was_written_in_part_goes_on_where_it_stopped() {
        let part = Bytes::from(vec![1; 100]);
        let mut outbox = Outbox::new(1 << 20);
        outbox.push(Frame::from(part.clone()));
        assert_eq!(outbox.advance(HEAD_BYTES + 60), 0);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(outbox.gather(&mut slices), Gathered { slices: 1, bytes: 40 });
        assert_eq!(slices[0].as_ptr(), part[60..].as_ptr());
    }

    #[test]
    fn a_full_queue_refuses_whole_frames_and_an_empty_one_takes_any() {
        let mut outbox = Outbox::new(100);
        assert!(outbox.push(frame(1000)), "an empty queue takes a frame of any size");
        assert!(!outbox.push(frame(1)));
        assert_eq!(outbox.advance(HEAD_BYTES + 1000), 1);
        assert!(outbox.push(frame(42)) && outbox.push(frame(42)), "exactly the limit");
        assert!(!outbox.push(frame(0)));
        assert_eq!(outbox.frames(), 2);
    }

    #[test]
    fn an_empty_queue_gives_back_what_a_long_one_took() {
        let mut outbox = Outbox::new(usize::MAX);
        (0..10_000).for_each(|_| assert!(outbox.push(frame(2))));
        let bytes = outbox.bytes();
        assert_eq!(bytes, 10_000 * (HEAD_BYTES + 2));
        outbox.advance(bytes);
        assert_eq!(outbox.bytes(), 0);
        assert!(outbox.frames.capacity() <= 2 * SPARE_PLACES, "room for {} frames", outbox.frames.capacity());
    }

    proptest! {
        /// However few slices there are and however little each call writes, the bytes come out once and in
        /// order.
        #[test]
        fn partial_writes_lose_and_repeat_nothing(
            frames in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5), 0..10),
            slots in 1usize..6,
            steps in prop::collection::vec(1usize..30, 1..5),
        ) {
            let mut outbox = Outbox::new(usize::MAX);
            let mut expected = Vec::new();
            for parts in &frames {
                let frame = Frame::from_parts(parts.iter().cloned().map(Bytes::from));
                expected.extend(frame.slices().flatten());
                outbox.push(frame);
            }
            let (mut written, mut completed) = (Vec::new(), 0);
            for step in steps.iter().cycle() {
                let mut slices = vec![IoSlice::new(&[]); slots];
                let gathered = outbox.gather(&mut slices);
                if gathered.bytes == 0 {
                    break;
                }
                let bytes: Vec<u8> = slices[..gathered.slices].iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(bytes.len(), gathered.bytes);
                let count = (*step).min(bytes.len());
                written.extend_from_slice(&bytes[..count]);
                completed += outbox.advance(count);
            }
            prop_assert!(outbox.is_empty());
            prop_assert_eq!((written, completed), (expected, frames.len()));
        }
    }
}
