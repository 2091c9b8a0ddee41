//! Which logs a directory holds, and whether a server runs on them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

/// The logs' directories in a data directory, in order of the groups. For a group's directory, that
/// directory.
pub fn logs_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut groups = Vec::new();
    let mut has_segments = false;
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(|error| unusable(&format!("cannot list {}: {error}", dir.display())))? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(number) = name.strip_prefix("group-").and_then(|number| number.parse::<u16>().ok()) {
            groups.push((number, entry.path()));
        }
        has_segments |= name.ends_with(".log");
    }
    groups.sort_unstable();
    match groups.is_empty() {
        false => Ok(groups.into_iter().map(|(_, path)| path).collect()),
        true if has_segments => Ok(vec![dir.to_owned()]),
        true => Err(unusable(&format!("{} holds neither a log nor groups with logs", dir.display()))),
    }
}

fn unusable(what: &str) -> Failure {
    Failure::new(
        what,
        "name a server's data directory, such as data-1, or a group's directory in it, such as data-1/group-1",
    )
}

/// Whether a server runs on these logs, as far as can be seen: it locks a file in the data directory. The
/// check holds a shared lock for a moment.
pub fn is_in_use(dir: &Path) -> bool {
    let is_held = |path: PathBuf| {
        File::open(path).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
        })
    };
    is_held(dir.join("LOCK")) || is_held(dir.join("..").join("LOCK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_in_order_and_a_group_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["group-10", "group-2", "snapshots", "group-x"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let logs = logs_in(dir.path()).unwrap();
        assert_eq!(logs, [dir.path().join("group-2"), dir.path().join("group-10")]);
        let group = &logs[0];
        assert!(logs_in(group).unwrap_err().what.contains("neither a log nor groups"));
        fs::write(group.join("0000000000000001.log"), "").unwrap();
        assert_eq!(&logs_in(group).unwrap(), std::slice::from_ref(group));
        assert!(logs_in(&dir.path().join("none")).unwrap_err().what.contains("cannot list"));
    }

    #[test]
    fn a_lock_that_is_held_is_noticed_from_both_directories() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("group-1");
        fs::create_dir(&group).unwrap();
        assert!(!is_in_use(dir.path()), "there is no lock");
        let lock = File::create(dir.path().join("LOCK")).unwrap();
        assert!(!is_in_use(dir.path()), "nobody holds it");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(is_in_use(dir.path()) && is_in_use(&group));
    }
}
