//! Frames and records as bytes, without IO.

use proptest::prelude::*;

use super::super::format::{HeaderError, Note, Record};
use super::super::frame::{FrameBuilder, find_later};
use super::*;

fn header() -> SegmentHeader {
    SegmentHeader { log_id: 0x0102_0304_0506_0708, number: 3, salt: 99, bytes: 0, block: 8 }
}

fn joined(frame: &FrameBuilder) -> Bytes {
    frame.slices().iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// Bytes of a frame with these entries and a hard state.
fn frame(sequence: u64, entries: &[LogEntry]) -> Bytes {
    let mut frame = FrameBuilder::new(header().seal(), 8, sequence);
    for entry in entries {
        frame.entry(entry, None);
    }
    frame.note(Note::HardState(HardState { term: 1, vote: 2, commit: 3 }));
    let bytes = frame.finish();
    let joined = joined(&frame);
    assert_eq!(joined.len() as u64, bytes);
    joined
}

#[test]
fn a_header_stands_byte_for_byte_as_documented() {
    let bytes = header().encode();
    assert_eq!(bytes[..12], *b"NIAGLOG\0\x02\0\0\0");
    assert_eq!(bytes[16..40], *b"\x08\x07\x06\x05\x04\x03\x02\x01\x03\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0");
    assert_eq!(bytes[40..], *b"\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
}

/// Version 1 had zeros where the length of blocks is now.
#[test]
fn a_header_of_version_1_is_one_of_packed_frames() {
    let with_checksum = |mut bytes: [u8; 64]| {
        let checksum = crc32fast::hash(&[&bytes[..12], &bytes[16..]].concat());
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    };
    let mut first = header().encode();
    (first[8], first[48]) = (1, 0);
    assert_eq!(SegmentHeader::decode(&with_checksum(first)), Ok(header()));
    for impossible in [0, 4, 24, 1 << 17] {
        let mut second = header().encode();
        second[48..56].copy_from_slice(&u64::to_le_bytes(impossible));
        let decoded = SegmentHeader::decode(&with_checksum(second));
        assert_eq!(decoded, Err(HeaderError::Damaged), "blocks of {impossible} bytes");
    }
}

#[test]
fn a_header_with_any_bit_flipped_is_refused() {
    for i in 0..64 {
        for bit in 0..8 {
            let mut bytes = header().encode();
            bytes[i] ^= 1 << bit;
            assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Damaged), "byte {i}, bit {bit}");
        }
    }
}

#[test]
fn a_frame_stands_byte_for_byte_as_documented() {
    let entry = LogEntry { index: 5, term: 4, kind: 2, context: Bytes::from("ab"), data: Bytes::from("xyz") };
    let bytes = frame(9, std::slice::from_ref(&entry));
    let length = 24 + 32 + 5 + 32;
    assert_eq!(bytes[4..20], *b"FRAM\x09\0\0\0\0\0\0\0\x45\0\0\0");
    assert_eq!(bytes[28..61], *b"\x01\x02\0\0\x05\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0abxyz");
    assert_eq!(bytes[65..length], *b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
    assert_eq!(bytes[length..], [0; 3], "padded to a multiple of 8");

    let frame = decode_frame(header().seal(), 8, &bytes, 0).unwrap();
    assert_eq!((frame.sequence, frame.end), (9, 96));
    let state = HardState { term: 1, vote: 2, commit: 3 };
    assert_eq!(
        frame.records,
        [(24, 37, Record::Entry(entry)), (61, 32, Record::Note(Note::HardState(state)))]
    );
}

#[test]
fn a_reset_stands_byte_for_byte_as_documented() {
    let floor = EntryId { index: 0x0506, term: 4 };
    let mut frame = FrameBuilder::new(header().seal(), 8, 9);
    frame.note(Note::Reset(floor));
    assert_eq!(frame.finish(), 56);
    let bytes = joined(&frame);
    assert_eq!(bytes[4..20], *b"FRAM\x09\0\0\0\0\0\0\0\x20\0\0\0");
    assert_eq!(bytes[28..56], *b"\x05\0\0\0\x06\x05\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");

    let frame = decode_frame(header().seal(), 8, &bytes, 0).unwrap();
    assert_eq!(frame.records, [(24, 32, Record::Note(Note::Reset(floor)))]);
}

#[test]
fn large_payloads_are_written_from_where_they_are_and_small_ones_are_gathered() {
    let (small, large) = (entry(1, 1, 4095), entry(2, 1, 4096));
    let mut frame = FrameBuilder::new(header().seal(), 8, 1);
    for entry in [&small, &large, &small] {
        frame.entry(entry, None);
    }
    frame.finish();
    let slices = frame.slices();
    assert_eq!(slices.len(), 3, "before the large payload, the payload, after it");
    assert_eq!(slices[1].as_ptr(), large.data.as_ptr());
    assert_eq!(slices[1].len(), 4096);
}

#[test]
fn a_frame_of_small_payloads_starts_at_a_page_and_needs_no_copy_for_direct_io() {
    let mut frame = FrameBuilder::new(header().seal(), 4096, 1);
    for (round, size) in [10, 4000, 30, 2000].into_iter().enumerate() {
        // The buffer grows in the first rounds.
        for _ in 0..2 {
            frame.begin(header().seal(), 4096, 1);
            for index in 1..=9 {
                frame.entry(&entry(index, 1, size), None);
            }
            frame.finish();
        }
        let slices = frame.slices();
        let at = slices[0].as_ptr().addr();
        assert_eq!((slices.len(), at % 4096, slices[0].len() % 4096), (1, 0, 0), "round {round}");
    }
}

/// Each record is intact, but they are in another order, which the digest notices.
#[test]
fn a_frame_whose_records_are_not_the_ones_it_was_written_with_is_refused() {
    let mut bytes = frame(9, &entries([1, 4], 1, 50)).to_vec();
    let (first, second) = (24..24 + 84, 24 + 84..24 + 168);
    let moved = bytes[first.clone()].to_vec();
    bytes.copy_within(second.clone(), first.start);
    bytes[second].copy_from_slice(&moved);
    let bytes = Bytes::from(bytes);
    let (record, _) = format::decode_record(header().seal(), &bytes.slice(24..)).unwrap();
    assert_eq!(record, Record::Entry(entry(4, 1, 50)));
    assert!(decode_frame(header().seal(), 8, &bytes, 0).is_none());
}

#[test]
fn a_frame_of_another_life_of_the_file_never_checks() {
    let bytes = frame(9, &entries(1..=3, 1, 50));
    for other in [
        SegmentHeader { salt: 98, ..header() },
        SegmentHeader { number: 4, ..header() },
        SegmentHeader { log_id: 1, ..header() },
    ] {
        assert!(decode_frame(other.seal(), 8, &bytes, 0).is_none());
        assert_eq!(find_later(other.seal(), 8, &bytes, 0, 0), None);
    }
}

#[test]
fn a_later_frame_is_found_wherever_it_is_aligned() {
    let mut bytes = vec![0xaa; 200];
    bytes.extend_from_slice(&frame(12, &entries(1..=1, 1, 50)));
    assert_eq!(find_later(header().seal(), 8, &bytes, 8, 11), Some(200));
    assert_eq!(find_later(header().seal(), 8, &bytes, 8, 12), None, "it is not later than itself");
    bytes.truncate(224);
    assert_eq!(find_later(header().seal(), 8, &bytes, 8, 11), Some(200), "its header suffices");
    bytes.truncate(223);
    assert_eq!(find_later(header().seal(), 8, &bytes, 8, 11), None);
}

#[test]
fn a_frame_fills_whole_blocks_with_zeros() {
    for block in [64, 512, 4096] {
        let mut frame = FrameBuilder::new(header().seal(), block, 9);
        frame.entry(&entry(1, 1, 5000), None);
        let bytes = frame.finish();
        assert_eq!(bytes, 5058_u64.next_multiple_of(block));
        let mut bytes = joined(&frame).to_vec();
        assert_eq!(decode_frame(header().seal(), block, &bytes.clone().into(), 0).unwrap().end, bytes.len());
        // A byte of the file's former life in the padding shows that the last block was not written.
        *bytes.last_mut().unwrap() = 1;
        assert!(decode_frame(header().seal(), block, &bytes.into(), 0).is_none());
    }
}

proptest! {
    #[test]
    fn frames_come_back_as_they_were(
        sizes in prop::collection::vec((0usize..9000, 0usize..40), 0..6),
        sequence: u64,
        before in (0usize..9).prop_map(|n| 8 * n),
    ) {
        let make = |(i, (data, context)): (usize, &(usize, usize))| {
            LogEntry { context: vec![7; *context].into(), ..entry(i as u64 + 1, 3, *data) }
        };
        let entries: Vec<LogEntry> = sizes.iter().enumerate().map(make).collect();
        let mut bytes = vec![1; before];
        bytes.extend_from_slice(&frame(sequence, &entries));
        let decoded = decode_frame(header().seal(), 8, &bytes.into(), before).unwrap();
        prop_assert_eq!(decoded.sequence, sequence);
        let found: Vec<LogEntry> = decoded
            .records
            .into_iter()
            .filter_map(|(_, _, record)| match record { Record::Entry(entry) => Some(entry), Record::Note(_) => None })
            .collect();
        prop_assert_eq!(found, entries);
    }

    /// The bytes on disk are the same, whether the sum of an entry's data was known or not, and a wrong one shows.
    #[test]
    fn a_known_sum_changes_no_byte_and_a_wrong_one_is_noticed(size in 0usize..40_000, salt: u64, wrong in 1u32..) {
        let header = SegmentHeader { salt, ..header() };
        let entry = entry(1, 3, size);
        let sum = crc32fast::hash(&entry.data);
        let with = |sum| {
            let mut frame = FrameBuilder::new(header.seal(), 8, 1);
            frame.entry(&entry, sum);
            frame.finish();
            joined(&frame)
        };
        prop_assert_eq!(with(Some(sum)), with(None));
        let lie = with(Some(sum ^ wrong));
        prop_assert!(lie == with(None) || decode_frame(header.seal(), 8, &lie, 0).is_none());
    }

    #[test]
    fn a_frame_with_a_changed_byte_is_refused(size in 0usize..300, at: prop::sample::Index, to: u8) {
        let whole = frame(5, &entries(1..=2, 1, size));
        let mut bytes = whole.to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(decode_frame(header().seal(), 8, &bytes.into(), 0).is_none());
    }

    #[test]
    fn noise_is_no_frame_and_no_harm(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..210) {
        let mut noise = noise;
        if let Some(marker) = noise.get_mut(4..8) {
            marker.copy_from_slice(b"FRAM");
        }
        prop_assert!(decode_frame(header().seal(), 8, &Bytes::from(noise.clone()), at).is_none());
        prop_assert_eq!(find_later(header().seal(), 8, &noise, at, 0), None);
    }
}
