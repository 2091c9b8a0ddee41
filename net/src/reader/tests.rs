use proptest::prelude::*;

use super::*;
use crate::Frame;
use crate::frame::{Cut, LONG_HEAD_BYTES};

const BUFFER: usize = 256;
const LIMIT: usize = 2000;

fn wire<'a>(bodies: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let frames = bodies.into_iter().map(|body| Frame::from(Bytes::from(body.clone())));
    frames.flat_map(|frame| frame.slices().collect::<Vec<_>>().concat()).collect()
}

/// Feeds `wire` in pieces of the given lengths, over and over, and returns the bodies up to the first error.
fn read(reader: &mut FrameReader, mut wire: &[u8], pieces: &[usize]) -> (Vec<Bytes>, Option<FrameError>) {
    let mut bodies = Vec::new();
    for piece in pieces.iter().cycle() {
        loop {
            match reader.next_body() {
                Ok(Some(body)) => bodies.push(body),
                Ok(None) => break,
                Err(error) => return (bodies, Some(error)),
            }
        }
        if wire.is_empty() {
            break;
        }
        let room = reader.room();
        let count = (*piece).min(room.len()).min(wire.len());
        room[..count].copy_from_slice(&wire[..count]);
        reader.advance(count);
        wire = &wire[count..];
    }
    (bodies, None)
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let short = prop::collection::vec(any::<u8>(), 0..40);
    let long = prop::collection::vec(any::<u8>(), 0..LIMIT);
    prop::collection::vec(prop_oneof![4 => short, 1 => long], 0..20)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..12, 1usize..400], 1..8)
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_frames(bodies in bodies(), pieces in pieces()) {
        let (found, error) = read(&mut FrameReader::new(BUFFER, LIMIT), &wire(&bodies), &pieces);
        prop_assert_eq!(error, None);
        prop_assert_eq!(found, bodies);
    }

    #[test]
    fn a_truncated_stream_gives_a_prefix_and_no_error(bodies in bodies(), pieces in pieces(), cut in any::<prop::sample::Index>()) {
        let wire = wire(&bodies);
        let cut = cut.index(wire.len() + 1);
        let (found, error) = read(&mut FrameReader::new(BUFFER, LIMIT), &wire[..cut], &pieces);
        prop_assert_eq!(error, None);
        prop_assert!(found.len() <= bodies.len());
        prop_assert_eq!(&found[..], &bodies[..found.len()]);
        prop_assert_eq!(found.len() == bodies.len(), cut == wire.len());
    }

    #[test]
    fn a_flipped_bit_never_yields_a_wrong_body(
        bodies in bodies().prop_filter("something to damage", |bodies| !bodies.is_empty()),
        pieces in pieces(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut wire = wire(&bodies);
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        let (found, _) = read(&mut FrameReader::new(BUFFER, LIMIT), &wire, &pieces);
        prop_assert!(found.len() < bodies.len());
        prop_assert_eq!(&found[..], &bodies[..found.len()]);
    }

    #[test]
    fn random_bytes_never_panic_and_never_yield_a_body(noise in prop::collection::vec(any::<u8>(), 0..4000), pieces in pieces()) {
        let (found, _) = read(&mut FrameReader::new(BUFFER, LIMIT), &noise, &pieces);
        prop_assert!(found.is_empty());
    }
}

proptest! {
    /// What the checksum covers is as it was sent, or does not arrive; the open end arrives as it came.
    #[test]
    fn an_open_end_is_left_to_its_receiver(
        bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..LIMIT), any::<prop::sample::Index>()), 1..8),
        piece in 1usize..600,
        pieces in pieces(),
        at in any::<prop::sample::Index>(),
    ) {
        for whole in [0, LIMIT] {
            let frames = bodies.iter().map(|(body, covered)| {
                Frame::seal([Bytes::from(body.clone())].into(), covered.index(body.len()), Cut { whole, piece })
            });
            let mut wire = frames.map(|frame| frame.slices().collect::<Vec<_>>().concat()).collect::<Vec<_>>().concat();
            let mut sent = bodies.iter().map(|(body, _)| Bytes::from(body.clone())).collect::<Vec<_>>();
            let (found, error) = read(&mut reader_of_pieces(), &wire, &pieces);
            prop_assert_eq!((&found, error), (&sent, None));

            let at = at.index(wire.len());
            wire[at] ^= 0x10;
            let (found, error) = read(&mut reader_of_pieces(), &wire, &pieces);
            for (found, (sent, (_, covered))) in found.iter().zip(sent.iter_mut().zip(&bodies)) {
                let covered = covered.index(sent.len());
                prop_assert_eq!(&found[..covered], &sent[..covered]);
                prop_assert_eq!(found.len(), sent.len());
            }
            prop_assert!(error.is_some() || found != sent);
        }
    }
}

fn reader_of_pieces() -> FrameReader {
    FrameReader::new(BUFFER, LIMIT)
}

/// The frames of a body cut into pieces of `piece` bytes, each on its own.
fn cut(body: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let frame = Frame::seal([Bytes::from(body.to_vec())].into(), usize::MAX, Cut { whole: 0, piece });
    let wire = frame.slices().collect::<Vec<_>>().concat();
    wire.chunks(LONG_HEAD_BYTES + piece).map(<[u8]>::to_vec).collect()
}

proptest! {
    /// Whole frames pass between the pieces of a long body, which arrives when its last piece has.
    #[test]
    fn pieces_join_to_a_body_whatever_passes_between_them(
        long in prop::collection::vec(any::<u8>(), 1..LIMIT),
        piece in 1usize..600,
        passing in bodies(),
        pieces in pieces(),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        let mut passing = passing.into_iter();
        let cut = cut(&long, piece);
        for (number, frame) in cut.iter().enumerate() {
            stream.extend(frame);
            if number + 1 == cut.len() {
                expected.push(long.clone());
            }
            if let Some(body) = passing.next() {
                stream.extend(wire([&body]));
                expected.push(body);
            }
        }
        let (found, error) = read(&mut reader_of_pieces(), &stream, &pieces);
        prop_assert_eq!(error, None);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_flipped_bit_in_a_piece_is_noticed(
        long in prop::collection::vec(any::<u8>(), 1..LIMIT),
        pieces in pieces(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut stream = cut(&long, 100).concat();
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        prop_assert!(read(&mut reader_of_pieces(), &stream, &pieces).0.is_empty());
    }
}

#[test]
fn pieces_that_do_not_continue_the_one_before_are_refused() {
    let (one, other) = (cut(&[1; 300], 100), cut(&[2; 400], 100));
    for (stream, left, expected) in
        [([&one[0], &other[0]], 400, 200), ([&one[0], &one[2]], 100, 200), ([&one[1], &one[1]], 200, 100)]
    {
        let (bodies, error) = read(&mut reader_of_pieces(), &stream.map(Vec::clone).concat(), &[77]);
        assert!(bodies.is_empty());
        assert_eq!(error, Some(FrameError::Piece { length: 100, left, expected }));
    }
}

/// What one connection holds of long bodies is one body at most, touched as its bytes arrive.
#[test]
fn memory_for_a_body_in_pieces_is_reserved_once_and_touched_as_its_bytes_arrive() {
    const LONG: usize = 1 << 20;
    let mut reader = FrameReader::new(BUFFER, LONG);
    for (arrived, frame) in (1..).zip(cut(&vec![7; LONG], 64 << 10)).take(15) {
        read(&mut reader, &frame, &[777]);
        let cut = reader.cut.as_ref().unwrap();
        let of_memory = (cut.received, cut.memory.capacity());
        assert_eq!(of_memory, (arrived * (64 << 10), LONG + LONG_HEAD_BYTES));
    }
}

#[test]
fn a_body_points_into_the_read_buffer() {
    let wire = wire([&b"first".to_vec(), &b"second".to_vec()]);
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let room = reader.room();
    room[..wire.len()].copy_from_slice(&wire);
    let at = room.as_ptr() as usize;
    reader.advance(wire.len());

    let first = reader.next_body().unwrap().unwrap();
    let second = reader.next_body().unwrap().unwrap();
    assert_eq!((&first[..], first.as_ptr() as usize), (&b"first"[..], at + HEAD_BYTES));
    assert_eq!((&second[..], second.as_ptr() as usize), (&b"second"[..], at + 2 * HEAD_BYTES + 5));
}

#[test]
fn the_buffer_is_used_again_once_its_bodies_are_gone() {
    let wire = wire([&vec![1; BUFFER / 10]]);
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let at = reader.room().as_ptr() as usize;
    for _ in 0..1000 {
        let (bodies, _) = read(&mut reader, &wire, &[BUFFER]);
        let offset = bodies[0].as_ptr() as usize - at;
        assert!(offset < BUFFER, "the body lies {offset} bytes behind the first buffer");
    }
}

/// Consecutive large bodies, which are appends, are not moved: from the third on (the first read call knows nothing of what
/// follows), each stays where its first byte was read.
#[test]
fn in_a_stream_of_large_frames_no_body_is_moved() {
    const LARGE: usize = 2048;
    let append = Frame::with_open_end([Bytes::from(vec![6; LARGE])], 0);
    let stream = append.slices().collect::<Vec<_>>().concat().repeat(50);
    let mut reader = FrameReader::new(2 * LARGE, LARGE);
    // Where each byte of the stream was read to.
    let mut places = Vec::new();
    let mut bodies = Vec::new();
    while places.len() < stream.len() {
        let room = reader.room();
        let count = room.len().min(stream.len() - places.len());
        room[..count].copy_from_slice(&stream[places.len()..places.len() + count]);
        places.extend((0..count).map(|at| room.as_ptr() as usize + at));
        reader.advance(count);
        while let Some(body) = reader.next_body().unwrap() {
            bodies.push(body);
        }
    }
    assert_eq!(bodies.len(), 50);
    for (number, body) in bodies.iter().enumerate().skip(3) {
        let begin = number * (LONG_HEAD_BYTES + LARGE) + LONG_HEAD_BYTES;
        assert_eq!(body.as_ptr() as usize, places[begin], "body {number}");
    }
}

#[test]
fn a_body_that_is_kept_keeps_its_bytes() {
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let kept: Vec<Bytes> =
        (0..50u8).flat_map(|byte| read(&mut reader, &wire([&vec![byte; 100]]), &[BUFFER]).0).collect();
    assert!((0..50u8).zip(&kept).all(|(byte, body)| **body == [byte; 100]));
}

#[test]
fn a_length_above_the_limit_is_refused_before_a_byte_of_it_is_allocated() {
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let (bodies, error) = read(&mut reader, &[0xff, 0xff, 0xff, 0x3f, 1, 2, 3, 4], &[HEAD_BYTES]);
    assert!(bodies.is_empty());
    assert_eq!(error, Some(FrameError::TooLong { length: (1 << 30) - 1, limit: LIMIT }));
    let (bodies, error) = read(&mut reader_of_pieces(), &[0xff; 12], &[1]);
    assert!(bodies.is_empty());
    assert_eq!(error, Some(FrameError::TooLong { length: u32::MAX as usize, limit: LIMIT }));
    assert!(reader.long.is_none() && reader.cut.is_none());
}

#[test]
fn memory_for_a_long_body_is_touched_as_its_bytes_arrive() {
    const LONG: usize = 128 << 10;
    let mut reader = FrameReader::new(BUFFER, LONG);
    let head = &wire([&vec![0; LONG]])[..HEAD_BYTES];
    read(&mut reader, head, &[HEAD_BYTES]);
    for arrived in [0, 100, 1000, 10_000] {
        let long = reader.long.as_ref().unwrap();
        let touched = long.body.memory.len();
        assert!(touched <= arrived + BUFFER, "{arrived} bytes touched {touched}");
        read(&mut reader, &vec![0; 10 * arrived.max(10) - arrived], &[77]);
    }
}

#[test]
fn memory_of_its_own_is_used_again_once_its_body_is_gone() {
    let wire = |byte| wire([&vec![byte; BUFFER / 2]]);
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let (mut places, mut held) = (Vec::new(), Vec::new());
    for byte in 0..50 {
        let (bodies, error) = read(&mut reader, &wire(byte), &[50]);
        assert_eq!((&bodies[..], error), (&[Bytes::from(vec![byte; BUFFER / 2])][..], None));
        places.push(bodies[0].as_ptr());
        held.extend(bodies);
        if held.len() == 4 {
            held.clear();
        }
    }
    places.sort_unstable();
    places.dedup();
    assert!(places.len() <= 8, "{} places", places.len());
}

/// What comes behind a body, in the same read call, is the next frame's.
#[test]
fn a_body_and_the_next_head_come_with_one_read_call() {
    let stream = wire([&vec![1; LIMIT], &vec![2; LIMIT], &b"short".to_vec(), &vec![3; LIMIT]]);
    let mut reader = FrameReader::new(BUFFER, LIMIT);
    let (mut at, mut calls, mut bodies) = (0, 0, Vec::new());
    while at < stream.len() {
        let room = reader.room();
        let count = room.len().min(stream.len() - at);
        room[..count].copy_from_slice(&stream[at..at + count]);
        (at, calls) = (at + count, calls + 1);
        reader.advance(count);
        while let Some(body) = reader.next_body().unwrap() {
            bodies.push(body);
        }
    }
    assert_eq!(bodies.iter().map(Bytes::len).collect::<Vec<_>>(), [LIMIT, LIMIT, 5, LIMIT]);
    // Memory that is new is touched in steps of the buffer.
    assert!(calls <= 3 * (LIMIT / BUFFER + 1) + 3, "{calls} calls");
}

#[test]
fn bytes_behind_a_greeting_survive_the_change_of_sizes() {
    let bodies = [vec![1; 20], vec![2; 1500]];
    let wire = wire(&bodies);
    let mut reader = FrameReader::new(64, 40);
    let (first, rest) = wire.split_at(60);
    let room = reader.room();
    room[..60].copy_from_slice(first);
    reader.advance(60);
    assert_eq!(reader.next_body().unwrap().unwrap(), bodies[0]);
    reader.resize(BUFFER, LIMIT);
    assert_eq!(read(&mut reader, rest, &[100]).0, bodies[1..]);
}
