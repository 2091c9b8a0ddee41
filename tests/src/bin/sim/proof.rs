//! The proof of the checkers: each planted bug must be found.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use niagara_planted::Bug;
use niagara_tests::say;
use niagara_tests::sim::{Failure, prove};

use crate::{Options, fresh_seed, threads};

/// Bugs that one seed in a thousand shows: the search for them begins with a number that has shown them, counted from 1.
const RARE: &[(Bug, u64)] = &[(Bug::BehindUnbounded, 1383), (Bug::LeaseKeptInTransfer, 1523)];

/// Plants one bug after the other.
pub fn prove_all(seeds: u64, options: &Options) -> ExitCode {
    let first = options.from.unwrap_or_else(fresh_seed);
    say!("first seed: {first}");
    let bugs = options.plant.map_or_else(all, |bug| vec![bug]);
    let next = AtomicU64::new(0);
    let missed = AtomicU64::new(0);
    let work = || {
        while let Some(&bug) = bugs.get(next.fetch_add(1, SeqCst) as usize) {
            let begin =
                first + RARE.iter().find(|(rare, _)| *rare == bug).map_or(0, |(_, number)| number - 1);
            match prove(bug, begin..first + seeds) {
                Some((seed, failure)) => {
                    let number = seed - first + 1;
                    say!("{:<24} found by seed {number:>5}: {}", format!("{bug:?}"), short(&failure));
                }
                None => {
                    missed.fetch_add(1, SeqCst);
                    say!("{:<24} NOT FOUND by {seeds} seeds", format!("{bug:?}"));
                }
            }
        }
    };
    thread::scope(|scope| (0..threads(options)).for_each(|_| drop(scope.spawn(work))));
    match missed.into_inner() {
        0 => ExitCode::SUCCESS,
        missed => {
            say!("{missed} of {} planted bugs were NOT FOUND", bugs.len());
            ExitCode::FAILURE
        }
    }
}

/// Those that a simulation finds. The last of the epochs' takes the most seeds, so that it begins first.
fn all() -> Vec<Bug> {
    let mut all = [Bug::ALL, Bug::MEMBERS_OF_THE_STORE, Bug::EPOCHS].concat();
    all.reverse();
    all
}

/// The bug of that name.
pub fn bug_named(name: &str) -> Result<Bug, String> {
    let all = [all(), Bug::EPOCHS_NOT_FOUND.to_vec()].concat();
    let found = all.iter().find(|bug| format!("{bug:?}") == name).copied();
    found.ok_or_else(|| format!("there are only {all:?}"))
}

/// A failure in one line.
fn short(failure: &Failure) -> String {
    let line = failure.to_string().replace('\n', " ");
    line.chars().take(160).collect()
}
