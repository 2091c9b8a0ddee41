//! The proof of the checkers: each planted bug must be found.

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use niagara_planted::Bug;
use niagara_tests::say;
use niagara_tests::sim::{Failure, prove};

use crate::{Options, fresh_seed, threads};

/// The seed that has found each bug, tried before all others. Some bugs show in one seed of a thousand.
const RECORDED: &str = include_str!("../../../data/planted-bugs");
/// Where `--record` writes them, from the root of the repository.
const RECORD: &str = "tests/data/planted-bugs";

/// Plants one bug after the other.
pub fn prove_all(seeds: u64, options: &Options) -> ExitCode {
    let first = options.from.unwrap_or_else(fresh_seed);
    say!("first seed after the recorded ones: {first}");
    let bugs = options.plant.map_or_else(all, |bug| vec![bug]);
    let next = AtomicU64::new(0);
    let record = Mutex::new(recorded());
    let missed = AtomicU64::new(0);
    let work = || {
        while let Some(&bug) = bugs.get(next.fetch_add(1, SeqCst) as usize) {
            let name = format!("{bug:?}");
            let known = seed_of(&name, &record.lock().expect("no thread panics with it"));
            match prove(bug, known.into_iter().chain(first..first + seeds)) {
                Some((seed, failure)) => {
                    let stale = known.filter(|known| *known != seed);
                    let stale = stale.map_or_else(String::new, |known| format!(", no longer by {known}"));
                    say!("{name:<24} found by seed {seed:>5}{stale}: {}", short(&failure));
                    note(name, seed, &mut record.lock().expect("no thread panics with it"));
                }
                None => {
                    missed.fetch_add(1, SeqCst);
                    say!("{name:<24} NOT FOUND by {seeds} seeds");
                }
            }
        }
    };
    thread::scope(|scope| (0..threads(options)).for_each(|_| drop(scope.spawn(work))));
    if options.record
        && let Err(error) = write(&record.into_inner().expect("no thread has panicked with it"))
    {
        say!("{RECORD} cannot be written: {error}; run this in the root of the repository");
        return ExitCode::FAILURE;
    }
    match missed.into_inner() {
        0 => ExitCode::SUCCESS,
        missed => {
            say!("{missed} of {} planted bugs were NOT FOUND", bugs.len());
            ExitCode::FAILURE
        }
    }
}

/// A bug's name, and the seed that finds it.
type Record = Vec<(String, u64)>;

fn recorded() -> Record {
    let of = |line: &str| {
        let (bug, seed) = line.split_once(' ')?;
        Some((bug.to_owned(), seed.parse().ok()?))
    };
    RECORDED.lines().map(|line| of(line).expect("tests/data/planted-bugs holds bugs and seeds")).collect()
}

fn seed_of(name: &str, record: &Record) -> Option<u64> {
    record.iter().find(|(bug, _)| bug == name).map(|(_, seed)| *seed)
}

fn note(name: String, seed: u64, record: &mut Record) {
    match record.iter_mut().find(|(bug, _)| *bug == name) {
        Some((_, known)) => *known = seed,
        None => record.push((name, seed)),
    }
}

fn write(record: &Record) -> std::io::Result<()> {
    let mut lines = String::new();
    for (bug, seed) in record {
        writeln!(lines, "{bug} {seed}").expect("a string takes all");
    }
    fs::write(RECORD, lines)
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
