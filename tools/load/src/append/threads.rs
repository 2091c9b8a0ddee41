//! CPU time of a process's threads, by what they do.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;

use procfs::process::{Process, Stat, Task};
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
    let named = |(task, stat): (Task, Stat)| (task.tid.cast_unsigned(), stat.comm);
    Ok(tasks_of(process)?.map(named).collect())
}

/// A thread can end while it is looked at: then it is left out.
fn tasks_of(process: u32) -> Result<impl Iterator<Item = (Task, Stat)>, Failure> {
    let tasks = Process::new(process.cast_signed())?.tasks()?;
    Ok(tasks.flatten().filter_map(|task| task.stat().ok().map(|stat| (task, stat))))
}

/// CPU time of a process since its start, by the names of its threads.
///
/// How much it is in all comes from `schedstat`, in nanoseconds; how it splits into user and kernel from `stat`, which counts in
/// steps of 10 ms.
pub(super) fn cpu_of(process: u32) -> Result<BTreeMap<String, Cpu>, Failure> {
    let mut threads: BTreeMap<String, Cpu> = BTreeMap::new();
    for (task, stat) in tasks_of(process)? {
        let (Ok(scheduled), Ok(status)) = (task.schedstat(), task.status()) else { continue };
        let sleeps = status.voluntary_ctxt_switches.unwrap_or(0) as f64;
        *threads.entry(stat.comm).or_default() +=
            split(scheduled.sum_exec_runtime, stat.utime, stat.stime, sleeps);
    }
    Ok(threads)
}

fn split(nanos: u64, user_ticks: u64, kernel_ticks: u64, sleeps: f64) -> Cpu {
    let (user, kernel) = (user_ticks as f64, kernel_ticks as f64);
    let share = if user + kernel > 0.0 { user / (user + kernel) } else { 0.5 };
    let seconds = nanos as f64 / 1e9;
    Cpu { user: seconds * share, kernel: seconds * (1.0 - share), sleeps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_times_split_the_fine_one() {
        let cpu = split(400_000_000, 30, 10, 9.0);
        assert_eq!((cpu.sleeps, (cpu.user * 10.0).round(), (cpu.kernel * 10.0).round()), (9.0, 3.0, 1.0));
    }

    #[test]
    fn this_process_has_used_some() {
        let all = cpu_of(std::process::id()).unwrap();
        assert!(all.values().map(|cpu| cpu.user + cpu.kernel).sum::<f64>() > 0.0);
    }
}
