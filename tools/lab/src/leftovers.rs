//! What a run makes outside of its results' directory, and the removal of what a killed run has left.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process;

use niagara_load::Failure;
use niagara_load::append;
use rustix::process::geteuid;
use tempfile::TempDir;

/// Begins the name of each temporary directory; then comes the process that made it.
const PREFIX: &str = "niagara-lab-";
/// The same for those of the append measurements.
const APPEND_PREFIX: &str = append::OWNED;

/// A temporary directory, removed when it is dropped, or by the next run.
pub(super) fn directory() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", process::id()))
        .tempdir()
        .map_err(Failure::io("cannot make a directory for the servers' data (TMPDIR names another place)"))
}

/// Removes what runs have left that are gone. Those that are still alive are left alone.
pub(super) fn remove() -> Result<(), Failure> {
    if geteuid().is_root() {
        // First, since this ends the processes that may still write into the directories.
        niagara_namespaces::remove_leftovers().map_err(|error| {
            Failure::new(format!(
                "cannot remove what an earlier run may have left: {error}; install iproute2"
            ))
        })?;
        append::remove_leftovers()?;
    }
    remove_directories(&env::temp_dir())
}

fn remove_directories(parent: &Path) -> Result<(), Failure> {
    let failed = || format!("cannot remove what an earlier run has left in {}", parent.display());
    for entry in fs::read_dir(parent).map_err(Failure::io(failed()))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix(APPEND_PREFIX));
        let owner = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            match fs::remove_dir_all(entry.path()) {
                // It is another user's, and so is its removal.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                removed => removed.map_err(Failure::io(failed()))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_processes_that_are_gone_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-a", process::id());
        let names =
            [&own, "niagara-lab-4294967295-b", "niagara-load-4294967295-b", "niagara-lab-fig5-2026", "other"];
        names.iter().for_each(|name| fs::create_dir(parent.path().join(name)).unwrap());
        remove_directories(parent.path()).unwrap();
        let left: Vec<bool> = names.iter().map(|name| parent.path().join(name).exists()).collect();
        assert_eq!(left, [true, false, false, true, true]);
    }
}
