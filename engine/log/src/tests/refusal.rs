//! What a log refuses to start or continue with, and what it then says.

use std::io;

use super::super::format::{Note, Record};
use super::super::frame::FrameBuilder;
use super::*;

fn message(result: Result<(LogStore, LogWriter), LogError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

/// A closed log of 30 entries in at least four segments.
fn long_log(dir: &Path) -> LogConfig {
    let config = config(dir, Durability::Os);
    let (store, mut writer) = reopen(&config).unwrap();
    put(&store, &mut writer, &entries(1..=30, 1, 66), None);
    assert!(store.size().segments >= 4);
    config
}

#[test]
fn a_log_of_another_group_or_server() {
    let dir = tempfile::tempdir().unwrap();
    let config = long_log(dir.path());
    let before = Image::of(dir.path());
    let text = message(reopen(&LogConfig { log_id: 8, ..config.clone() }));
    assert!(text.contains("belongs to log 0x7, not to 0x8"), "{text}");
    assert!(text.contains("correct the directory in the configuration"), "{text}");
    assert_eq!(Image::of(dir.path()).0, before.0, "nothing was touched");
    assert_eq!(reopen(&config).unwrap().0.last_index(), 30);
}

#[test]
fn an_unknown_version() {
    let dir = tempfile::tempdir().unwrap();
    let config = long_log(dir.path());
    let mut image = Image::of(dir.path());
    let segment = image.segment(2);
    segment[8] = 9;
    let checksum = crc32fast::hash(&[&segment[..12], &segment[16..64]].concat());
    segment[12..16].copy_from_slice(&checksum.to_le_bytes());
    let dir = image.put_down();
    let text = message(reopen(&LogConfig { dir: dir.path().to_owned(), ..config }));
    assert!(
        text.contains("0000000000000002.log has format version 9, and this program reads versions up to 2"),
        "{text}"
    );
}

#[test]
fn a_missing_segment() {
    let dir = tempfile::tempdir().unwrap();
    let config = long_log(dir.path());
    let image = Image::of(dir.path());
    for (missing, reason) in [(1, "segments are missing"), (2, "the segment before this one is missing")] {
        let mut image = image.clone();
        image.0.remove(&format!("{missing:016x}.log")).unwrap();
        let dir = image.put_down();
        let text = message(reopen(&LogConfig { dir: dir.path().to_owned(), ..config.clone() }));
        assert!(text.contains(reason) && text.contains("leave this server stopped"), "{missing}: {text}");
    }
}

#[test]
fn a_segment_under_the_name_of_another_or_too_short_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = long_log(dir.path());
    let mut renamed = Image::of(dir.path());
    let other = renamed.segment(2).clone();
    *renamed.segment(3) = other;
    let mut short = Image::of(dir.path());
    short.segment(2).truncate(63);
    for (image, reason) in [(renamed, "says that it is segment 2"), (short, "cannot be 63 bytes long")] {
        let dir = image.put_down();
        let text = message(reopen(&LogConfig { dir: dir.path().to_owned(), ..config.clone() }));
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_commit_index_above_the_last_entry() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &entries(1..=2, 1, 10), Some(HardState { term: 1, vote: 1, commit: 3 }));
    }
    let error = reopen(&config).map(|_| ()).unwrap_err();
    assert!(matches!(error, LogError::Lost { commit: 3, last: 2, .. }), "{error}");
}

/// The disk loses one synced frame in the middle and keeps the frames after it. The number of the next one
/// reveals that, even if nothing of the lost one remains.
#[test]
fn a_frame_that_has_vanished() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        for index in 1..=5 {
            put(&store, &mut writer, &entries(index..=index, 1, 30), None);
        }
    }
    let mut image = Image::of(dir.path());
    let frames = image.frames(1);
    let behind = image.segment(1)[frames[3].start..].to_vec();
    image.segment(1).splice(frames[2].start.., behind);
    let error = image.start().unwrap_err();
    assert!(matches!(error, LogError::Corrupt { offset, .. } if offset == frames[2].start as u64), "{error}");
}

/// A segment file whose checksums all match, whatever its frames say.
fn forge(number: u64, first_sequence: u64, frames: &[&[Record]]) -> (String, Vec<u8>) {
    let header = SegmentHeader { log_id: 7, number, salt: 1, bytes: 0, block: 8 };
    let mut bytes = header.encode().to_vec();
    for (sequence, records) in (first_sequence..).zip(frames) {
        let mut frame = FrameBuilder::new(header.seal(), header.block, sequence);
        for record in *records {
            match record {
                Record::Entry(entry) => {
                    frame.entry(entry, None);
                }
                Record::Note(note) => frame.note(*note),
            }
        }
        frame.finish();
        frame.slices().iter().for_each(|slice| bytes.extend_from_slice(slice));
    }
    (format!("{number:016x}.log"), bytes)
}

/// Damage does not produce such logs, but mixing files of two copies does, or a bug in the program.
#[test]
fn segments_that_contradict_each_other() {
    let entry = |index| Record::Entry(entry(index, 1, 10));
    let start = |index, term| Record::Note(Note::Start(EntryId { index, term }));
    let floor = |index, term| Record::Note(Note::Floor(EntryId { index, term }));
    let reset = |index, term| Record::Note(Note::Reset(EntryId { index, term }));
    let one = forge(1, 1, &[&[start(0, 0), entry(1), entry(2)]]);
    let cases = [
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), entry(3)]])], None),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 2), entry(3)]])], Some("the segment continues from")),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), entry(4)]])], Some("cannot follow")),
        (
            vec![one.clone(), forge(2, 2, &[]), forge(3, 2, &[&[start(2, 1), entry(3)]])],
            Some("frame 2 is damaged, but a later one"),
        ),
        (vec![forge(1, 1, &[&[start(0, 0), entry(0)]])], Some("cannot follow")),
        (vec![forge(2, 2, &[&[start(2, 1), floor(2, 1), entry(3)]])], None),
        (vec![forge(2, 2, &[&[start(2, 1), floor(1, 1), entry(3)]])], Some("segments are missing")),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), floor(2, 2)]])], Some("does not hold it")),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), floor(3, 1)]])], Some("does not hold it")),
        (vec![one.clone(), forge(2, 2, &[&[]])], Some("opens with a start")),
        (vec![one.clone(), forge(2, 2, &[&[entry(3), start(3, 1)]])], Some("opens with a start")),
        (
            vec![one.clone(), forge(2, 2, &[&[start(2, 1)], &[start(2, 1), entry(3)]])],
            Some("opens with a start"),
        ),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), reset(2, 9), entry(3)]])], None),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), entry(3), reset(2, 1), entry(3)]])], None),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), reset(3, 1), entry(3)]])], Some("cannot follow")),
        (vec![one.clone(), forge(2, 2, &[&[start(2, 1), reset(1, 1), entry(3)]])], Some("cannot follow")),
        (vec![one, forge(2, 2, &[&[reset(2, 1), entry(3)]])], Some("opens with a start")),
    ];
    for (i, (files, reason)) in cases.into_iter().enumerate() {
        match (Image(files.into_iter().collect()).start(), reason) {
            (Ok((entries, _)), None) => assert_eq!(entries.last().unwrap().index, 3),
            (Err(error @ LogError::Corrupt { .. }), Some(reason)) if error.to_string().contains(reason) => {}
            (result, reason) => panic!("case {i}: {result:?}, expected {reason:?}"),
        }
    }
}

/// Numbers that no log reaches. Counting on from them would overflow.
#[test]
fn numbers_that_cannot_be_counted_on_from() {
    let end = 1 << 63;
    let start = |index| Record::Note(Note::Start(EntryId { index, term: 1 }));
    let floor = |index| Record::Note(Note::Floor(EntryId { index, term: 1 }));
    let reset = |index| Record::Note(Note::Reset(EntryId { index, term: 1 }));
    for (file, reason) in [
        (forge(1, 1, &[&[start(end)]]), "continues from"),
        (forge(1, 1, &[&[start(0), floor(u64::MAX)]]), "compacted to"),
        (forge(1, 1, &[&[start(0), reset(end)]]), "reset to"),
        (forge(1, 1, &[&[start(0), reset(u64::MAX)]]), "reset to"),
        (forge(2, end, &[&[start(2), floor(2)]]), "the first frame of the log is damaged"),
        (forge(u64::MAX, 5, &[&[start(2), floor(2)]]), "no log has that many segments"),
    ] {
        let text = Image([file].into()).start().unwrap_err().to_string();
        assert!(text.contains(reason), "{text}");
    }
    for note in [floor(end - 1), reset(end - 1)] {
        let highest = forge(end - 1, end - 1, &[&[start(end - 1), note]]);
        assert_eq!(Image([highest].into()).start().unwrap().0, []);
    }
}

#[test]
fn a_segment_size_out_of_bounds() {
    let dir = tempfile::tempdir().unwrap();
    for given in [0, SEGMENT_BYTES_MIN - 1, SEGMENT_BYTES_MAX + 1] {
        let text =
            message(reopen(&LogConfig { segment_bytes: given, ..config(dir.path(), Durability::Memory) }));
        assert_eq!(
            text,
            format!("a segment of {given} bytes is not possible: choose from 1024 to 1073741824 bytes")
        );
    }
}

#[test]
fn a_directory_that_cannot_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = reopen(&config(&file.join("log"), Durability::Os)).map(|_| ()).unwrap_err();
    assert!(matches!(&error, LogError::Io { path, .. } if path.starts_with(&file)), "{error}");
    assert!(error.to_string().contains("cannot create the log directory"), "{error}");
}

#[test]
fn entries_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    put(&store, &mut writer, &entries(1..=9, 1, 10), None);
    store.compact_to(4);
    let mut out = Vec::new();
    for (low, high, missing) in [(4, 9, 4), (0, 2, 0), (5, 10, 10), (10, 10, 10), (11, 12, 11)] {
        let error = store.read(low, high, 1000, &mut out).unwrap_err();
        assert!(
            matches!(error, LogError::Unavailable { index, first: 5, last: 9 } if index == missing),
            "{low} to {high}: {error}"
        );
    }
    assert_eq!(out, []);
}

/// A record that rots under a running server is not returned.
#[test]
fn a_damaged_record_is_noticed_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (store, mut writer) = reopen(&config).unwrap();
    put(&store, &mut writer, &entries(1..=3, 1, 66), None);
    let path = dir.path().join("0000000000000001.log");
    let mut bytes = fs::read(&path).unwrap();
    let at = 64 + 24 + 96 + 100 + 50;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();

    let mut out = Vec::new();
    let error = store.read(1, 3, 1000, &mut out).unwrap_err();
    assert!(matches!(error, LogError::Corrupt { offset, .. } if offset == 64 + 24 + 96 + 100), "{error}");
    assert_eq!(out, entries(1..=1, 1, 66), "the entry before it is sound");
}

#[test]
fn an_error_of_the_disk_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (store, mut writer) = reopen(&config(&path, Durability::Os)).unwrap();
    put(&store, &mut writer, &entries(1..=1, 1, 10), None);
    // The preparing thread may add a file between the removal of the last one and of the directory.
    while path.exists() {
        let _ = fs::remove_dir_all(&path);
    }
    let mut index = 2;
    let error = loop {
        let batch = entries(index..=index, 1, 400);
        store.append(&batch);
        if let Err(error) = writer.write(&batch, None) {
            break error;
        }
        index += 1;
    };
    let LogError::Io { source, path: named, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert!(named.starts_with(&path));
    let batch = entries(index..=index, 1, 1);
    assert!(matches!(writer.write(&batch, None), Err(LogError::Failed)));
    assert!(matches!(writer.sync(), Err(LogError::Failed)));
    assert!(matches!(writer.compact(store.compact_to(1)), Err(LogError::Failed)));
}
