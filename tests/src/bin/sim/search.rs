//! The search: seed after seed, those of the corpus first, and a table of what has happened.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use niagara_tests::sim::{
    Coverage, Failure, Kept, Outcome, Plan, Reached, SEEDS_FOR_EACH, corpus, parse_corpus, run, shrink,
};
use niagara_tests::{output, say};

use crate::child::{self, Simulator};
use crate::{Options, fresh_seed, threads};

/// How often the progress bar is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(500);

/// What the threads share.
struct Run {
    /// Those that go first.
    corpus: Vec<Kept>,
    /// The first of the others.
    first: u64,
    /// How many have been begun, and how many there are.
    begun: AtomicU64,
    count: u64,
    until: Option<Instant>,
    /// Each thread has a process that simulates for it.
    apart: bool,
    stop: AtomicBool,
    keep_going: bool,
    found: Mutex<Found>,
    bar: ProgressBar,
}

#[derive(Default)]
struct Found {
    coverage: Coverage,
    reached: Reached,
    seeds: u64,
    failures: Vec<(u64, Failure)>,
}

/// Simulates many seeds.
pub fn many(options: &Options) -> ExitCode {
    let first = options.from.unwrap_or_else(fresh_seed);
    say!("first seed: {first}");
    let begun = Instant::now();
    let corpus = if options.no_corpus { Vec::new() } else { corpus() };
    let count = options.seeds.map(|seeds| seeds.saturating_add(corpus.len() as u64));
    let seconds = options.minutes.map(|minutes| minutes * 60.0).or(options.hours.map(|hours| hours * 3600.0));
    let run = Run {
        first,
        begun: AtomicU64::new(0),
        count: count.unwrap_or(u64::MAX),
        corpus,
        until: seconds.map(|seconds| begun + Duration::from_secs_f64(seconds)),
        apart: options.hours.is_some(),
        stop: AtomicBool::new(false),
        keep_going: options.keep_going,
        found: Mutex::default(),
        bar: progress_bar(count),
    };
    let worked = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads(options)).map(|_| scope.spawn(|| run.work())).collect();
        let ends = threads.into_iter().map(|thread| thread.join().expect("simulations catch their panics"));
        ends.fold(Ok(()), Result::and)
    });
    run.bar.finish_and_clear();
    if let Err(error) = worked {
        output::note(format_args!("a process that simulates cannot be had: {error}"));
        return ExitCode::FAILURE;
    }
    let found = run.found.into_inner().expect("simulations catch their panics");
    if let Some(file) = &options.grow_corpus
        && let Err(error) = grow(file, &found.reached)
    {
        output::note(format_args!("{} cannot be added to: {error}", file.display()));
        return ExitCode::FAILURE;
    }
    report(&found, first, begun.elapsed())
}

impl Run {
    fn work(&self) -> io::Result<()> {
        let mut simulator = Simulator::of_this_program()?;
        while !self.stop.load(SeqCst) && self.until.is_none_or(|until| Instant::now() < until) {
            let Some(seed) = self.next() else { break };
            let outcome = if self.apart {
                simulator.simulate(seed).inspect_err(|_| self.stop.store(true, SeqCst))?
            } else {
                run(Plan::of(seed), false).into()
            };
            self.note(seed, outcome);
        }
        Ok(())
    }

    fn next(&self) -> Option<u64> {
        let at = Some(self.begun.fetch_add(1, SeqCst)).filter(|at| *at < self.count)?;
        Some(match self.corpus.get(at as usize) {
            Some(kept) => kept.seed,
            None => self.first + (at - self.corpus.len() as u64),
        })
    }

    fn note(&self, seed: u64, Outcome { coverage, failure }: Outcome) {
        let mut found = self.found.lock().expect("simulations catch their panics");
        found.seeds += 1;
        found.coverage.merge(&coverage);
        let broken = failure.as_ref().map(|failure| failure.invariant.as_str());
        found.reached.note(seed, &coverage, broken);
        if let Some(failure) = failure {
            self.stop.fetch_or(!self.keep_going, SeqCst);
            self.bar.suspend(|| say!("seed {seed} FAILED {failure}"));
            found.failures.push((seed, failure));
        }
        drop(found);
        self.bar.inc(1);
    }
}

/// Adds to a corpus what is not in it and few have reached.
fn grow(file: &Path, reached: &Reached) -> io::Result<()> {
    let known = match fs::read_to_string(file) {
        Ok(text) => parse_corpus(&text).map_err(|line| io::Error::other(format!("it holds {line:?}")))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    for kept in reached.rare(&known) {
        say!("kept: {kept}");
        writeln!(file, "{kept}")?;
    }
    Ok(())
}

fn report(found: &Found, first: u64, took: Duration) -> ExitCode {
    let per_second = found.seeds as f64 / took.as_secs_f64();
    say!("{}", found.coverage);
    say!("{} seeds, from {first}, in {:.0} s, {per_second:.0} a second", found.seeds, took.as_secs_f64());
    if let Some((seed, failure)) = found.failures.iter().min_by_key(|(seed, _)| seed) {
        explain(*seed, failure);
        let all: BTreeSet<u64> = found.failures.iter().map(|(seed, _)| *seed).collect();
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        say!("\nfailing seeds: {}", all.join(", "));
        return ExitCode::FAILURE;
    }
    let missing = found.coverage.missing(found.seeds);
    if found.seeds >= SEEDS_FOR_EACH && !missing.is_empty() {
        say!("HARDLY EVER HAPPENED, so nothing is known about it: {}", missing.join(", "));
        return ExitCode::from(2);
    }
    say!("everything held");
    ExitCode::SUCCESS
}

/// Shows a failing seed with as few faults as it takes.
fn explain(seed: u64, failure: &Failure) {
    say!("\nseed {seed} FAILED {failure}");
    // What ends its process would end this one.
    if failure.invariant != child::INVARIANT {
        let bar = ProgressBar::new_spinner();
        let (plan, shrunk) = shrink(Plan::of(seed), failure.clone(), |faults| {
            bar.set_message(format!("looking for fewer faults: trying {faults}"));
            bar.tick();
        });
        bar.finish_and_clear();
        say!("\nwith as few faults as possible:\n{plan}FAILED {shrunk}\n\nthe last events:");
        say!("{}", run(plan, true).last_lines);
    }
    say!("\nreplay: cargo run --release -p niagara-tests --bin sim -- --seed {seed}");
}

fn progress_bar(count: Option<u64>) -> ProgressBar {
    let (bar, template) = match count {
        Some(count) => (ProgressBar::new(count), "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} seeds, {per_sec}, {elapsed}"),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a sound template"));
    bar.enable_steady_tick(DRAWN_EVERY);
    bar
}
