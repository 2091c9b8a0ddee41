//! How long threads have run, and how long they have waited for a processor: those of the servers, and of this process.
//!
//! Where strangers and servers share few processors, a customer also waits for a processor. That is told apart here from what
//! the servers do.

use std::fs;
use std::ops::Sub;

use crate::Cluster;

/// Names of this process's threads, as far as they are told apart.
pub(super) const STRANGER: &str = "stranger";
pub(super) const CUSTOMER: &str = "customer";

/// What some threads have used since they were started, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// They were running.
    pub ran: u64,
    /// They could have run, and waited for a processor.
    pub waited: u64,
}

/// What all threads have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processors {
    /// Those of the servers.
    pub servers: Used,
    /// Of these, the front ends'.
    pub fronts: Used,
    /// Those of the strangers, and of what they attack if that is not the servers.
    pub strangers: Used,
    /// The customer's.
    pub customer: Used,
}

impl Processors {
    /// What has been used until now.
    pub(super) fn now(cluster: &mut Cluster) -> Processors {
        let mut all = Processors::default();
        for server in cluster.servers() {
            let process = cluster.process(server).id();
            all.servers = all.servers.plus(threads(process, |_| true));
            all.fronts = all.fronts.plus(threads(process, |name| name.starts_with("front-")));
        }
        let own = std::process::id();
        all.strangers = threads(own, |name| name == STRANGER);
        all.customer = threads(own, |name| name == CUSTOMER);
        all
    }
}

impl Sub for Processors {
    type Output = Processors;

    fn sub(self, before: Processors) -> Processors {
        let less = |one: Used, other: Used| Used {
            ran: one.ran.saturating_sub(other.ran),
            waited: one.waited.saturating_sub(other.waited),
        };
        Processors {
            servers: less(self.servers, before.servers),
            fronts: less(self.fronts, before.fronts),
            strangers: less(self.strangers, before.strangers),
            customer: less(self.customer, before.customer),
        }
    }
}

impl Used {
    fn plus(self, other: Used) -> Used {
        Used { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }
}

/// What the threads of a process with such names have used: `schedstat` of proc(5).
fn threads(process: u32, named: impl Fn(&str) -> bool) -> Used {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Used::default() };
    let used = tasks.flatten().filter_map(|task| {
        // A thread can end while it is looked at.
        let name = fs::read_to_string(task.path().join("comm")).ok().filter(|name| named(name.trim_end()));
        name.and_then(|_| parse(&fs::read_to_string(task.path().join("schedstat")).ok()?))
    });
    used.fold(Used::default(), Used::plus)
}

fn parse(schedstat: &str) -> Option<Used> {
    let mut numbers = schedstat.split_whitespace().map(str::parse);
    Some(Used { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_found_by_their_names() {
        let busy = std::thread::Builder::new().name("busy".into()).spawn(|| {
            let own = || threads(std::process::id(), |name| name == "busy").ran;
            let begin = own();
            while own() < begin + 1_000_000 {}
        });
        busy.unwrap().join().unwrap();
        assert_eq!(threads(std::process::id(), |name| name == "nonesuch").ran, 0);
        let used = parse("12 34 5\n").unwrap();
        assert_eq!((used.ran, used.waited), (12, 34));
        assert!(parse("").is_none());
    }
}
