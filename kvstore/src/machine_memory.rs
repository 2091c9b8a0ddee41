//! How much memory this process may use: the machine's, or that of its control group.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::system::sysinfo;

/// Where control groups are, of the second and of the first version.
const UNIFIED: &str = "/sys/fs/cgroup";
const MEMORY: &str = "/sys/fs/cgroup/memory";

/// The least of all limits, in bytes.
pub(crate) fn usable_bytes() -> u64 {
    let system = sysinfo();
    let machine = (system.totalram as u64).saturating_mul(system.mem_unit.into());
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_files(&groups).filter_map(|file| limit_in(&file)).fold(machine, u64::min)
}

/// The files with the limits of a process's groups, and of those above, by what the system says of the process. In a
/// container, only the topmost may be visible.
fn limit_files(groups: &str) -> impl Iterator<Item = PathBuf> {
    groups.lines().flat_map(|line| {
        let parts = line.split_once(':').and_then(|(_, rest)| rest.split_once(':'));
        let Some((controllers, path)) = parts else { return Vec::new() };
        let (root, file) = match controllers {
            "" => (UNIFIED, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (MEMORY, "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        groups.map(|group| Path::new(root).join(group).join(file)).collect()
    })
}

/// `None`: it is not there, or says that there is no limit.
fn limit_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_limited_by_those_above_it() {
        let files = |groups| limit_files(groups).map(|file| file.display().to_string()).collect::<Vec<_>>();
        let unified =
            ["/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max", "/sys/fs/cgroup/memory.max"];
        assert_eq!(files("0::/a/b\n"), unified);
        let first = "12:cpu,cpuacct:/x\n5:memory:/docker\n1:name=systemd:/y\n";
        let limits = ["docker/memory.limit_in_bytes", "memory.limit_in_bytes"];
        assert_eq!(files(first), limits.map(|file| format!("{MEMORY}/{file}")));
        assert!(files("nonsense").is_empty());
    }

    #[test]
    fn there_is_some_and_a_word_is_no_limit() {
        assert!(usable_bytes() > 1 << 20);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory.max");
        for (text, limit) in [("max\n", None), ("1048576\n", Some(1 << 20))] {
            fs::write(&file, text).unwrap();
            assert_eq!(limit_in(&file), limit);
        }
    }
}
