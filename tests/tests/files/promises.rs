//! The promises, one check each. Every check gets a directory of its own, which is empty.

use std::io::{ErrorKind, IoSlice, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use niagara_engine::log::{Files, LogFile};

/// Holds an implementation to all of them, in directories below `root`, and names those that are broken.
pub fn hold(who: &str, files: &dyn Files, root: &Path) {
    let mut broken = Vec::new();
    for (name, check) in PROMISES {
        let dir = root.join(name);
        files.create_dir(&dir).unwrap();
        if catch_unwind(AssertUnwindSafe(|| check(files, &dir))).is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "{who} breaks {broken:?}");
}

type Check = fn(&dyn Files, &Path);

const PROMISES: &[(&str, Check)] = &[
    ("create_dir_makes_all_above_and_bears_repetition", create_dir_makes_all_above_and_bears_repetition),
    ("create_dir_fails_where_there_is_a_file", create_dir_fails_where_there_is_a_file),
    (
        "list_names_what_is_in_a_directory_and_nothing_below",
        list_names_what_is_in_a_directory_and_nothing_below,
    ),
    ("what_is_absent_is_not_found", what_is_absent_is_not_found),
    ("a_directory_is_no_file", a_directory_is_no_file),
    ("create_empties_what_is_there", create_empties_what_is_there),
    ("open_changes_nothing", open_changes_nothing),
    ("rename_replaces", rename_replaces),
    ("rename_to_the_same_name_changes_nothing", rename_to_the_same_name_changes_nothing),
    ("a_failed_rename_changes_nothing", a_failed_rename_changes_nothing),
    ("a_handle_outlives_the_name", a_handle_outlives_the_name),
    ("all_handles_are_one_file", all_handles_are_one_file),
    ("reads_end_at_the_end", reads_end_at_the_end),
    ("writes_behind_the_end_leave_zeros", writes_behind_the_end_leave_zeros),
    ("parts_stand_one_behind_the_other", parts_stand_one_behind_the_other),
    ("more_parts_than_a_system_call_takes", more_parts_than_a_system_call_takes),
    ("parts_without_bytes_are_passed_over", parts_without_bytes_are_passed_over),
    ("writing_nothing_changes_nothing", writing_nothing_changes_nothing),
    ("zeros_overwrite_and_lengthen", zeros_overwrite_and_lengthen),
    ("a_reservation_keeps_what_is_there_and_lengthens", a_reservation_keeps_what_is_there_and_lengthens),
    ("empty_ranges_change_nothing", empty_ranges_change_nothing),
    ("long_contents_come_back", long_contents_come_back),
    ("syncs_change_nothing", syncs_change_nothing),
    ("there_is_room_for_what_is_written", there_is_room_for_what_is_written),
    ("salts_differ", salts_differ),
];

/// All that is in a file.
pub fn content(file: &dyn LogFile) -> Vec<u8> {
    let mut bytes = vec![0xee; file.length().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// All that is in the file of that name, if there is one.
pub fn content_of(files: &dyn Files, path: &Path) -> Option<Vec<u8>> {
    match files.open(path) {
        Ok(file) => Some(content(&*file)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            None
        }
    }
}

fn write(file: &dyn LogFile, at: u64, bytes: &[u8]) {
    file.write_all_at(&mut [IoSlice::new(bytes)], at).unwrap();
}

fn with(files: &dyn Files, path: &Path, bytes: &[u8]) {
    write(&*files.create(path).unwrap(), 0, bytes);
}

fn names(files: &dyn Files, dir: &Path) -> Vec<PathBuf> {
    let mut names = files.list(dir).unwrap();
    names.sort();
    names
}

#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("it succeeds"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

fn create_dir_makes_all_above_and_bears_repetition(files: &dyn Files, dir: &Path) {
    let deep = dir.join("a/b/c");
    files.create_dir(&deep).unwrap();
    with(files, &deep.join("f"), b"kept");
    files.create_dir(&deep).unwrap();
    files.create_dir(&dir.join("a")).unwrap();
    assert_eq!(content_of(files, &deep.join("f")).unwrap(), b"kept");
    assert_eq!(names(files, &dir.join("a")), [dir.join("a/b")]);
}

fn create_dir_fails_where_there_is_a_file(files: &dyn Files, dir: &Path) {
    with(files, &dir.join("f"), b"kept");
    fails(files.create_dir(&dir.join("f")), ErrorKind::AlreadyExists);
    assert!(files.create_dir(&dir.join("f/below")).is_err());
    assert_eq!(content_of(files, &dir.join("f")).unwrap(), b"kept");
}

fn list_names_what_is_in_a_directory_and_nothing_below(files: &dyn Files, dir: &Path) {
    assert_eq!(names(files, dir), [] as [PathBuf; 0]);
    files.create_dir(&dir.join("d")).unwrap();
    files.create_dir(&dir.join("d2")).unwrap();
    for name in ["f", "d/below", "d2/below"] {
        files.create(&dir.join(name)).unwrap();
    }
    assert_eq!(names(files, dir), [dir.join("d"), dir.join("d2"), dir.join("f")]);
    assert_eq!(names(files, &dir.join("d")), [dir.join("d/below")]);
    files.remove(&dir.join("f")).unwrap();
    assert_eq!(names(files, dir), [dir.join("d"), dir.join("d2")]);
}

fn what_is_absent_is_not_found(files: &dyn Files, dir: &Path) {
    let (absent, below) = (dir.join("absent"), dir.join("absent/f"));
    fails(files.open(&absent), ErrorKind::NotFound);
    fails(files.remove(&absent), ErrorKind::NotFound);
    fails(files.rename(&absent, &dir.join("other")), ErrorKind::NotFound);
    fails(files.list(&absent), ErrorKind::NotFound);
    fails(files.sync_dir(&absent), ErrorKind::NotFound);
    fails(files.create(&below), ErrorKind::NotFound);
    fails(files.open(&below), ErrorKind::NotFound);
    with(files, &dir.join("f"), b"kept");
    fails(files.rename(&dir.join("f"), &below), ErrorKind::NotFound);
    assert_eq!(names(files, dir), [dir.join("f")]);
    files.remove(&dir.join("f")).unwrap();
    fails(files.open(&dir.join("f")), ErrorKind::NotFound);
    fails(files.remove(&dir.join("f")), ErrorKind::NotFound);
}

fn a_directory_is_no_file(files: &dyn Files, dir: &Path) {
    let below = dir.join("d");
    files.create_dir(&below).unwrap();
    fails(files.open(&below), ErrorKind::IsADirectory);
    fails(files.create(&below), ErrorKind::IsADirectory);
    fails(files.remove(&below), ErrorKind::IsADirectory);
    assert_eq!(names(files, dir), [below]);
}

fn create_empties_what_is_there(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    let before = files.create(&path).unwrap();
    assert_eq!(before.length().unwrap(), 0);
    write(&*before, 0, b"before");
    let after = files.create(&path).unwrap();
    assert_eq!((after.length().unwrap(), before.length().unwrap()), (0, 0));
    write(&*before, 1, b"x");
    assert_eq!(content(&*after), b"\0x");
    assert_eq!(content_of(files, &path).unwrap(), b"\0x");
}

fn open_changes_nothing(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    fails(files.open(&path), ErrorKind::NotFound);
    assert_eq!(names(files, dir), [] as [PathBuf; 0], "nothing was created");
    with(files, &path, b"kept");
    let file = files.open(&path).unwrap();
    assert_eq!(content(&*file), b"kept");
    write(&*file, 4, b" and written");
    assert_eq!(content_of(files, &path).unwrap(), b"kept and written");
}

fn rename_replaces(files: &dyn Files, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    with(files, &from, b"new");
    files.rename(&from, &to).unwrap();
    assert_eq!((content_of(files, &from), content_of(files, &to).unwrap()), (None, b"new".to_vec()));
    with(files, &from, b"newer");
    files.rename(&from, &to).unwrap();
    assert_eq!((content_of(files, &from), content_of(files, &to).unwrap()), (None, b"newer".to_vec()));
    assert_eq!(names(files, dir), [to]);
}

fn rename_to_the_same_name_changes_nothing(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    with(files, &path, b"kept");
    files.rename(&path, &path).unwrap();
    assert_eq!(content_of(files, &path).unwrap(), b"kept");
}

fn a_failed_rename_changes_nothing(files: &dyn Files, dir: &Path) {
    with(files, &dir.join("to"), b"kept");
    fails(files.rename(&dir.join("absent"), &dir.join("to")), ErrorKind::NotFound);
    assert_eq!(content_of(files, &dir.join("to")).unwrap(), b"kept");
    files.create_dir(&dir.join("d")).unwrap();
    assert!(files.rename(&dir.join("to"), &dir.join("d")).is_err(), "a file takes no directory's place");
    assert_eq!(content_of(files, &dir.join("to")).unwrap(), b"kept");
}

fn a_handle_outlives_the_name(files: &dyn Files, dir: &Path) {
    let (path, other) = (dir.join("f"), dir.join("other"));
    let file = files.create(&path).unwrap();
    write(&*file, 0, b"one");
    files.rename(&path, &other).unwrap();
    write(&*file, 3, b" two");
    assert_eq!(content_of(files, &other).unwrap(), b"one two");
    with(files, &path, b"another");
    files.rename(&path, &other).unwrap();
    write(&*file, 7, b" three");
    file.sync_all().unwrap();
    assert_eq!(content(&*file), b"one two three", "another file has its name");
    assert_eq!(content_of(files, &other).unwrap(), b"another");
    let file = files.open(&other).unwrap();
    files.remove(&other).unwrap();
    write(&*file, 7, b" one");
    file.sync_data().unwrap();
    assert_eq!(content(&*file), b"another one", "it has no name");
    with(files, &other, b"new");
    assert_eq!(content(&*file), b"another one", "the name was given to a new file");
}

fn all_handles_are_one_file(files: &dyn Files, dir: &Path) {
    let first = files.create(&dir.join("f")).unwrap();
    let second = files.open(&dir.join("f")).unwrap();
    write(&*first, 0, b"first");
    assert_eq!(content(&*second), b"first");
    second.reserve(0, 8).unwrap();
    assert_eq!(content(&*first), b"first\0\0\0");
    drop(first);
    write(&*second, 0, b"F");
    assert_eq!(content_of(files, &dir.join("f")).unwrap(), b"First\0\0\0");
}

fn reads_end_at_the_end(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"0123456789");
    let read = |length: usize, at: u64| {
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, at).map(|()| buffer)
    };
    assert_eq!(read(10, 0).unwrap(), b"0123456789");
    assert_eq!(read(4, 6).unwrap(), b"6789");
    fails(read(11, 0), ErrorKind::UnexpectedEof);
    fails(read(5, 6), ErrorKind::UnexpectedEof);
    fails(read(1, 10), ErrorKind::UnexpectedEof);
    fails(read(1, 1 << 40), ErrorKind::UnexpectedEof);
    for at in [0, 10, 11, 1 << 40] {
        assert_eq!(read(0, at).unwrap(), b"", "an empty buffer is full at {at}");
    }
}

fn writes_behind_the_end_leave_zeros(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"ab");
    write(&*file, 5, b"cd");
    assert_eq!(content(&*file), b"ab\0\0\0cd");
    write(&*file, 1, b"xyz");
    assert_eq!(content(&*file), b"axyz\0cd", "within, nothing else changes");
    write(&*file, 6, b"efg");
    assert_eq!(content(&*file), b"axyz\0cefg", "across the end");
}

fn parts_stand_one_behind_the_other(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let parts: [&[u8]; 4] = [b"one", b"two", b"", b"three"];
    file.write_all_at(&mut parts.map(IoSlice::new), 2).unwrap();
    assert_eq!(content(&*file), b"\0\0onetwothree");
}

fn more_parts_than_a_system_call_takes(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let bytes: Vec<u8> = (0..3000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let mut parts: Vec<IoSlice<'_>> = bytes.chunks(3).map(IoSlice::new).collect();
    file.write_all_at(&mut parts, 1).unwrap();
    assert_eq!(content(&*file)[1..], bytes);
}

fn parts_without_bytes_are_passed_over(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let mut parts = vec![IoSlice::new(b""); 1500];
    parts.push(IoSlice::new(b"data"));
    parts.extend(vec![IoSlice::new(b""); 1500]);
    parts.push(IoSlice::new(b"base"));
    file.write_all_at(&mut parts, 0).unwrap();
    assert_eq!(content(&*file), b"database");
}

fn writing_nothing_changes_nothing(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"kept");
    for at in [0, 2, 4, 9] {
        file.write_all_at(&mut [], at).unwrap();
        write(&*file, at, b"");
        assert_eq!(content(&*file), b"kept", "at {at}");
    }
}

fn zeros_overwrite_and_lengthen(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"abcdef");
    file.fill_with_zeros(2, 4).unwrap();
    assert_eq!(content(&*file), b"ab\0\0ef", "within");
    file.fill_with_zeros(5, 8).unwrap();
    assert_eq!(content(&*file), b"ab\0\0e\0\0\0", "across the end");
    file.fill_with_zeros(10, 12).unwrap();
    assert_eq!(content(&*file), b"ab\0\0e\0\0\0\0\0\0\0", "behind the end");
    write(&*file, 0, &vec![7; 200_000]);
    file.fill_with_zeros(1, 199_999).unwrap();
    let content = content(&*file);
    assert_eq!((content[0], content[199_999], content.len()), (7, 7, 200_000));
    assert!(content[1..199_999].iter().all(|byte| *byte == 0), "more than fits into one piece");
}

fn a_reservation_keeps_what_is_there_and_lengthens(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"abcdef");
    for (from, to) in [(0, 6), (2, 4), (0, 3)] {
        file.reserve(from, to).unwrap();
        assert_eq!(content(&*file), b"abcdef", "{from} to {to} is within");
    }
    file.reserve(4, 8).unwrap();
    assert_eq!(content(&*file), b"abcdef\0\0", "across the end");
    file.reserve(10, 12).unwrap();
    assert_eq!(content(&*file), b"abcdef\0\0\0\0\0\0", "behind the end");
    write(&*file, 11, b"g");
    assert_eq!(content(&*file), b"abcdef\0\0\0\0\0g", "what is reserved can be written");
}

fn empty_ranges_change_nothing(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"kept");
    for at in [0, 2, 4, 9] {
        file.fill_with_zeros(at, at).unwrap();
        file.reserve(at, at).unwrap();
        assert_eq!(content(&*file), b"kept", "at {at}");
    }
}

fn long_contents_come_back(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let bytes: Vec<u8> =
        (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (front, back) = bytes.split_at(777_777);
    file.write_all_at(&mut [IoSlice::new(front), IoSlice::new(back)], 4099).unwrap();
    assert_eq!(file.length().unwrap(), 4099 + bytes.len() as u64);
    assert_eq!(content(&*files.open(&dir.join("f")).unwrap())[4099..], bytes);
}

fn syncs_change_nothing(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 1, b"kept");
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    file.sync_all().unwrap();
    files.sync_dir(dir).unwrap();
    files.sync_dir(dir).unwrap();
    assert_eq!(content(&*file), b"\0kept");
    assert_eq!(names(files, dir), [dir.join("f")]);
}

fn there_is_room_for_what_is_written(files: &dyn Files, dir: &Path) {
    assert!(files.free_bytes(dir).unwrap() > 4096);
    with(files, &dir.join("f"), &[1; 4096]);
}

fn salts_differ(files: &dyn Files, _: &Path) {
    let salts: std::collections::BTreeSet<u64> = (0..100).map(|_| files.salt()).collect();
    assert_eq!(salts.len(), 100);
}
