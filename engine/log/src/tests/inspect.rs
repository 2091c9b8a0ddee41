//! An inspection reports what a log holds, and does not change it.

use super::*;

/// Inspects a log, checks that this changes nothing, and returns what was listed as indexes, with a reset as
/// its negated index.
fn look(dir: &Path) -> (Inspection, Vec<i64>) {
    let before = Image::of(dir).0;
    let mut listed = Vec::new();
    let found = inspect(dir, &SystemFiles, &mut |replayed| match replayed {
        Replayed::Entry(entry) => listed.push(entry.index as i64),
        Replayed::Reset(floor) => listed.push(-(floor.index as i64)),
    })
    .unwrap();
    assert_eq!(Image::of(dir).0, before, "an inspection changes nothing");
    (found, listed)
}

fn id(index: u64, term: u64) -> EntryId {
    EntryId { index, term }
}

#[test]
fn a_fresh_log() {
    let dir = tempfile::tempdir().unwrap();
    drop(reopen(&config(dir.path(), Durability::Os)).unwrap());
    let (found, listed) = look(dir.path());
    let empty = |number: u64| SegmentReport {
        file: format!("{number:016x}.log"),
        number,
        bytes: SEGMENT,
        frames: 0,
        block_bytes: 8,
        frames_start: 64,
        frame_bytes: 0,
        entries: 0,
        first: None,
        last: None,
        resets: 0,
        leftovers: false,
    };
    let expected =
        Inspection { log_id: Some(7), segments: vec![empty(1), empty(2)], ..Inspection::default() };
    assert_eq!((found, listed), (expected, vec![]));
}

#[test]
fn a_directory_without_a_log_or_none_at_all() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(dir.path()), (Inspection::default(), vec![]));
    let error = inspect(&dir.path().join("none"), &SystemFiles, &mut |_| {}).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(!dir.path().join("none").exists());
}

#[test]
fn a_compacted_log() {
    let dir = tempfile::tempdir().unwrap();
    let state = HardState { term: 5, vote: 2, commit: 30 };
    {
        let (store, mut writer) = log_of(&config(dir.path(), Durability::Fsync), 40);
        writer.compact(store.compact_to(27)).unwrap();
        writer.write(&[], Some(state)).unwrap();
    }
    let (found, listed) = look(dir.path());
    assert_eq!((found.log_id, found.floor, found.hard_state), (Some(7), id(27, 3), state));
    assert_eq!((found.first, found.last), (Some(id(28, 3)), Some(id(40, 5))));
    assert_eq!((found.damage, found.unread), (None, vec![]));
    assert_eq!(listed, (25..=40).collect::<Vec<i64>>(), "what is on disk, compacted or not");
    let told = found.segments.iter().map(|segment| {
        (segment.number, segment.frames, segment.frame_bytes, segment.entries, segment.first, segment.last)
    });
    let first = 24 + 96 + 104;
    let each = 24 + 104;
    let told: Vec<_> = told.collect();
    assert_eq!(told[0], (5, 6, first + 5 * each, 6, Some(25), Some(30)));
    assert_eq!(told[2].3, 4);
    assert_eq!(told[3], (8, 0, 0, 0, None, None), "it is only prepared");
}

#[test]
fn a_reset_log() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 2);
        store.reset(id(50, 7));
        writer.reset(id(50, 7), None).unwrap();
        put(&store, &mut writer, &entries(51..=52, 8, 66), None);
    }
    let (found, listed) = look(dir.path());
    assert_eq!(listed, [1, 2, -50, 51, 52]);
    assert_eq!((found.floor, found.first, found.last), (id(50, 7), Some(id(51, 8)), Some(id(52, 8))));
    let segment = &found.segments[0];
    assert_eq!((segment.frames, segment.entries, segment.resets), (4, 4, 1));
    assert_eq!((segment.first, segment.last), (Some(1), Some(52)));
    assert_eq!(found.damage, None);
}

/// After a reset without further entries, there is a floor but no entry.
#[test]
fn a_log_without_an_entry_above_its_floor() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 2);
        store.reset(id(50, 7));
        writer.reset(id(50, 7), None).unwrap();
    }
    let (found, _) = look(dir.path());
    assert_eq!((found.floor, found.first, found.last, found.damage), (id(50, 7), None, None, None));
}

#[test]
fn a_torn_write_is_among_the_leftovers_and_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(log_of(&config(dir.path(), Durability::Os), 3));
    let mut image = Image::of(dir.path());
    let last = image.frames(1).pop().unwrap();
    image.segment(1)[last.end - 1] ^= 1;
    let dir = image.put_down();
    let (found, listed) = look(dir.path());
    assert_eq!(listed, [1, 2]);
    assert_eq!((found.damage, found.segments[0].leftovers, found.segments[1].leftovers), (None, true, false));
    assert_eq!(found.segments[0].frame_bytes, last.start as u64 - 64);
}

#[test]
fn what_stands_before_the_damage_is_told_and_what_is_behind_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 40);
        writer.compact(store.compact_to(10)).unwrap();
    }
    let image = Image::of(dir.path());
    let mut flipped = image.clone();
    let third = flipped.frames(4)[2].clone();
    flipped.segment(4)[third.start + 40] ^= 1;
    let mut header = image.clone();
    header.segment(4)[20] ^= 1;
    let mut missing = image.clone();
    missing.0.remove("0000000000000004.log").unwrap();
    let mut foreign = image.clone();
    let other = SegmentHeader { log_id: 8, number: 4, salt: 1, bytes: 0, block: 8 };
    foreign.segment(4)[..64].copy_from_slice(&other.encode());

    for (image, last, unread, reason) in [
        (flipped, 20, 5, "frame 21 is damaged, but a later one"),
        (header, 18, 4, "does not match its checksum"),
        (missing, 18, 5, "the segment before this one is missing"),
        (foreign, 18, 4, "belongs to log 0x8, not to 0x7"),
    ] {
        let dir = image.put_down();
        let (found, listed) = look(dir.path());
        let damage = found.damage.unwrap();
        assert!(damage.contains(reason), "{damage}");
        let refused = reopen(&config(dir.path(), Durability::Os)).map(|_| ()).unwrap_err();
        assert_eq!(damage, refused.to_string(), "a start says the same");
        assert_eq!(listed, (7..=last as i64).collect::<Vec<i64>>());
        let told = (found.log_id, found.floor, found.first);
        assert_eq!(told, (Some(7), id(0, 0), Some(id(7, 1))), "the floor was written last");
        assert_eq!(found.last, Some(id(last, 1 + last / 10)));
        assert_eq!(found.unread.first(), Some(&format!("{unread:016x}.log")));
    }
}

#[test]
fn a_log_that_ends_before_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
        let state = HardState { term: 1, vote: 1, commit: 3 };
        put(&store, &mut writer, &entries(1..=2, 1, 10), Some(state));
    }
    let (found, listed) = look(dir.path());
    assert!(found.damage.unwrap().contains("entry 3 is known to be committed"));
    assert_eq!((listed, found.last), (vec![1, 2], Some(id(2, 1))));
    assert_eq!(found.unread, [""; 0]);
}
