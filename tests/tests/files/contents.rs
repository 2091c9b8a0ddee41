//! What is promised of what is in files.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use niagara_log::Files;

use super::promises::{content, content_of, fails, names, with, write};

pub(super) fn all_handles_are_one_file(files: &dyn Files, dir: &Path) {
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

pub(super) fn reads_end_at_the_end(files: &dyn Files, dir: &Path) {
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

pub(super) fn writes_behind_the_end_leave_zeros(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"ab");
    write(&*file, 5, b"cd");
    assert_eq!(content(&*file), b"ab\0\0\0cd");
    write(&*file, 1, b"xyz");
    assert_eq!(content(&*file), b"axyz\0cd", "within, nothing else changes");
    write(&*file, 6, b"efg");
    assert_eq!(content(&*file), b"axyz\0cefg", "across the end");
}

pub(super) fn parts_stand_one_behind_the_other(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let parts: [&[u8]; 4] = [b"one", b"two", b"", b"three"];
    file.write_all_at(&mut parts.map(IoSlice::new), 2).unwrap();
    assert_eq!(content(&*file), b"\0\0onetwothree");
}

pub(super) fn more_parts_than_a_system_call_takes(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let bytes: Vec<u8> = (0..3000_u32).flat_map(u32::to_le_bytes).collect();
    let mut parts: Vec<IoSlice<'_>> = bytes.chunks(3).map(IoSlice::new).collect();
    file.write_all_at(&mut parts, 1).unwrap();
    assert_eq!(content(&*file)[1..], bytes);
}

pub(super) fn parts_without_bytes_are_passed_over(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let mut parts = vec![IoSlice::new(b""); 1500];
    parts.push(IoSlice::new(b"data"));
    parts.extend(vec![IoSlice::new(b""); 1500]);
    parts.push(IoSlice::new(b"base"));
    file.write_all_at(&mut parts, 0).unwrap();
    assert_eq!(content(&*file), b"database");
}

pub(super) fn writing_nothing_changes_nothing(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"kept");
    for at in [0, 2, 4, 9] {
        file.write_all_at(&mut [], at).unwrap();
        write(&*file, at, b"");
        assert_eq!(content(&*file), b"kept", "at {at}");
    }
}

pub(super) fn zeros_overwrite_and_lengthen(files: &dyn Files, dir: &Path) {
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

pub(super) fn a_reservation_keeps_what_is_there_and_lengthens(files: &dyn Files, dir: &Path) {
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

pub(super) fn empty_ranges_change_nothing(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    write(&*file, 0, b"kept");
    for at in [0, 2, 4, 9] {
        file.fill_with_zeros(at, at).unwrap();
        file.reserve(at, at).unwrap();
        assert_eq!(content(&*file), b"kept", "at {at}");
    }
}

pub(super) fn long_contents_come_back(files: &dyn Files, dir: &Path) {
    let file = files.create(&dir.join("f")).unwrap();
    let bytes: Vec<u8> =
        (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (front, back) = bytes.split_at(777_777);
    file.write_all_at(&mut [IoSlice::new(front), IoSlice::new(back)], 4099).unwrap();
    assert_eq!(file.length().unwrap(), 4099 + bytes.len() as u64);
    assert_eq!(content(&*files.open(&dir.join("f")).unwrap())[4099..], bytes);
}

pub(super) fn syncs_change_nothing(files: &dyn Files, dir: &Path) {
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

pub(super) fn there_is_room_for_what_is_written(files: &dyn Files, dir: &Path) {
    assert!(files.free_bytes(dir).unwrap() > 4096);
    with(files, &dir.join("f"), &[1; 4096]);
}
