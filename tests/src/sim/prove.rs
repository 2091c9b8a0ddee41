//! Proves the checkers: simulates until a planted bug is found.

use niagara_planted::{self as planted, Bug};

use super::plan::Plan;
use super::run::{Failure, run};

/// Simulates seeds with a bug in the engine until it shows; returns the seed and the failure.
pub fn prove(bug: Bug, mut seeds: impl Iterator<Item = u64>) -> Option<(u64, Failure)> {
    planted::plant(Some(bug));
    let found = seeds.find_map(|seed| run(Plan::of(seed), false).failure.map(|failure| (seed, failure)));
    planted::plant(None);
    found
}
