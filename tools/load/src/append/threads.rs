//! CPU time of a process's threads, by what they do.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Sum;
use std::ops::AddAssign;
use std::path::PathBuf;

use niagara_measure::CpuTime;
use serde::Serialize;

use crate::failure::Failure;

/// What a thread of a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadKind {
    /// Raft, sockets, and the log where it is written without syncs.
    Group,
    /// Writing and syncing the log.
    Log,
    /// The merge.
    Sequencer,
    /// Execution, and completion of tickets.
    Application,
    /// What makes commands and takes completions, in the place of a front end.
    FrontEnd,
    /// All others.
    Other,
}

impl ThreadKind {
    /// In the order in which a command meets them.
    pub const ALL: [ThreadKind; 6] = [
        ThreadKind::FrontEnd,
        ThreadKind::Group,
        ThreadKind::Log,
        ThreadKind::Sequencer,
        ThreadKind::Application,
        ThreadKind::Other,
    ];

    /// The kind of the thread with this name.
    pub(super) fn of(name: &str) -> ThreadKind {
        match name {
            "sequencer" => ThreadKind::Sequencer,
            "application" => ThreadKind::Application,
            "origin" => ThreadKind::FrontEnd,
            _ if name.starts_with("group-") => ThreadKind::Group,
            _ if name.starts_with("log-") => ThreadKind::Log,
            _ => ThreadKind::Other,
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            ThreadKind::Group => "group",
            ThreadKind::Log => "log",
            ThreadKind::Sequencer => "sequencer",
            ThreadKind::Application => "application",
            ThreadKind::FrontEnd => "front end",
            ThreadKind::Other => "other",
        }
    }
}

/// CPU time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Cpu {
    pub user: f64,
    pub kernel: f64,
    /// Times that a thread went to sleep.
    pub sleeps: f64,
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, other: Cpu) {
        self.user += other.user;
        self.kernel += other.kernel;
        self.sleeps += other.sleeps;
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Cpu>>(parts: I) -> Cpu {
        parts.fold(Cpu::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}

/// Threads of one process: number and name.
pub(super) fn threads_of(process: u32) -> Result<Vec<(u32, String)>, Failure> {
    let tasks = PathBuf::from(format!("/proc/{process}/task"));
    let listing = fs::read_dir(&tasks).map_err(Failure::io(format!("cannot list {}", tasks.display())))?;
    let mut threads = Vec::new();
    for task in listing.flatten() {
        let Some(thread) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A thread can end while it is looked at.
        if let Ok(name) = fs::read_to_string(task.path().join("comm")) {
            threads.push((thread, name.trim_end().to_owned()));
        }
    }
    Ok(threads)
}

/// CPU time of a process since its start, by the names of its threads.
///
/// How much it is in all comes from `schedstat`, in nanoseconds; how it splits into user and kernel from `stat`, which counts in
/// steps of 10 ms.
pub(super) fn cpu_of(process: u32) -> Result<BTreeMap<String, Cpu>, Failure> {
    let mut threads: BTreeMap<String, Cpu> = BTreeMap::new();
    for (thread, name) in threads_of(process)? {
        let file = |name: &str| fs::read_to_string(format!("/proc/{process}/task/{thread}/{name}"));
        let (Ok(schedstat), Ok(stat), Ok(status)) = (file("schedstat"), file("stat"), file("status")) else {
            continue;
        };
        let Some(cpu) = parse(&schedstat, &stat, &status) else {
            return Err(Failure::new("cannot read CPU times: this kernel writes /proc in another form"));
        };
        *threads.entry(name).or_default() += cpu;
    }
    Ok(threads)
}

fn parse(schedstat: &str, stat: &str, status: &str) -> Option<Cpu> {
    let nanos: f64 = schedstat.split(' ').next()?.parse().ok()?;
    let coarse = CpuTime::parse(stat)?;
    let (user, kernel) = (coarse.user.as_secs_f64(), coarse.kernel.as_secs_f64());
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    let share = if user + kernel > 0.0 { user / (user + kernel) } else { 0.5 };
    let seconds = nanos / 1e9;
    Some(Cpu { user: seconds * share, kernel: seconds * (1.0 - share), sleeps: sleeps.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "77 (a ) b) S 1 2 3 4 5 6 7 8 9 10 30 10 0 0 20 0 1 0";
        let cpu = parse("400000000 5 6\n", stat, "Name: x\nvoluntary_ctxt_switches:\t9\n").unwrap();
        assert_eq!((cpu.sleeps, (cpu.user * 10.0).round(), (cpu.kernel * 10.0).round()), (9.0, 3.0, 1.0));
    }

    #[test]
    fn this_process_has_used_some() {
        let all = cpu_of(std::process::id()).unwrap();
        assert!(all.values().map(|cpu| cpu.user + cpu.kernel).sum::<f64>() > 0.0);
    }
}
