//! Simulates whole clusters under faults, seed after seed: see `docs/testing.md`.

mod child;
#[cfg(feature = "planted-bugs")]
mod proof;
mod search;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Parser};
use niagara_tests::export;
use niagara_tests::sim::{Plan, run};
use niagara_tests::{output, say};

/// Simulates whole clusters in virtual time, with the production engine, under faults of all kinds.
///
/// Everything that happens follows from a seed. A seed that fails is shown with the fewest faults that it takes, the last
/// events before, and the command that replays it. The exit status is then 1; it is 2 if everything held, but some
/// fault that should have happened never did.
#[derive(Parser, Debug)]
#[command(name = "sim", version, group = ArgGroup::new("how much").required(true))]
struct Options {
    /// Simulate this seed, and print what happens.
    #[arg(long, value_name = "SEED", group = "how much")]
    seed: Option<u64>,
    /// Simulate so many seeds.
    #[arg(long, value_name = "NUMBER", group = "how much")]
    seeds: Option<u64>,
    /// Simulate seeds for so many minutes.
    #[arg(long, value_name = "NUMBER", group = "how much")]
    minutes: Option<f64>,
    /// Simulate seeds for so many hours, in processes of their own: a seed that ends its process, or never ends, is a failure
    /// like any other.
    #[arg(long, value_name = "NUMBER", group = "how much")]
    hours: Option<f64>,
    /// Simulate the seeds that come over standard input, and say what each has led to: for the processes of --hours.
    #[arg(long, group = "how much", hide = true)]
    serve: bool,
    /// Prove the checkers: plant each known bug in turn, and simulate so many seeds at most until it is found.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, value_name = "NUMBER", group = "how much")]
    prove: Option<u64>,
    /// Record in tests/data/planted-bugs which seed has found each bug: the proof tries it first.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, requires = "prove")]
    record: bool,
    /// Plant this bug in the seed that is simulated, or prove that this one is found.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, value_name = "BUG", value_parser = proof::bug_named, conflicts_with_all = ["seeds", "minutes", "hours"])]
    plant: Option<niagara_planted::Bug>,
    /// The first seed of many, instead of a random one.
    #[arg(long, value_name = "SEED", conflicts_with = "seed")]
    from: Option<u64>,
    /// Threads to use, instead of one for each core.
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    /// Write what clients asked and were told into this file, for other checkers: as EDN if it ends in .edn, as lines of JSON if
    /// it ends in .jsonl. With {key} in its name, each key gets a file of its own.
    #[arg(long, value_name = "FILE", requires = "seed")]
    history: Option<PathBuf>,
    /// Go on after a failure, and list the seeds that fail.
    #[arg(long, conflicts_with = "seed")]
    keep_going: bool,
    /// Leave out the corpus, tests/data/seeds, which goes first otherwise.
    #[arg(long, conflicts_with = "seed")]
    no_corpus: bool,
    /// Add a seed to this file for each row of the table that few seeds have reached, and none of those in the file was kept for.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    grow_corpus: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted-bugs")]
    if let Some(seeds) = options.prove {
        return proof::prove_all(seeds, &options);
    }
    #[cfg(feature = "planted-bugs")]
    niagara_planted::plant(options.plant);
    match options.seed {
        Some(seed) => one(Plan::of(seed), options.history.as_deref()),
        None if options.serve => child::serve(),
        None => search::many(&options),
    }
}

fn threads(options: &Options) -> usize {
    options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into))
}

/// One seed, with all that happens.
fn one(plan: Plan, to: Option<&Path>) -> ExitCode {
    output::print(format_args!("{plan}"));
    let report = run(plan, true);
    output::print(format_args!("{}", report.trace));
    if let Some(to) = to
        && let Err(error) = export::write(&report.history, to)
    {
        output::note(format_args!("the history cannot be written: {error}"));
        return ExitCode::FAILURE;
    }
    match report.failure {
        None => {
            say!("\neverything held");
            ExitCode::SUCCESS
        }
        Some(failure) => {
            say!("\nFAILED {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A seed that nobody has chosen.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Far from each other, so that two runs share no seeds, and short enough to be typed.
    since.as_millis() as u64 % 1_000_000_000 * 1_000
}
