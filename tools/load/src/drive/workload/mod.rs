//! What operations are made, and what is learned from their outcomes. Workloads know neither sockets nor clocks.
//!
//! Every thread has a workload of its own, for the places of its connections.

mod chain;
mod counter;
mod kv;
mod write;

use std::collections::BTreeMap;

pub(super) use chain::Chains;
use counter::{Counted, Counters};
use kv::Kv;
use write::Writes;

use super::chain_key::ChainKey;
use super::operation::{Operation, Outcome};
use super::options::{LoadOptions, WorkloadOptions};
use super::report::Check;

/// The parts of a run, one after the other. In the first and the last, operations are made until none are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What must be there first is written, or looked at.
    Prepare,
    /// The load.
    Run,
    /// What is there now is compared with what was acknowledged.
    Check,
}

/// Makes operations and hears what became of them.
pub(super) trait Workload: Send {
    /// Enters a phase. Nothing is in flight.
    fn enter(&mut self, phase: Phase);

    /// Makes the next operation of a place, which has none in flight. `false`: there is nothing (more) to do for it.
    fn next(&mut self, place: usize, operation: &mut Operation) -> bool;

    /// What became of the operation of a place.
    fn done(&mut self, place: usize, outcome: &Outcome<'_>);

    /// What this thread contributes to the check.
    fn findings(&mut self) -> Findings {
        Findings::default()
    }
}

/// Which of all places a thread has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// The thread's number, of so many.
    pub thread: usize,
    pub threads: usize,
    /// The number of its first place among those of all threads.
    pub first_place: usize,
    /// How many places it has.
    pub places: usize,
    /// Places of each connection.
    pub pipeline: usize,
}

/// The workload of one thread.
pub(super) fn of(options: &LoadOptions, share: Share) -> Box<dyn Workload> {
    let seed = options.pace.seed;
    match &options.workload {
        WorkloadOptions::Kv(kv) => Box::new(Kv::new(kv, seed, share)),
        WorkloadOptions::Write(write) => Box::new(Writes::new(write, seed, share)),
        WorkloadOptions::Counter(counter) => Box::new(Counters::new(counter, seed, share)),
        WorkloadOptions::Chain(_) => Box::new(Chains::new(seed, share)),
    }
}

/// What a check is made from.
#[derive(Default)]
pub(super) struct Findings {
    /// By the counter's number.
    counted: BTreeMap<u32, Counted>,
    /// Keys of chains that were compared, and where they ended.
    pub chains: Vec<ChainKey>,
    /// Comparisons made so far.
    checked: u64,
    failed: Vec<String>,
}

impl Findings {
    /// Adds those of another thread.
    pub fn add(&mut self, other: Findings) {
        for (number, counted) in other.counted {
            self.counted.entry(number).or_default().add(&counted);
        }
        self.chains.extend(other.chains);
        self.checked += other.checked;
        self.failed.extend(other.failed);
    }

    /// The check of a run, if its workload has one.
    pub fn check(&self, options: &LoadOptions) -> Option<Check> {
        let mut check = Check { checked: self.checked, failed: self.failed.clone() };
        match &options.workload {
            WorkloadOptions::Counter(_) => counter::judge(&self.counted, options.pace.seed, &mut check),
            WorkloadOptions::Chain(_) => {}
            _ => return None,
        }
        Some(check)
    }
}
