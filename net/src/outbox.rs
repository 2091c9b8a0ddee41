//! Frames that wait to be written to one connection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use crate::frame::Frame;

/// Capacity, in frames, that an empty queue keeps. It has more after the other end has not read for a while.
const SPARE_PLACES: usize = 256;

/// Bytes of urgent frames that may wait: hundreds of heartbeats.
const URGENT_BYTES: usize = 64 << 10;

/// Two bounded queues of whole frames. Urgent ones are written first, but no frame or piece of a frame is
/// interrupted by another one.
#[derive(Debug)]
pub(crate) struct Outbox {
    urgent: Line,
    bulk: Line,
    /// The most bytes of frames that are not urgent.
    limit: usize,
}

/// A queue of frames, and how far the first of them has been written.
#[derive(Debug, Default)]
struct Line {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that have been written; always less than its length.
    written: usize,
    /// Bytes that have yet to be written.
    bytes: usize,
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
    /// An empty queue for up to `limit` bytes, and some more of urgent frames.
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox { urgent: Line::default(), bulk: Line::default(), limit }
    }

    /// Queues the frame, or returns `false` and leaves the queue as it is. An empty queue takes any frame:
    /// one that exceeds the limit could never be sent otherwise. How much else waits does not matter to an
    /// urgent frame.
    pub(crate) fn push(&mut self, frame: Frame) -> bool {
        let (line, limit) = match frame.is_urgent() {
            true => (&mut self.urgent, URGENT_BYTES),
            false => (&mut self.bulk, self.limit),
        };
        let fits = line.frames.is_empty() || line.bytes + frame.wire_len() <= limit;
        if fits {
            line.bytes += frame.wire_len();
            line.frames.push_back(frame);
        }
        fits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Bytes that have yet to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.urgent.bytes + self.bulk.bytes
    }

    /// Frames that have yet to be written, at least in part.
    pub(crate) fn frames(&self) -> usize {
        self.urgent.frames.len() + self.bulk.frames.len()
    }

    /// Points `slices` at the next bytes to write, in order, as many as there are slices for. Nothing is
    /// copied: each slice is the memory of a head or a part.
    pub(crate) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> Gathered {
        let begun = self.bulk.must_follow();
        assert!(begun == 0 || self.urgent.written == 0, "two frames are begun at once");
        let mut gathered = Gathered { slices: 0, bytes: 0 };
        self.bulk.gather(0..begun, slices, &mut gathered);
        self.urgent.gather(0..usize::MAX, slices, &mut gathered);
        self.bulk.gather(begun..usize::MAX, slices, &mut gathered);
        gathered
    }

    /// Removes `count` written bytes, and drops the frames that are complete. Returns their number.
    pub(crate) fn advance(&mut self, count: usize) -> usize {
        assert!(count <= self.bytes(), "more was written than was queued");
        let before = self.frames();
        let begun = count.min(self.bulk.must_follow());
        let urgent = (count - begun).min(self.urgent.bytes);
        self.bulk.advance(begun);
        self.urgent.advance(urgent);
        self.bulk.advance(count - begun - urgent);
        before - self.frames()
    }
}

impl Line {
    /// Bytes of the first frame that must follow those already written before any other frame.
    fn must_follow(&self) -> usize {
        self.frames.front().map_or(0, |first| first.must_follow(self.written))
    }

    /// Points the free slices at bytes to write, from `range.start` to `range.end`, if so many wait.
    fn gather<'a>(&'a self, range: Range<usize>, slices: &mut [IoSlice<'a>], gathered: &mut Gathered) {
        let mut skip = self.written + range.start;
        let mut most = range.end - range.start;
        for part in self.frames.iter().flat_map(Frame::slices) {
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            let Some(slice) = slices.get_mut(gathered.slices).filter(|_| most > 0) else { break };
            let bytes = (part.len() - skip).min(most);
            *slice = IoSlice::new(&part[skip..skip + bytes]);
            gathered.slices += 1;
            gathered.bytes += bytes;
            (most, skip) = (most - bytes, 0);
        }
    }

    fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        while let Some(first) = self.frames.front()
            && self.written >= first.wire_len()
        {
            self.written -= first.wire_len();
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.frames.shrink_to(SPARE_PLACES);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Cut, HEAD_BYTES};

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
        assert!(
            outbox.bulk.frames.capacity() <= 2 * SPARE_PLACES,
            "room for {} frames",
            outbox.bulk.frames.capacity()
        );
    }

    #[test]
    fn urgent_frames_are_taken_however_much_else_waits_up_to_their_own_bound() {
        let mut outbox = Outbox::new(100);
        assert!(outbox.push(frame(1 << 20)));
        let taken = (0..10_000).take_while(|_| outbox.push(frame(92).urgent())).count();
        assert_eq!(taken, URGENT_BYTES / 100);
        assert!(!outbox.push(frame(1)));
    }

    #[test]
    fn an_urgent_frame_waits_for_one_piece_of_a_long_one() {
        let cut = Cut { whole: 100, piece: 64 };
        let mut outbox = Outbox::new(1 << 20);
        outbox.push(Frame::seal([Bytes::from(vec![1; 640])].into(), usize::MAX, cut));
        outbox.push(frame(5));
        outbox.advance(10);
        outbox.push(Frame::from(Bytes::from_static(b"urgent")).urgent());
        let mut slices = [IoSlice::new(&[]); 40];
        let Gathered { slices: count, bytes } = outbox.gather(&mut slices);
        assert_eq!(bytes, outbox.bytes());
        let lengths: Vec<_> = slices[..count].iter().map(|slice| slice.len()).collect();
        assert_eq!(lengths[..7], [2, 64, HEAD_BYTES, 6, 12, 64, 12]);
        assert_eq!(outbox.advance(66 + HEAD_BYTES + 6), 1);
        assert_eq!(outbox.advance(640 + 120 - 76), 1, "the long frame is complete");
    }

    proptest! {
        /// Frames arrive while others are written in part: each arrives whole, in the order of its kind.
        #[test]
        fn urgent_frames_interrupt_no_piece(
            arrivals in prop::collection::vec((any::<bool>(), 1usize..300), 1..20),
            steps in prop::collection::vec(1usize..200, 1..5),
        ) {
            let cut = Cut { whole: 100, piece: 40 };
            let mut outbox = Outbox::new(usize::MAX);
            let (mut written, mut steps) = (Vec::new(), steps.into_iter().cycle());
            let (mut urgent, mut bulk) = (Vec::new(), Vec::new());
            let mut arrivals = arrivals.into_iter().zip(0u8..);
            loop {
                let arrival = arrivals.next();
                if let Some(((is_urgent, length), number)) = arrival {
                    let frame = Frame::seal([Bytes::from(vec![number; length])].into(), usize::MAX, cut);
                    let frame = if is_urgent { frame.urgent() } else { frame };
                    let order = if frame.is_urgent() { &mut urgent } else { &mut bulk };
                    order.push(vec![number; length]);
                    outbox.push(frame);
                }
                let mut slices = [IoSlice::new(&[]); 5];
                let gathered = outbox.gather(&mut slices);
                if gathered.bytes == 0 && arrival.is_none() {
                    break;
                }
                let bytes: Vec<u8> = slices[..gathered.slices].iter().flat_map(|slice| slice.to_vec()).collect();
                let count = steps.next().unwrap().min(bytes.len());
                written.extend_from_slice(&bytes[..count]);
                outbox.advance(count);
            }
            let mut reader = crate::FrameReader::new(1 << 16, 1 << 16);
            let mut found = Vec::new();
            let mut rest = &written[..];
            while !rest.is_empty() {
                let room = reader.room();
                let (chunk, later) = rest.split_at(room.len().min(rest.len()));
                room[..chunk.len()].copy_from_slice(chunk);
                reader.advance(chunk.len());
                rest = later;
                while let Some(body) = reader.next_body().unwrap() {
                    found.push(body.to_vec());
                }
            }
            let of = |all: &[Vec<u8>]| found.iter().filter(|body| all.contains(body)).cloned().collect::<Vec<_>>();
            prop_assert_eq!((of(&urgent), of(&bulk)), (urgent.clone(), bulk.clone()));
            prop_assert_eq!(found.len(), urgent.len() + bulk.len());
        }

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
