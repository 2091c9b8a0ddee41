//! CPU quotas for single threads (cgroup v1, whose `tasks` file takes threads): two cores then stand for many slow ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::threads::threads_of;
use crate::failure::Failure;

const ROOT: &str = "/sys/fs/cgroup/cpu";
/// A quota is given out anew this often, in microseconds. Shorter periods make the kernel's own work count, longer ones make a
/// thread stand still for longer than a heartbeat.
const PERIOD_MICROS: u64 = 50_000;

/// Control groups, one for each thread of a group. They are removed when this is dropped, after their threads have ended.
pub(super) struct Quotas {
    groups: Vec<PathBuf>,
}

impl Quotas {
    /// Holds each group's thread of these processes to so many percent of a core.
    pub fn hold_groups(processes: &[u32], percent: f64) -> Result<Quotas, Failure> {
        let mut quotas = Quotas { groups: Vec::new() };
        for &process in processes {
            for (thread, name) in threads_of(process)? {
                if name.starts_with("group-") {
                    quotas.hold(thread, percent)?;
                }
            }
        }
        Ok(quotas)
    }

    fn hold(&mut self, thread: u32, percent: f64) -> Result<(), Failure> {
        let group = Path::new(ROOT).join(format!("niagara-load-{thread}"));
        let quota = (PERIOD_MICROS as f64 * percent / 100.0) as u64;
        let failed = || {
            format!(
                "--group-quota: cannot make a control group in {ROOT} (it needs root and cgroup v1's controller `cpu`)"
            )
        };
        fs::create_dir(&group).map_err(Failure::io(failed()))?;
        self.groups.push(group.clone());
        let settings =
            [("cpu.cfs_period_us", PERIOD_MICROS), ("cpu.cfs_quota_us", quota), ("tasks", thread.into())];
        for (file, value) in settings {
            fs::write(group.join(file), value.to_string()).map_err(Failure::io(failed()))?;
        }
        Ok(())
    }
}

impl Drop for Quotas {
    fn drop(&mut self) {
        for group in &self.groups {
            if let Err(error) = fs::remove_dir(group) {
                eprintln!("niagara-load: {} stays behind: {error}", group.display());
            }
        }
    }
}
