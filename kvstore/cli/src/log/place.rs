//! Which logs a directory holds, and whether a server runs on them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

/// The logs' directories in a data directory, in order of epochs and groups, but for those of epochs that are over, which
/// hold nothing. For the directory of an epoch, those of its groups; for a group's directory, that directory.
pub fn logs_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = names_in(dir)?;
    if has_segments(&names) {
        return Ok(vec![dir.to_owned()]);
    }
    let mut logs = numbered::<u16>(dir, &names, "group-");
    for epoch in numbered::<u32>(dir, &names, "epoch-") {
        logs.extend(numbered::<u16>(&epoch, &names_in(&epoch)?, "group-"));
    }
    if logs.is_empty() {
        return Err(unusable(&format!("{} holds neither a log nor groups with logs", dir.display())));
    }
    let mut held = Vec::with_capacity(logs.len());
    for log in &logs {
        if has_segments(&names_in(log)?) {
            held.push(log.clone());
        }
    }
    Ok(if held.is_empty() { logs } else { held })
}

/// Whether a directory with these names in it holds files of a log.
fn has_segments(names: &[String]) -> bool {
    names.iter().any(|name| name.ends_with(".log"))
}

/// What of these names in a directory is this prefix and a number, in order of the numbers.
fn numbered<N: FromStr + Ord>(dir: &Path, names: &[String], prefix: &str) -> Vec<PathBuf> {
    let number = |name: &String| name.strip_prefix(prefix).and_then(|number| number.parse::<N>().ok());
    let mut found: Vec<(N, &String)> =
        names.iter().filter_map(|name| number(name).map(|number| (number, name))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| dir.join(name)).collect()
}

fn names_in(dir: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| unusable(&format!("cannot list {}: {error}", dir.display())))?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
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
    // It may be the data directory, the directory of an epoch or of a group in it, or that of a group in an epoch's.
    ["LOCK", "../LOCK", "../../LOCK"].iter().any(|lock| is_held(dir.join(lock)))
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
        assert_eq!(&logs_in(dir.path()).unwrap(), std::slice::from_ref(group), "the other one holds nothing");
    }

    #[test]
    fn logs_of_later_epochs_follow() {
        let dir = tempfile::tempdir().unwrap();
        let logs = ["group-1", "epoch-9/group-1", "epoch-9/group-2", "epoch-10/group-1"];
        for name in logs {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        assert_eq!(logs_in(dir.path()).unwrap(), logs.map(|name| dir.path().join(name)));
        for name in &logs[1..] {
            fs::write(dir.path().join(name).join("0000000000000001.log"), "").unwrap();
        }
        assert_eq!(
            logs_in(dir.path()).unwrap(),
            logs[1..].iter().map(|name| dir.path().join(name)).collect::<Vec<_>>()
        );
        assert_eq!(logs_in(&dir.path().join("epoch-9")).unwrap().len(), 2);
        let lock = File::create(dir.path().join("LOCK")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(is_in_use(&dir.path().join("epoch-9/group-1")));
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
