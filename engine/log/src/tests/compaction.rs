//! Compaction removes entries, then their segments, and reuses the files as new segments.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn compacted_entries_are_gone_but_the_term_of_the_last_one_is_known() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), durability);
        {
            let (store, mut writer) = log_of(&config, 40);
            assert_eq!(store.size().segments, 7);
            let floor = store.compact_to(27);
            assert_eq!(floor, EntryId { index: 27, term: 3 });
            assert_eq!(store.size().segments, 7, "the writer has not removed files yet");
            writer.compact(floor).unwrap();
            assert_eq!(store.size().segments, 3, "entry 28 is in the fifth of seven");
            assert_eq!(store.compact_to(20), floor, "an older floor changes nothing");
            writer.compact(EntryId { index: 20, term: 3 }).unwrap();
            assert_eq!(store.floor(), floor);
            assert_eq!(all(&store), numbered(28..=40));
        }
        let (store, _writer) = reopen(&config).unwrap();
        assert_eq!((store.first_index(), store.last_index(), store.floor().index), (28, 40, 27));
        assert_eq!([26, 27, 28].map(|index| store.term(index)), [None, Some(3), Some(3)]);
        assert_eq!(all(&store), numbered(28..=40));
        assert_eq!(store.size().segments, 3);
    }
}

#[test]
fn segments_of_a_former_life_are_removed_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    drop(log_of(&config, 40));
    {
        let (store, mut writer) = reopen(&config).unwrap();
        writer.compact(store.compact_to(27)).unwrap();
        assert_eq!(store.size().segments, 3);
        assert_eq!(all(&store), numbered(28..=40));
    }
    assert_eq!(all(&reopen(&config).unwrap().0), numbered(28..=40));
}

#[test]
fn a_log_compacted_to_its_end_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    {
        let (store, mut writer) = log_of(&config, 20);
        writer.write(&[], Some(HardState { term: 9, vote: 1, commit: 20 })).unwrap();
        writer.compact(store.compact_to(20)).unwrap();
        assert_eq!((store.first_index(), store.last_index(), store.size().entries), (21, 20, 0));
    }
    {
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!((store.first_index(), store.last_index(), store.term(20)), (21, 20, Some(3)));
        assert_eq!(store.hard_state().term, 9, "the hard state was in a segment that is gone, or is not");
        put(&store, &mut writer, &numbered(21..=40), None);
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(all(&store), numbered(21..=40));
    assert_eq!(store.hard_state(), HardState { term: 9, vote: 1, commit: 20 });
}

#[test]
fn up_to_two_files_are_recycled_and_the_others_removed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let inode = |number: u64| {
        File::open(dir.path().join(format!("{number:016x}.log"))).unwrap().metadata().unwrap().ino()
    };
    {
        let (store, mut writer) = log_of(&config, 36);
        let old: Vec<u64> = (1..=4).map(inode).collect();
        // The files stay open meanwhile, so that the system cannot reuse their inodes by chance.
        let _open: Vec<File> =
            (1..=4).map(|n| File::open(dir.path().join(format!("{n:016x}.log"))).unwrap()).collect();
        writer.compact(store.compact_to(26)).unwrap();
        for index in 37..=60 {
            put(&store, &mut writer, &numbered(index..=index), None);
        }
        drop((store, writer));
        let recycled = (5..=11).filter(|number| old.contains(&inode(*number))).count();
        assert_eq!(recycled, 2);
    }
    let names: Vec<String> = Image::of(dir.path()).0.into_keys().collect();
    assert_eq!(names.len(), 7, "5 to 10 in use, 11 prepared: {names:?}");
    assert_eq!(all(&reopen(&config).unwrap().0), numbered(27..=60));
}

#[test]
fn files_of_an_unusual_length_are_not_recycled() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &entries(1..=1, 1, 5000), None);
        put(&store, &mut writer, &entries(2..=30, 1, 66), None);
        writer.compact(store.compact_to(20)).unwrap();
        put(&store, &mut writer, &entries(31..=60, 1, 66), None);
    }
    let image = Image::of(dir.path());
    assert!(image.0.values().all(|bytes| bytes.len() as u64 == SEGMENT));
}

/// The floor is durable before the first file goes, and the oldest files go first. So a crash can leave any
/// shorter prefix removed.
#[test]
fn a_crash_while_segments_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let (before, floor) = {
        let (store, mut writer) = log_of(&config, 40);
        let before = Image::of(dir.path()).0;
        let floor = store.compact_to(27);
        writer.compact(floor).unwrap();
        (before, floor)
    };
    let after = Image::of(dir.path());
    for removed in 0..=4 {
        let mut image = after.clone();
        for number in removed + 1..=4 {
            let name = format!("{number:016x}.log");
            image.0.insert(name.clone(), before[&name].clone());
        }
        let dir = image.put_down();
        let config = LogConfig { dir: dir.path().to_owned(), ..config.clone() };
        let (store, _writer) = reopen(&config).unwrap();
        assert_eq!(store.floor(), floor, "{removed} removed");
        assert_eq!(all(&store), numbered(28..=40));
    }
    // A crash before the floor was durable: all segments exist, and nothing is compacted.
    let dir = Image(before).put_down();
    let (store, _writer) = reopen(&LogConfig { dir: dir.path().to_owned(), ..config }).unwrap();
    assert_eq!(all(&store), numbered(1..=40));
}

#[test]
fn a_file_too_many_removed_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    {
        let (store, mut writer) = log_of(&config, 40);
        writer.compact(store.compact_to(27)).unwrap();
    }
    fs::remove_file(dir.path().join("0000000000000005.log")).unwrap();
    let text = reopen(&config).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("compacted to entry 27 only, but begins at entry 31"), "{text}");
}

#[test]
fn the_first_frame_of_a_compacted_log_is_never_taken_for_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    {
        let (store, mut writer) = log_of(&config, 12);
        writer.compact(store.compact_to(12)).unwrap();
    }
    let mut image = Image::of(dir.path());
    image.0.retain(|name, _| name.ends_with(".log"));
    let numbers = 2..2 + image.0.len() as u64;
    for number in numbers {
        for frame in image.frames(number) {
            image.segment(number)[frame.start + 8] ^= 1;
        }
    }
    let error = image.start().unwrap_err();
    assert!(matches!(error, LogError::Corrupt { offset: 64, .. }), "{error}");
}

/// The view is ahead of the disk: what was replaced in the view is still on disk, and a start must find it
/// until the replacement is written.
#[test]
fn a_crash_between_compaction_and_the_write_of_a_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let replacement = entries(13..=14, 9, 66);
    {
        let (store, mut writer) = log_of(&config, 40);
        store.append(&replacement);
        writer.compact(store.compact_to(12)).unwrap();
        assert_eq!(all(&store), replacement);
    }
    let (store, mut writer) = reopen(&config).unwrap();
    assert_eq!(all(&store), numbered(13..=40), "the replacement was never written");
    put(&store, &mut writer, &replacement, None);
    drop((store, writer));
    assert_eq!(all(&reopen(&config).unwrap().0), replacement);
}

/// Entries were replaced, and came back before the writer got to either. Readers follow the view, which finds
/// them where they were first written, though a start would not need those segments.
#[test]
fn what_the_view_still_reads_from_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (store, mut writer) = reopen(&config).unwrap();
    let (first, replacement) = (numbered(1..=30), entries(10..=10, 8, 66));
    for appended in [&first[..], &replacement, &first[9..]] {
        store.append(appended);
    }
    writer.write(&first, None).unwrap();
    writer.write(&replacement, None).unwrap();
    writer.compact(store.compact_to(9)).unwrap();
    assert_eq!(all(&store), first[9..]);
    writer.write(&first[9..], None).unwrap();
    assert_eq!(all(&store), first[9..]);
    drop((store, writer));
    assert_eq!(all(&reopen(&config).unwrap().0), first[9..]);
}

/// Entries were replaced, and the segments with their first version go: the log begins in the middle of its
/// history.
#[test]
fn a_log_may_begin_with_entries_that_were_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let replacement = entries(8..=25, 9, 66);
    {
        let (store, mut writer) = log_of(&config, 20);
        put(&store, &mut writer, &replacement, None);
        writer.compact(store.compact_to(12)).unwrap();
        assert_eq!(all(&store), replacement[5..]);
    }
    let left = Image::of(dir.path()).0.into_keys().find(|name| name.ends_with(".log")).unwrap();
    assert_eq!(left, "0000000000000005.log", "its start record says 20, and it holds entry 13");
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(store.floor(), EntryId { index: 12, term: 9 });
    assert_eq!(all(&store), replacement[5..]);
}

/// A reader has looked up an entry when its segment is recycled and rewritten.
#[test]
fn a_reader_that_comes_too_late_finds_nothing_rather_than_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (store, mut writer) = log_of(&config, 36);
    let path = dir.path().join("0000000000000001.log");
    let segment = segment::Segment::load(&SystemFiles, &path, Some(config.log_id), 1).unwrap();
    let at = store.lock().table.get(1).unwrap().at.unwrap();
    let read = || segment.read(at.offset.into(), at.length as usize).unwrap();
    let decode = |bytes: &Bytes| format::decode_record(segment.seal, bytes);
    assert!(matches!(decode(&read()), Some((format::Record::Entry(found), _)) if found == entry(1, 1, 66)));

    writer.compact(store.compact_to(30)).unwrap();
    for index in 37..=60 {
        put(&store, &mut writer, &numbered(index..=index), None);
    }
    drop(writer);
    let over = read();
    assert_eq!(over[4], 1, "an entry's record is in the same place");
    assert_eq!(decode(&over), None, "but not one that this reader accepts");
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn a_compacted_entry_cannot_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer) = log_of(&config(dir.path(), Durability::Os), 9);
    store.compact_to(5);
    store.append(&numbered(5..=6));
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn what_is_not_in_the_log_cannot_be_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer) = log_of(&config(dir.path(), Durability::Os), 9);
    store.compact_to(10);
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn what_is_not_written_cannot_be_compacted_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    store.append(&numbered(10..=10));
    let _ = writer.compact(store.compact_to(10));
}
