//! The list of the promises, with a check each: of names in [`directories`], of what is in files in [`contents`]. Every check gets a
//! directory of its own, which is empty.

use std::io::{ErrorKind, IoSlice, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use niagara_log::{Files, LogFile};

use super::{contents, direct, directories};

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
    (
        "create_dir_makes_all_above_and_bears_repetition",
        directories::create_dir_makes_all_above_and_bears_repetition,
    ),
    ("create_dir_fails_where_there_is_a_file", directories::create_dir_fails_where_there_is_a_file),
    (
        "list_names_what_is_in_a_directory_and_nothing_below",
        directories::list_names_what_is_in_a_directory_and_nothing_below,
    ),
    ("what_is_absent_is_not_found", directories::what_is_absent_is_not_found),
    ("a_directory_is_no_file", directories::a_directory_is_no_file),
    ("create_empties_what_is_there", directories::create_empties_what_is_there),
    ("open_changes_nothing", directories::open_changes_nothing),
    ("rename_replaces", directories::rename_replaces),
    ("rename_to_the_same_name_changes_nothing", directories::rename_to_the_same_name_changes_nothing),
    ("a_failed_rename_changes_nothing", directories::a_failed_rename_changes_nothing),
    ("a_handle_outlives_the_name", directories::a_handle_outlives_the_name),
    ("all_handles_are_one_file", contents::all_handles_are_one_file),
    ("reads_end_at_the_end", contents::reads_end_at_the_end),
    ("writes_behind_the_end_leave_zeros", contents::writes_behind_the_end_leave_zeros),
    ("parts_stand_one_behind_the_other", contents::parts_stand_one_behind_the_other),
    ("more_parts_than_a_system_call_takes", contents::more_parts_than_a_system_call_takes),
    ("parts_without_bytes_are_passed_over", contents::parts_without_bytes_are_passed_over),
    ("writing_nothing_changes_nothing", contents::writing_nothing_changes_nothing),
    ("zeros_overwrite_and_lengthen", contents::zeros_overwrite_and_lengthen),
    (
        "a_reservation_keeps_what_is_there_and_lengthens",
        contents::a_reservation_keeps_what_is_there_and_lengthens,
    ),
    ("empty_ranges_change_nothing", contents::empty_ranges_change_nothing),
    ("long_contents_come_back", contents::long_contents_come_back),
    ("direct_writes_are_seen_by_all_handles", direct::direct_writes_are_seen_by_all_handles),
    ("direct_files_have_to_be_there", direct::direct_files_have_to_be_there),
    ("syncs_change_nothing", contents::syncs_change_nothing),
    ("there_is_room_for_what_is_written", contents::there_is_room_for_what_is_written),
    ("salts_differ", directories::salts_differ),
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

pub fn write(file: &dyn LogFile, at: u64, bytes: &[u8]) {
    file.write_all_at(&mut [IoSlice::new(bytes)], at).unwrap();
}

pub fn with(files: &dyn Files, path: &Path, bytes: &[u8]) {
    write(&*files.create(path).unwrap(), 0, bytes);
}

pub fn names(files: &dyn Files, dir: &Path) -> Vec<PathBuf> {
    let mut names = files.list(dir).unwrap();
    names.sort();
    names
}

#[track_caller]
pub fn fails<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("it succeeds"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}
