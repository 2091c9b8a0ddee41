//! What may be left when the power fails, after any operations in any order: [`Promised`] goes along with them, and says
//! afterwards whether what is found was promised.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::{Files, LogFile};
use niagara_testing::parts::chance::Chance;
use niagara_tests::rounds;
use niagara_tests::sim::Disk;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::held::{Held, brief};
use super::ops::{DIRS, NAMES, Op, ops};
use super::promises::content_of;

/// What was seen of losses: a check that has never met any proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub names_lost: u64,
    pub names_kept: u64,
    pub contents_lost: u64,
    pub contents_kept: u64,
    pub contents_torn: u64,
}

/// What is promised to be found.
pub struct Promised {
    dir: PathBuf,
    /// What each name has been since its directory was synced: a file, or nothing. The last is what it is.
    names: BTreeMap<PathBuf, Vec<Option<usize>>>,
    held: Vec<Held>,
    handles: Vec<Arc<dyn LogFile>>,
    dirs: BTreeSet<PathBuf>,
}

impl Promised {
    /// Nothing, in a directory that is made.
    pub fn new(files: &dyn Files, dir: &Path) -> Promised {
        let mut promised = Promised {
            dir: dir.to_owned(),
            names: BTreeMap::new(),
            held: Vec::new(),
            handles: Vec::new(),
            dirs: (0..DIRS).map(|number| dir.join(number.to_string())).collect(),
        };
        promised.dirs.iter().for_each(|dir| files.create_dir(dir).unwrap());
        for name in 0..DIRS * NAMES {
            let path = promised.path(name);
            promised.names.insert(path, vec![None]);
        }
        promised
    }

    fn path(&self, name: usize) -> PathBuf {
        self.dir.join(format!("{}/f{}", name / NAMES, name % NAMES))
    }

    fn is(&self, name: usize) -> Option<usize> {
        *self.names[&self.path(name)].last().expect("a name is something")
    }

    fn becomes(&mut self, name: usize, file: Option<usize>) {
        let path = self.path(name);
        self.names.get_mut(&path).expect("all names are there").push(file);
    }

    /// Does something to the files, and notes what that means. What is to be done to a file that is not there is not done.
    pub fn follow(&mut self, files: &dyn Files, op: &Op) {
        match op {
            Op::Create(name) => {
                let handle = files.create(&self.path(*name)).unwrap();
                if let Some(file) = self.is(*name) {
                    self.handles[file] = handle;
                    self.held[file].changes(Vec::clear);
                    self.held[file].written = 0;
                } else {
                    self.handles.push(handle);
                    self.held.push(Held::default());
                    self.becomes(*name, Some(self.held.len() - 1));
                }
            }
            Op::SyncDir(dir) => {
                let dir = self.dir.join(dir.to_string());
                files.sync_dir(&dir).unwrap();
                for (_, been) in self.names.iter_mut().filter(|(path, _)| path.starts_with(&dir)) {
                    been.drain(..been.len() - 1);
                }
            }
            Op::CreateDir(dir) => {
                let dir = self.dir.join(format!("{dir}/d/{}/deep", self.dirs.len()));
                files.create_dir(&dir).unwrap();
                self.dirs.insert(dir);
            }
            Op::Cut => {}
            Op::Write { name, .. }
            | Op::Zeros { name, .. }
            | Op::Reserve { name, .. }
            | Op::SyncData(name)
            | Op::SyncAll(name)
            | Op::Rename(name, _)
            | Op::Remove(name) => {
                if let Some(file) = self.is(*name) {
                    self.follow_to(files, op, *name, file);
                }
            }
        }
    }

    fn follow_to(&mut self, files: &dyn Files, op: &Op, name: usize, file: usize) {
        let (handle, held) = (Arc::clone(&self.handles[file]), &mut self.held[file]);
        match op {
            Op::Write { at, parts, .. } => {
                let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                handle.write_all_at(&mut slices, *at as u64).unwrap();
                held.write(*at, &parts.concat());
            }
            Op::Zeros { from, length, .. } => {
                handle.fill_with_zeros(*from as u64, (from + length) as u64).unwrap();
                held.write(*from, &vec![0; *length]);
            }
            Op::Reserve { from, length, .. } => {
                handle.reserve(*from as u64, (from + length) as u64).unwrap();
                let end = if *length == 0 { 0 } else { from + length };
                held.changes(|now| now.resize(now.len().max(end), 0));
            }
            Op::SyncData(_) => {
                handle.sync_data().unwrap();
                let least = held.written;
                held.synced();
                held.lengths.0 = least;
            }
            Op::SyncAll(_) => {
                handle.sync_all().unwrap();
                held.synced();
            }
            Op::Rename(_, to) => {
                files.rename(&self.path(name), &self.path(*to)).unwrap();
                self.becomes(name, None);
                self.becomes(*to, Some(file));
            }
            Op::Remove(_) => {
                files.remove(&self.path(name)).unwrap();
                self.becomes(name, None);
            }
            Op::Create(_) | Op::SyncDir(_) | Op::CreateDir(_) | Op::Cut => unreachable!("not of one file"),
        }
    }

    /// Whether what a loss of power has left was promised.
    pub fn check(&self, files: &dyn Files, dir: &Path, seen: &mut Seen) -> Result<(), TestCaseError> {
        let moved = |path: &Path| dir.join(path.strip_prefix(&self.dir).expect("all is in there"));
        for dir in &self.dirs {
            prop_assert!(files.list(&moved(dir)).is_ok(), "{dir:?} is gone");
        }
        for (path, been) in &self.names {
            let found = content_of(files, &moved(path));
            let listed = files.list(moved(path).parent().expect("it is in a directory")).unwrap();
            prop_assert_eq!(
                listed.contains(&moved(path)),
                found.is_some(),
                "{:?} is listed if it is there",
                path
            );
            let fits = |file: &Option<usize>| match (file, &found) {
                (None, None) => true,
                (Some(file), Some(content)) => self.held[*file].may_be(content),
                _ => false,
            };
            prop_assert!(been.iter().any(fits), "{path:?} holds {}, of {}", brief(&found), self.brief(been));
            self.note(been, found.as_ref(), fits, seen);
        }
        Ok(())
    }

    fn note(
        &self,
        been: &[Option<usize>],
        found: Option<&Vec<u8>>,
        fits: impl Fn(&Option<usize>) -> bool,
        seen: &mut Seen,
    ) {
        let now = been.last().expect("a name is something");
        match fits(now) {
            false => seen.names_lost += 1,
            true => seen.names_kept += u64::from(been.len() > 1),
        }
        if let ([Some(file)], Some(found)) = (been, found)
            && !self.held[*file].before.is_empty()
        {
            let held = &self.held[*file];
            match (held.now == *found, held.before.contains(found)) {
                (true, _) => seen.contents_kept += 1,
                (false, true) => seen.contents_lost += 1,
                (false, false) => seen.contents_torn += 1,
            }
        }
    }

    /// The power has failed, and what is found now is durable.
    fn begins_anew(&mut self, files: &dyn Files) {
        let paths: Vec<PathBuf> = self.names.keys().cloned().collect();
        for path in paths {
            let found = content_of(files, &path).map(|content| {
                self.held.push(Held::of(content));
                self.handles.push(files.open(&path).unwrap());
                self.held.len() - 1
            });
            self.names.insert(path, vec![found]);
        }
    }

    fn brief(&self, been: &[Option<usize>]) -> String {
        let held = |file: &Option<usize>| match file {
            None => "nothing".to_owned(),
            Some(file) => {
                let Held { now, lengths, .. } = &self.held[*file];
                format!("file {file} ({}, long {lengths:?})", brief(&Some(now.clone())))
            }
        };
        been.iter().map(held).collect::<Vec<_>>().join(", ")
    }
}

/// Runs a property on so many cases.
pub fn for_all<T: Debug>(
    cases: u32,
    of: &impl Strategy<Value = T>,
    holds: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(of, holds) {
        panic!("{failure}");
    }
}

#[test]
fn the_simulated_disk_keeps_what_was_synced_and_promises_nothing_else() {
    let seen = RefCell::new(Seen::default());
    for_all(rounds(400) as u32, &(any::<u64>(), ops(1, 40), ops(1, 20)), |(seed, before, after)| {
        let (disk, dir) = (Disk::new(Chance::new(seed)), Path::new("d"));
        let mut promised = Promised::new(&disk, dir);
        for (ops, is_last) in [(&before, false), (&after, true)] {
            for op in ops {
                promised.follow(&disk, op);
                if matches!(op, Op::Cut) {
                    disk.process_ends();
                    let image = disk.image();
                    disk.power_fails();
                    promised.check(&disk, dir, &mut seen.borrow_mut())?;
                    disk.put_back(image);
                }
            }
            disk.power_fails();
            promised.check(&disk, dir, &mut seen.borrow_mut())?;
            if !is_last {
                promised.begins_anew(&disk);
            }
        }
        Ok(())
    });
    let Seen { names_lost, names_kept, contents_lost, contents_kept, contents_torn } = seen.into_inner();
    let all = [names_lost, names_kept, contents_lost, contents_kept, contents_torn];
    assert!(all.iter().all(|times| *times > 0), "the disk is too kind, or too harsh: {all:?}");
}

/// No loss leaves a file without a name whose renaming was not synced, nor two names with it, nor a name without a file.
#[test]
fn a_renaming_on_the_simulated_disk_is_whole_or_has_not_been() {
    for replaces in [false, true] {
        let mut outcomes = BTreeSet::new();
        for seed in 0..100 {
            let (disk, dir) = (Disk::new(Chance::new(seed)), Path::new("d"));
            disk.create_dir(dir).unwrap();
            for (name, content) in [("a", b"new"), ("b", b"old")].into_iter().take(1 + usize::from(replaces))
            {
                let file = disk.create(&dir.join(name)).unwrap();
                file.write_all_at(&mut [IoSlice::new(content)], 0).unwrap();
                file.sync_all().unwrap();
            }
            disk.sync_dir(dir).unwrap();
            disk.rename(&dir.join("a"), &dir.join("b")).unwrap();
            disk.power_fails();
            outcomes.insert(["a", "b"].map(|name| content_of(&disk, &dir.join(name))));
        }
        let old = replaces.then(|| b"old".to_vec());
        let expected = [[Some(b"new".to_vec()), old], [None, Some(b"new".to_vec())]];
        assert_eq!(outcomes, expected.into_iter().collect());
    }
}
