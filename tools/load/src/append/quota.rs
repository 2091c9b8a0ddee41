//! CPU quotas for threads (cgroup v1, whose `tasks` file takes threads): two cores then stand for many slow ones.
//!
//! Control groups outlive a program that is killed. Their names begin with `niagara-load-PID-`, so that the next run finds the ones
//! whose owner is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::output;

const ROOT: &str = "/sys/fs/cgroup/cpu";
/// Begins the name of whatever a measurement makes on the machine; then comes the process that made it.
pub const OWNED: &str = "niagara-load-";
/// A quota is given out anew this often, in microseconds. Shorter periods make the kernel's own work count, longer ones make a
/// thread stand still for longer than a heartbeat.
const PERIOD_MICROS: u64 = 50_000;
/// The kernel gives out no less.
const LEAST_MICROS: u64 = 1_000;

/// Control groups. They are removed when this is dropped, after their threads have ended.
pub(super) struct Quotas {
    /// Those inside others behind these.
    groups: Vec<PathBuf>,
}

impl Quotas {
    /// Nothing is held.
    pub fn none() -> Quotas {
        Quotas { groups: Vec::new() }
    }

    /// None yet, where there can be some.
    ///
    /// # Errors
    /// When this machine has no quotas for single threads.
    pub fn new() -> Result<Quotas, Failure> {
        if !Path::new(ROOT).join("tasks").exists() {
            return Err(Failure::new(format!(
                "quotas for single threads need cgroup v1's controller `cpu` at {ROOT}, and this machine has none there"
            )));
        }
        remove_leftovers()?;
        Ok(Quotas::none())
    }

    /// A group for threads that together have this many percent of a core, named by its first thread or its process.
    pub fn group(&mut self, named: u32, percent: f64) -> Result<PathBuf, Failure> {
        let owner = std::process::id();
        self.make(Path::new(ROOT).join(format!("{OWNED}{owner}-{named}")), percent)
    }

    /// A group inside another one, whose threads have no more than this many percent of a core even if the outer one has more.
    pub fn group_within(&mut self, outer: &Path, named: u32, percent: f64) -> Result<PathBuf, Failure> {
        self.make(outer.join(named.to_string()), percent)
    }

    fn make(&mut self, group: PathBuf, percent: f64) -> Result<PathBuf, Failure> {
        let quota = (PERIOD_MICROS as f64 * percent / 100.0) as u64;
        if quota < LEAST_MICROS {
            let least = 100.0 * LEAST_MICROS as f64 / PERIOD_MICROS as f64;
            return Err(Failure::new(format!(
                "a CPU quota of {percent} % of a core is less than the kernel gives out: ask for {least} % at least"
            )));
        }
        let failed =
            || format!("cannot make the control group {} with a CPU quota (it needs root)", group.display());
        fs::create_dir(&group).map_err(Failure::io(failed()))?;
        self.groups.push(group.clone());
        for (file, value) in [("cpu.cfs_period_us", PERIOD_MICROS), ("cpu.cfs_quota_us", quota)] {
            fs::write(group.join(file), value.to_string()).map_err(Failure::io(failed()))?;
        }
        Ok(group)
    }
}

/// Moves a thread into a group.
pub(super) fn hold(group: &Path, thread: u32) -> Result<(), Failure> {
    let failed = format!("cannot move the thread {thread} into {}", group.display());
    fs::write(group.join("tasks"), thread.to_string()).map_err(Failure::io(failed))
}

impl Drop for Quotas {
    fn drop(&mut self) {
        for group in self.groups.iter().rev() {
            if let Err(error) = remove(group) {
                output::note(format_args!("{} stays behind: {error}", group.display()));
            }
        }
    }
}

/// A thread that has just ended counts for a moment more.
fn remove(group: &Path) -> std::io::Result<()> {
    for _ in 0..50 {
        if fs::remove_dir(group).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(2));
    }
    fs::remove_dir(group)
}

/// Removes the control groups of runs that were killed, and says which. What still runs in one goes on, without a quota.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_leftovers() -> Result<Vec<PathBuf>, Failure> {
    let Ok(listing) = fs::read_dir(ROOT) else { return Ok(Vec::new()) };
    let mut removed = Vec::new();
    for group in listing.flatten() {
        let name = group.file_name();
        let Some(owner) = name.to_str().and_then(owner_of) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            remove_with_inner(&group.path())?;
            removed.push(group.path());
        }
    }
    Ok(removed)
}

fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(OWNED)?.split_once('-')?.0.parse().ok()
}

fn remove_with_inner(group: &Path) -> Result<(), Failure> {
    let failed = || format!("cannot remove the control group {} of an earlier run", group.display());
    for inner in fs::read_dir(group).map_err(Failure::io(failed()))?.flatten() {
        if inner.path().is_dir() {
            remove_with_inner(&inner.path())?;
        }
    }
    let tasks = fs::read_to_string(group.join("tasks")).map_err(Failure::io(failed()))?;
    for task in tasks.lines() {
        // It can end meanwhile, and then needs no other place.
        let _ = fs::write(Path::new(ROOT).join("tasks"), task);
    }
    remove(group).map_err(Failure::io(failed()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_names_of_runs_have_owners() {
        assert_eq!(owner_of("niagara-load-77-1234"), Some(77));
        assert_eq!(owner_of("niagara-load-x-1234"), None);
        assert_eq!(owner_of("docker-77-1234"), None);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_runs_in_it_goes_on() {
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let group = Path::new(ROOT).join(format!("{OWNED}{}-1", ended.id()));
        let inner = group.join("2");
        if let Err(error) = fs::create_dir_all(&inner) {
            println!("skipped: {ROOT}: {error}");
            return;
        }
        let mut running = Command::new("sleep").arg("60").spawn().unwrap();
        hold(&inner, running.id()).unwrap();
        let removed = remove_leftovers();
        let goes_on = running.try_wait().unwrap().is_none();
        running.kill().unwrap();
        running.wait().unwrap();
        // Another test's session may have removed them first.
        assert!(goes_on && removed.is_ok() && !group.exists());
    }
}
