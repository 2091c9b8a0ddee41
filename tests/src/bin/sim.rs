//! Simulates whole clusters under faults, seed after seed: see `docs/testing.md`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Parser};
use indicatif::{ProgressBar, ProgressStyle};
use niagara_tests::export;
use niagara_tests::sim::{Coverage, Failure, Plan, run, shrink};
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
    /// Prove the checkers: plant each known bug in turn, and simulate so many seeds at most until it is found.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, value_name = "NUMBER", group = "how much")]
    prove: Option<u64>,
    /// Plant this bug in the seed that is simulated, or prove that this one is found.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, value_name = "BUG", value_parser = bug_named, conflicts_with_all = ["seeds", "minutes"])]
    plant: Option<niagara_engine::planted::Bug>,
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
    /// Draw sizes and durability, too, stop servers cleanly, and aim faults at steps of their dealings with the disk. This is new, and
    /// not all that it finds is the engine's fault.
    #[arg(long)]
    wide: bool,
    /// Go on after a failure, and list the seeds that fail.
    #[arg(long, conflicts_with = "seed")]
    keep_going: bool,
}

/// Seeds after which a fault that has never fired fails the run.
const SEEDS_FOR_COVERAGE: u64 = 1000;
/// How often the progress bar is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted-bugs")]
    if let Some(seeds) = options.prove {
        return prove_all(seeds, &options);
    }
    #[cfg(feature = "planted-bugs")]
    niagara_engine::planted::plant(options.plant);
    match options.seed {
        Some(seed) => one(plan_of(seed, options.wide), options.history.as_deref()),
        None => many(&options),
    }
}

/// Each planted bug must be found.
#[cfg(feature = "planted-bugs")]
fn prove_all(seeds: u64, options: &Options) -> ExitCode {
    use niagara_engine::planted::Bug;

    let first = options.from.unwrap_or_else(fresh_seed);
    say!("first seed: {first}");
    let bugs = options.plant.as_ref().map_or(Bug::ALL, std::slice::from_ref);
    let next = AtomicU64::new(0);
    let missed = AtomicU64::new(0);
    let work = || {
        while let Some(&bug) = bugs.get(next.fetch_add(1, SeqCst) as usize) {
            match niagara_tests::sim::prove(bug, first..first + seeds) {
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

#[cfg(feature = "planted-bugs")]
fn bug_named(name: &str) -> Result<niagara_engine::planted::Bug, String> {
    use niagara_engine::planted::Bug;

    let found = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name).copied();
    found.ok_or_else(|| format!("there are only {:?}", Bug::ALL))
}

/// A failure in one line.
#[cfg(feature = "planted-bugs")]
fn short(failure: &Failure) -> String {
    let line = failure.to_string().replace('\n', " ");
    line.chars().take(160).collect()
}

fn threads(options: &Options) -> usize {
    options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into))
}

fn plan_of(seed: u64, _wide: bool) -> Plan {
    Plan::of(seed)
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

/// What the threads share.
struct Run {
    next: AtomicU64,
    /// Behind the last seed.
    end: u64,
    until: Option<Instant>,
    stop: AtomicBool,
    keep_going: bool,
    wide: bool,
    found: Mutex<Found>,
    bar: ProgressBar,
}

#[derive(Default)]
struct Found {
    coverage: Coverage,
    seeds: u64,
    failures: Vec<(u64, Failure)>,
}

fn many(options: &Options) -> ExitCode {
    let first = options.from.unwrap_or_else(fresh_seed);
    say!("first seed: {first}");
    let begun = Instant::now();
    let run = Run {
        next: AtomicU64::new(first),
        end: options.seeds.map_or(u64::MAX, |seeds| first.saturating_add(seeds)),
        until: options.minutes.map(|minutes| begun + Duration::from_secs_f64(minutes * 60.0)),
        stop: AtomicBool::new(false),
        keep_going: options.keep_going,
        wide: options.wide,
        found: Mutex::default(),
        bar: progress_bar(options),
    };
    thread::scope(|scope| (0..threads(options)).for_each(|_| drop(scope.spawn(|| run.work()))));
    run.bar.finish_and_clear();
    let found = run.found.into_inner().expect("simulations catch their panics");
    report(&found, (first, options.wide), begun.elapsed())
}

impl Run {
    fn work(&self) {
        while !self.stop.load(SeqCst) && self.until.is_none_or(|until| Instant::now() < until) {
            let seed = self.next.fetch_add(1, SeqCst);
            if seed >= self.end {
                return;
            }
            let report = run(plan_of(seed, self.wide), false);
            let mut found = self.found.lock().expect("simulations catch their panics");
            found.seeds += 1;
            found.coverage.merge(&report.coverage);
            if let Some(failure) = report.failure {
                self.stop.fetch_or(!self.keep_going, SeqCst);
                self.bar.suspend(|| say!("seed {seed} FAILED {failure}"));
                found.failures.push((seed, failure));
            }
            drop(found);
            self.bar.inc(1);
        }
    }
}

fn report(found: &Found, (first, wide): (u64, bool), took: Duration) -> ExitCode {
    let per_second = found.seeds as f64 / took.as_secs_f64();
    say!("{}", found.coverage);
    say!("{} seeds from {first} in {:.0} s, {per_second:.0} a second", found.seeds, took.as_secs_f64());
    if let Some((seed, failure)) = found.failures.iter().min_by_key(|(seed, _)| seed) {
        explain(*seed, wide, failure);
        let all: BTreeSet<u64> = found.failures.iter().map(|(seed, _)| *seed).collect();
        say!("\nfailing seeds: {all:?}");
        return ExitCode::FAILURE;
    }
    let missing = found.coverage.missing(found.seeds);
    if found.seeds >= SEEDS_FOR_COVERAGE && !missing.is_empty() {
        say!("NEVER HAPPENED, so nothing is known about it: {}", missing.join(", "));
        return ExitCode::from(2);
    }
    say!("everything held");
    ExitCode::SUCCESS
}

/// Shows a failing seed with as few faults as it takes.
fn explain(seed: u64, wide: bool, failure: &Failure) {
    let bar = ProgressBar::new_spinner();
    let (plan, shrunk) = shrink(plan_of(seed, wide), failure.clone(), |faults| {
        bar.set_message(format!("looking for fewer faults: trying {faults}"));
        bar.tick();
    });
    bar.finish_and_clear();
    say!("\nseed {seed} FAILED {failure}");
    say!("\nwith as few faults as possible:\n{plan}FAILED {shrunk}\n\nthe last events:");
    say!("{}", run(plan, true).last_lines);
    say!(
        "\nreplay: cargo run --release -p niagara-tests --bin sim -- --seed {seed}{}",
        if wide { " --wide" } else { "" }
    );
}

fn progress_bar(options: &Options) -> ProgressBar {
    let (bar, template) = match options.seeds {
        Some(seeds) => (ProgressBar::new(seeds), "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} seeds, {per_sec}, {elapsed}"),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a sound template"));
    bar.enable_steady_tick(DRAWN_EVERY);
    bar
}

/// A seed that nobody has chosen.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Far from each other, so that two runs share no seeds, and short enough to be typed.
    since.as_millis() as u64 % 1_000_000_000 * 1_000
}
