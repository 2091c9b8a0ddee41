//! Chunks of this release and of earlier ones.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200), any::<(u64, u32)>(), "[a-z/]{0,9}", "[a-z]{0,4}", any::<(u64, u64)>(), any::<u64>()), 0..20),
        receipts in vec((any::<u64>(), any::<Name>(), any::<Name>(), any::<(u64, u64)>(), vec(any::<u8>(), 0..30)), 0..5),
        life: u64,
        clock: u64,
        most: u64,
    ) {
        let mut chunk = Vec::new();
        let memory = Memory { most, evicted: clock, ..Memory::default() };
        let stamp = Stamp { life: Life::new(life), clock, notices: Notices::of_bits(clock % (1 << 13)).unwrap(), memory };
        let receipts: Vec<_> = receipts.into_iter().map(|(number, key, request, (position, executed), answer)| {
            (number, Receipt { key, request, position, executed, answer: answer.into() })
        }).collect();
        begin(&mut chunk, stamp, b"", &receipts);
        let entries: Vec<_> = entries.iter().map(|(key, value, (position, further), content_type, content_encoding, (deadline, reported), database)| SnapshotEntry {
            database: Database::new(database % 16).unwrap(),
            key,
            value,
            version: Version { position: *position, further: *further },
            description: Description { content_type: content_type.as_bytes(), content_encoding: content_encoding.as_bytes() },
            deadline: Some(*deadline).filter(|deadline| *deadline != 0),
            reported: *reported,
        }).collect();
        entries.iter().for_each(|entry| write_entry(&mut chunk, entry));
        prop_assert_eq!(Stamp::of(&chunk), Ok(stamp));
        prop_assert_eq!(super::receipts(&chunk), Ok(receipts));
        prop_assert_eq!(snapshot_entries(&chunk).collect::<Result<Vec<_>, _>>(), Ok(entries));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes in vec(prop_oneof![0u8..6, any::<u8>()], 0..300), known: bool) {
        if known && let Some(first) = bytes.first_mut() {
            *first = BARE_FORMAT + *first % FORMAT;
        }
        let entries: Vec<_> = snapshot_entries(&bytes).collect();
        let _ = super::receipts(&bytes);
        prop_assert!(entries.iter().rev().skip(1).all(Result::is_ok), "something follows an error");
    }

    #[test]
    fn a_chunk_that_is_cut_short_is_told_from_a_whole_one(value in vec(any::<u8>(), 0..300), cut in 1usize..300) {
        let mut chunk = Vec::new();
        begin(&mut chunk, Stamp::default(), b"", &[]);
        let begun = chunk.len();
        let version = Version { position: u64::MAX, further: u32::MAX };
        let database = Database::new(15).unwrap();
        let description = Description { content_type: b"a/b", content_encoding: b"gzip" };
        write_entry(&mut chunk, &SnapshotEntry { database, key: b"key", value: &value, version, description, deadline: Some(u64::MAX), reported: u64::MAX });
        chunk.truncate(chunk.len().saturating_sub(cut));
        // A chunk with only its start has no entries.
        prop_assert!(chunk.len() == begun || snapshot_entries(&chunk).any(|entry| entry.is_err()));
    }
}

#[test]
fn lengths_that_no_command_allows_are_refused() {
    let version = Version { position: 1, further: 0 };
    for (key, value) in [(MAX_KEY_BYTES + 1, 0), (1, MAX_VALUE_BYTES + 1)] {
        let mut chunk = Vec::new();
        begin(&mut chunk, Stamp::default(), b"", &[]);
        let (key, value) = (&vec![1; key][..], &vec![2; value][..]);
        write_entry(
            &mut chunk,
            &SnapshotEntry {
                database: Database::FIRST,
                key,
                value,
                version,
                description: Description::NONE,
                deadline: None,
                reported: 0,
            },
        );
        assert!(snapshot_entries(&chunk).next().unwrap().is_err(), "{} and {} bytes", key.len(), value.len());
    }
    let long = [b'a'; crate::MAX_CONTENT_TYPE_BYTES + 1];
    for content_type in [long.as_slice(), b"a\r\nb"] {
        let mut chunk = Vec::new();
        begin(&mut chunk, Stamp::default(), b"", &[]);
        let description = Description { content_type, content_encoding: b"" };
        write_entry(
            &mut chunk,
            &SnapshotEntry {
                database: Database::FIRST,
                key: b"k",
                value: b"v",
                version,
                description,
                deadline: None,
                reported: 0,
            },
        );
        assert!(snapshot_entries(&chunk).next().unwrap().is_err());
    }
}

/// A chunk as earlier versions wrote it.
#[test]
fn a_bare_chunk_is_read() {
    let chunk = b"\x01\x01\x02\xac\x02\x07kvw\x01\0\x01\0l";
    let entry = |key, value, position, further| SnapshotEntry {
        database: Database::FIRST,
        key,
        value,
        version: Version { position, further },
        description: Description::NONE,
        deadline: None,
        reported: 0,
    };
    let entries: Result<Vec<_>, _> = snapshot_entries(chunk).collect();
    assert_eq!(entries.unwrap(), [entry(b"k".as_slice(), b"vw".as_slice(), 300, 7), entry(b"l", b"", 1, 0)]);
    assert_eq!(Stamp::of(chunk), Ok(Stamp::default()));
}

#[test]
fn another_format_is_refused() {
    assert!(snapshot_entries(&[FORMAT + 1]).next().unwrap().is_err());
    assert!(snapshot_entries(&[]).next().unwrap().is_err());
    assert!(snapshot_entries(&[BARE_FORMAT]).next().is_none());
    for (format, stamp) in [
        (TIMELESS_FORMAT, 8),
        (USERLESS_FORMAT, 16),
        (UNDIVIDED_FORMAT, 17),
        (RECEIPTLESS_FORMAT, 18),
        (UNLIMITED_FORMAT, 19),
    ] {
        let chunk = [vec![format], vec![0; stamp]].concat();
        assert!(snapshot_entries(&chunk[..stamp]).next().unwrap().is_err());
        assert!(snapshot_entries(&chunk).next().is_none());
    }
}

/// What the chunks below hold.
fn of_earlier_releases(database: Database) -> SnapshotEntry<'static> {
    SnapshotEntry {
        database,
        key: b"k",
        value: b"vw",
        version: Version { position: 300, further: 7 },
        description: Description::NONE,
        deadline: Some(9),
        reported: 0,
    }
}

/// A chunk as it was written before there was a limit of memory.
#[test]
fn an_unlimited_chunk_is_read() {
    let chunk = b"\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01\x02\xac\x02\x07\0\0\x09kvw";
    let entries: Result<Vec<_>, _> = snapshot_entries(chunk).collect();
    assert_eq!(entries.unwrap(), [of_earlier_releases(Database::new(2).unwrap())]);
    assert_eq!(Stamp::of(chunk), Ok(Stamp::default()));
}

#[test]
fn the_present_chunk_begins_with_a_limit() {
    let mut chunk = Vec::new();
    begin(&mut chunk, Stamp::default(), b"", &[]);
    assert_eq!(chunk[..], [&[FORMAT][..], &[0; 16], &[0], &[0, 0, 5, 0, 0], &[0, 0]].concat());
    let unknown = [&[FORMAT][..], &[0; 16], &[0], &[0, 99, 5, 0, 0], &[0, 0]].concat();
    assert!(Stamp::of(&unknown).is_err());
}

/// A chunk as it was written before receipts.
#[test]
fn a_receiptless_chunk_is_read() {
    let chunk = b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01\x02\xac\x02\x07\0\0\x09kvw";
    let entries: Result<Vec<_>, _> = snapshot_entries(chunk).collect();
    assert_eq!(entries.unwrap(), [of_earlier_releases(Database::new(2).unwrap())]);
    assert_eq!(super::receipts(chunk), Ok(Vec::new()));
}

/// A chunk as the release before wrote it.
#[test]
fn an_undivided_chunk_is_read() {
    let chunk = b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\xac\x02\x07\0\0\x09kvw";
    let entries: Result<Vec<_>, _> = snapshot_entries(chunk).collect();
    assert_eq!(entries.unwrap(), [of_earlier_releases(Database::FIRST)]);
    let nowhere = b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x01\x02\xac\x02\x07\0\0\x09kvw";
    assert!(snapshot_entries(nowhere).next().unwrap().is_err());
}

/// A chunk as an earlier release wrote it.
#[test]
fn a_timeless_chunk_is_read() {
    let chunk = b"\x02\x07\0\0\0\0\0\0\0\x01\x02\xac\x02\x07\x01\0kvwt";
    let entries: Result<Vec<_>, _> = snapshot_entries(chunk).collect();
    let description = Description { content_type: b"t", content_encoding: b"" };
    let version = Version { position: 300, further: 7 };
    assert_eq!(
        entries.unwrap(),
        [SnapshotEntry {
            database: Database::FIRST,
            key: b"k",
            value: b"vw",
            version,
            description,
            deadline: None,
            reported: 0
        }]
    );
    assert_eq!(Stamp::of(chunk), Ok(Stamp { life: Life::new(7), ..Stamp::default() }));
}
