//! What a campaign has done so far, and the table at its end.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::linearizability::{Condition, Input};

use super::fault::Kind;
use super::request::Outcome;

/// Counts, which all threads of a campaign add to.
#[derive(Default)]
pub(super) struct Tally {
    operations: [[AtomicU64; OUTCOMES.len()]; OPERATIONS.len()],
    faults: [AtomicU64; Kind::ALL.len()],
    pub windows: AtomicU64,
    pub undecided: AtomicU64,
    pub clusters: AtomicU64,
    pub healings: AtomicU64,
    pub slowest_healing_ms: AtomicU64,
    /// Positions of the global logs up to which digests were equal, summed over the clusters.
    pub compared: AtomicU64,
}

const OPERATIONS: [&str; 8] = [
    "get",
    "set",
    "set, conditional",
    "delete",
    "delete, conditional",
    "increment",
    "mset of a pair",
    "mget of a pair",
];
const OUTCOMES: [&str; 3] = ["done", "refused", "unknown"];

impl Tally {
    pub(super) fn operation(&self, input: &Input, is_pair: bool, outcome: &Outcome) {
        let row = match input {
            Input::Get if is_pair => 7,
            Input::Get => 0,
            Input::Set { .. } if is_pair => 6,
            Input::Set { condition: Condition::Always, .. } => 1,
            Input::Set { .. } => 2,
            Input::Delete { condition: Condition::Always } => 3,
            Input::Delete { .. } => 4,
            Input::Increment { .. } => 5,
        };
        let column = match outcome {
            Outcome::Done(_) | Outcome::Wrong(_) => 0,
            Outcome::Refused => 1,
            Outcome::Unknown => 2,
        };
        self.operations[row][column].fetch_add(1, Relaxed);
    }

    pub(super) fn fault(&self, kind: Kind) {
        self.faults[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn done(&self) -> u64 {
        self.operations.iter().map(|row| row[0].load(Relaxed)).sum()
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = format!("{:<40}", "operation");
        OUTCOMES.iter().for_each(|name| write!(head, "{name:>12}").expect("a string takes all"));
        writeln!(f, "{head}")?;
        for (name, row) in OPERATIONS.iter().zip(&self.operations) {
            write!(f, "  {name:<38}")?;
            row.iter().try_for_each(|count| write!(f, "{:>12}", count.load(Relaxed)))?;
            writeln!(f)?;
        }
        writeln!(f, "fault")?;
        for (kind, count) in Kind::ALL.iter().zip(&self.faults) {
            writeln!(f, "  {:<38}{:>12}", kind.name(), count.load(Relaxed))?;
        }
        writeln!(f, "check")?;
        for (name, count) in [
            ("clusters", &self.clusters),
            ("histories searched for an order", &self.windows),
            ("of them given up, undecided", &self.undecided),
            ("times all was healed", &self.healings),
            ("slowest to serve again, ms", &self.slowest_healing_ms),
            ("positions with equal digests", &self.compared),
        ] {
            writeln!(f, "  {name:<38}{:>12}", count.load(Relaxed))?;
        }
        Ok(())
    }
}
