//! Which cores the threads of a measured cluster have.
//!
//! | cores of a server | what has them | what floats |
//! |---|---|---|
//! | one per group | each group's thread one to itself | sequencer, application, front end, and all others |
//! | N together | the whole server, as with `taskset -c 0..N-1` | the front end, which stands for clients |
//!
//! A core is one of the machine's, or a share of one: a CPU quota. N quotas together are not N cores yet: one thread would use them
//! all. So each thread is held to one quota, and all of a server's together to N.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::demand::SERVERS;
use super::quota::{Quotas, hold};
use super::threads::{ThreadKind, threads_of};
use crate::failure::Failure;

/// Threads of a server beside those of groups that are busy under load: front end, sequencer, application.
const OTHERS: usize = 3;

/// What every server of a cluster runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// What a core is.
    pub core: Core,
    /// How many there are, and for what.
    pub cores: Cores,
}

/// What stands for a core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Core {
    /// So many percent of one of the machine's: needs root and cgroup v1.
    Quota(f64),
    /// One of the machine's.
    Real,
}

/// Cores of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One for each group's thread; all other threads float.
    PerGroup,
    /// So many for all threads of the server but the front end.
    Together(u16),
}

/// Whether this machine has a real core for every busy thread of three servers with so many cores for their groups.
pub fn real_cores_suffice(cores: u16) -> bool {
    let there = sched_getaffinity(None).map_or(0, |set| ids(&set).len());
    there >= SERVERS as usize * (usize::from(cores) + OTHERS)
}

impl Placement {
    /// Gives the threads of these servers, one process each, their cores. Quotas hold until what is returned is dropped.
    pub(super) fn apply(&self, processes: &[u32]) -> Result<Quotas, Failure> {
        match self.core {
            Core::Quota(percent) => self.hold(processes, percent),
            Core::Real => self.pin(processes).map(|()| Quotas::none()),
        }
    }

    /// Whether a thread of this name floats.
    fn floats(&self, name: &str) -> bool {
        match self.cores {
            Cores::PerGroup => ThreadKind::of(name) != ThreadKind::Group,
            Cores::Together(_) => ThreadKind::of(name) == ThreadKind::FrontEnd,
        }
    }

    fn hold(&self, processes: &[u32], percent: f64) -> Result<Quotas, Failure> {
        let mut quotas = Quotas::new()?;
        for &process in processes {
            let server = match self.cores {
                Cores::PerGroup => None,
                Cores::Together(cores) => Some(quotas.group(process, f64::from(cores) * percent)?),
            };
            for (thread, _) in threads_of(process)?.iter().filter(|(_, name)| !self.floats(name)) {
                let group = match &server {
                    None => quotas.group(*thread, percent)?,
                    Some(server) => quotas.group_within(server, *thread, percent)?,
                };
                hold(&group, *thread)?;
            }
        }
        Ok(quotas)
    }

    fn pin(&self, processes: &[u32]) -> Result<(), Failure> {
        let there = sched_getaffinity(None)
            .map_err(|error| Failure::new(format!("cannot ask which cores there are: {error}")))?;
        let there = ids(&there);
        for (at, &process) in processes.iter().enumerate() {
            // Servers stand apart: each has a part of the machine to itself.
            let share = there.len() / processes.len();
            self.pin_server(process, &there[at * share..(at + 1) * share])?;
        }
        Ok(())
    }

    fn pin_server(&self, process: u32, there: &[usize]) -> Result<(), Failure> {
        let threads = threads_of(process)?;
        let (floating, held): (Vec<_>, Vec<_>) = threads.iter().partition(|(_, name)| self.floats(name));
        let wanted = match self.cores {
            Cores::PerGroup => held.len(),
            Cores::Together(cores) => cores.into(),
        };
        let Some((own, rest)) = there.split_at_checked(wanted).filter(|(_, rest)| !rest.is_empty()) else {
            return Err(Failure::new(format!(
                "{} cores are a server's part of this machine: too few for {wanted} and one for what floats",
                there.len()
            )));
        };
        for (at, (thread, _)) in held.into_iter().enumerate() {
            let cores = match self.cores {
                Cores::PerGroup => &own[at..=at],
                Cores::Together(_) => own,
            };
            pin_thread(*thread, cores)?;
        }
        floating.into_iter().try_for_each(|(thread, _)| pin_thread(*thread, rest))
    }
}

fn ids(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

fn pin_thread(thread: u32, cores: &[usize]) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    let pid = Pid::from_raw(thread as i32);
    sched_setaffinity(pid, &set).map_err(|error| {
        Failure::new(format!("cannot pin the thread {thread} to the cores {cores:?}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_the_cores_that_are_measured() {
        let per_group = Placement { core: Core::Real, cores: Cores::PerGroup };
        let together = Placement { core: Core::Real, cores: Cores::Together(2) };
        let floating =
            |placement: Placement| ["group-1", "sequencer", "origin"].map(|name| placement.floats(name));
        assert_eq!(floating(per_group), [false, true, true]);
        assert_eq!(floating(together), [false, false, true]);
    }

    #[test]
    fn threads_are_pinned_to_the_cores_they_are_given() {
        let allowed = ids(&sched_getaffinity(None).unwrap());
        if allowed.len() < 2 {
            println!("skipped: this machine has one core");
            return;
        }
        let (is_there, there) = std::sync::mpsc::channel();
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let group = std::thread::Builder::new().name("group-1".into()).spawn(move || {
            is_there.send(rustix::thread::gettid()).unwrap();
            let _ = wait.recv();
        });
        let thread = there.recv().unwrap();
        pin_thread(thread.as_raw_nonzero().get() as u32, &allowed[1..2]).unwrap();
        assert_eq!(ids(&sched_getaffinity(Some(thread)).unwrap()), allowed[1..2]);
        drop(over);
        group.unwrap().join().unwrap();
    }
}
