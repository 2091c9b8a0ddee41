//! What is promised of directories and names.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use niagara_log::Files;

use super::promises::{content, content_of, fails, names, with, write};

pub(super) fn create_dir_makes_all_above_and_bears_repetition(files: &dyn Files, dir: &Path) {
    let deep = dir.join("a/b/c");
    files.create_dir(&deep).unwrap();
    with(files, &deep.join("f"), b"kept");
    files.create_dir(&deep).unwrap();
    files.create_dir(&dir.join("a")).unwrap();
    assert_eq!(content_of(files, &deep.join("f")).unwrap(), b"kept");
    assert_eq!(names(files, &dir.join("a")), [dir.join("a/b")]);
}

pub(super) fn create_dir_fails_where_there_is_a_file(files: &dyn Files, dir: &Path) {
    with(files, &dir.join("f"), b"kept");
    fails(files.create_dir(&dir.join("f")), ErrorKind::AlreadyExists);
    assert!(files.create_dir(&dir.join("f/below")).is_err());
    assert_eq!(content_of(files, &dir.join("f")).unwrap(), b"kept");
}

pub(super) fn list_names_what_is_in_a_directory_and_nothing_below(files: &dyn Files, dir: &Path) {
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

pub(super) fn what_is_absent_is_not_found(files: &dyn Files, dir: &Path) {
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

pub(super) fn a_directory_is_no_file(files: &dyn Files, dir: &Path) {
    let below = dir.join("d");
    files.create_dir(&below).unwrap();
    fails(files.open(&below), ErrorKind::IsADirectory);
    fails(files.create(&below), ErrorKind::IsADirectory);
    fails(files.remove(&below), ErrorKind::IsADirectory);
    assert_eq!(names(files, dir), [below]);
}

pub(super) fn create_empties_what_is_there(files: &dyn Files, dir: &Path) {
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

pub(super) fn open_changes_nothing(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    fails(files.open(&path), ErrorKind::NotFound);
    assert_eq!(names(files, dir), [] as [PathBuf; 0], "nothing was created");
    with(files, &path, b"kept");
    let file = files.open(&path).unwrap();
    assert_eq!(content(&*file), b"kept");
    write(&*file, 4, b" and written");
    assert_eq!(content_of(files, &path).unwrap(), b"kept and written");
}

pub(super) fn rename_replaces(files: &dyn Files, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    with(files, &from, b"new");
    files.rename(&from, &to).unwrap();
    assert_eq!((content_of(files, &from), content_of(files, &to).unwrap()), (None, b"new".to_vec()));
    with(files, &from, b"newer");
    files.rename(&from, &to).unwrap();
    assert_eq!((content_of(files, &from), content_of(files, &to).unwrap()), (None, b"newer".to_vec()));
    assert_eq!(names(files, dir), [to]);
}

pub(super) fn rename_to_the_same_name_changes_nothing(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    with(files, &path, b"kept");
    files.rename(&path, &path).unwrap();
    assert_eq!(content_of(files, &path).unwrap(), b"kept");
}

pub(super) fn a_failed_rename_changes_nothing(files: &dyn Files, dir: &Path) {
    with(files, &dir.join("to"), b"kept");
    fails(files.rename(&dir.join("absent"), &dir.join("to")), ErrorKind::NotFound);
    assert_eq!(content_of(files, &dir.join("to")).unwrap(), b"kept");
    files.create_dir(&dir.join("d")).unwrap();
    assert!(files.rename(&dir.join("to"), &dir.join("d")).is_err(), "a file takes no directory's place");
    assert_eq!(content_of(files, &dir.join("to")).unwrap(), b"kept");
}

pub(super) fn a_handle_outlives_the_name(files: &dyn Files, dir: &Path) {
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

pub(super) fn salts_differ(files: &dyn Files, _: &Path) {
    let salts: std::collections::BTreeSet<u64> = (0..100).map(|_| files.salt()).collect();
    assert_eq!(salts.len(), 100);
}
