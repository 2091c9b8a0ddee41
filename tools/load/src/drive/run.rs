//! A run: threads go through its phases together, and their intervals are put together.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use hdrhistogram::Histogram;

use super::clock::{Clock, nanos};
use super::embedded::{EmbeddedCluster, Ports};
use super::keys::choices;
use super::measure::{Measure, Slice, Totals, Window};
use super::operation::Trouble;
use super::options::LoadOptions;
use super::pace::{Pace, Schedule};
use super::report::{ChainEnds, Interval, LoadReport};
use super::sockets::{Servers, Sockets};
use super::transport::Transport;
use super::worker::{Ended, PhasePlan, Worker};
use super::workload::{self, Findings, Phase, Share, Workload};
use crate::failure::Failure;
use crate::wall_clock::unix_ms;

/// What looks on while a run goes.
pub trait Watch {
    /// The window is about to begin, at this time in milliseconds since 1970.
    fn begins(&mut self, _unix_ms: u64) {}

    /// An interval has ended; those of the warm-up begin before 0 seconds. With it, the latencies in nanoseconds.
    fn interval(&mut self, _phase: Phase, _interval: &Interval, _nanos: &Histogram<u64>) {}
}

/// Nobody looks on.
impl Watch for () {}

/// Both look on.
impl<A: Watch, B: Watch> Watch for (A, B) {
    fn begins(&mut self, unix_ms: u64) {
        self.0.begins(unix_ms);
        self.1.begins(unix_ms);
    }

    fn interval(&mut self, phase: Phase, interval: &Interval, nanos: &Histogram<u64>) {
        self.0.interval(phase, interval, nanos);
        self.1.interval(phase, interval, nanos);
    }
}

impl<W: Watch> Watch for &mut W {
    fn begins(&mut self, unix_ms: u64) {
        (**self).begins(unix_ms);
    }

    fn interval(&mut self, phase: Phase, interval: &Interval, nanos: &Histogram<u64>) {
        (**self).interval(phase, interval, nanos);
    }
}

/// Intervals that wait to be put together, at most.
const INTERVALS_WAITING: usize = 64;
/// A window without an end: phases that end by themselves.
const NEVER: u64 = u64::MAX / 4;
/// Step in which those are shown.
const SHOWN_EVERY: u64 = 1_000_000_000;

/// Drives servers with a workload, and measures.
///
/// # Errors
/// When options contradict each other, no server can be reached, what must be there first cannot be written, or nothing at all
/// was done in the window.
pub fn run(options: &LoadOptions, watch: &mut dyn Watch) -> Result<LoadReport, Failure> {
    options.check()?;
    run_with(options, &|share| workload::of(options, share), Phases::All, watch)
}

/// Which phases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phases {
    All,
    /// Nothing is written.
    CheckOnly,
}

/// Like [`run`], with workloads made by the caller.
pub(super) fn run_with(
    options: &LoadOptions,
    make: &dyn Fn(Share) -> Box<dyn Workload>,
    phases: Phases,
    watch: &mut dyn Watch,
) -> Result<LoadReport, Failure> {
    if options.target.embedded {
        let cluster = EmbeddedCluster::start(&options.target.servers)?;
        let worker = |share: Share, connections| {
            let ports = Ports::new(&cluster, share.places, share.first_place / share.pipeline)?;
            Ok(Worker::new(ports, make(share), connections, share.pipeline))
        };
        return WorkerTeam::new(options, worker)?.go(phases, watch);
    }
    let servers = Servers::of(options)?;
    let timeout = options.pace.timeout_ms * 1_000_000;
    let worker = |share: Share, connections| {
        let sockets =
            Sockets::new(servers.clone(), connections, share.first_place / share.pipeline, timeout)?;
        Ok(Worker::new(sockets, make(share), connections, share.pipeline))
    };
    WorkerTeam::new(options, worker)?.go(phases, watch)
}

struct WorkerTeam<'o, T> {
    options: &'o LoadOptions,
    workers: Vec<Worker<T>>,
    clock: Clock,
}

impl<'o, T: Transport> WorkerTeam<'o, T> {
    /// Shares the connections out among the threads.
    fn new(
        options: &'o LoadOptions,
        worker: impl Fn(Share, usize) -> Result<Worker<T>, Failure>,
    ) -> Result<WorkerTeam<'o, T>, Failure> {
        let (connections, pipeline) = (options.pace.connections as usize, options.pace.pipeline as usize);
        let threads = (options.pace.threads as usize).min(connections);
        let mut workers = Vec::new();
        let mut first = 0;
        for thread in 0..threads {
            let own = connections / threads + usize::from(thread < connections % threads);
            let share =
                Share { thread, threads, first_place: first * pipeline, places: own * pipeline, pipeline };
            workers.push(worker(share, own)?);
            first += own;
        }
        Ok(WorkerTeam { options, workers, clock: Clock::start() })
    }

    fn go(mut self, phases: Phases, watch: &mut dyn Watch) -> Result<LoadReport, Failure> {
        let mut report = self.blank_report();
        if phases == Phases::All {
            self.prepare(watch)?;
            let totals = self.load(&mut report, watch);
            report.fill_in_totals(&totals);
        }
        let (checked, _) = self.phase(Phase::Check, self.endless(), None, watch, &mut |_| {});
        let mut findings = Findings::default();
        self.workers.iter_mut().for_each(|worker| findings.add(worker.findings()));
        report.check = findings.check(self.options);
        if !findings.chains.is_empty() {
            report.chains =
                Some(ChainEnds { seed: self.options.pace.seed, keys: std::mem::take(&mut findings.chains) });
        }
        if phases == Phases::CheckOnly {
            report.said = reasons(&checked);
        } else if report.completed == 0 && report.check.as_ref().is_none_or(|check| check.failed.is_empty()) {
            return Err(Failure::new(format!(
                "nothing was done within the window: {}",
                because(&report.said)
            )));
        }
        Ok(report)
    }

    fn blank_report(&self) -> LoadReport {
        LoadReport {
            command: self.options.command_line(),
            workload: self.options.workload.name().to_owned(),
            target: self.options.target.name().to_owned(),
            seconds: self.options.pace.seconds,
            requested_per_second: self.options.pace.rate,
            ..LoadReport::default()
        }
    }

    fn prepare(&mut self, watch: &mut dyn Watch) -> Result<(), Failure> {
        let (totals, is_whole) = self.phase(Phase::Prepare, self.endless(), None, watch, &mut |_| {});
        if is_whole {
            return Ok(());
        }
        let why = because(&reasons(&totals));
        Err(Failure::new(format!(
            "the servers cannot be reached, or do not do what they are asked to: {why}"
        )))
    }

    fn load(&mut self, report: &mut LoadReport, watch: &mut dyn Watch) -> Totals {
        let pace = &self.options.pace;
        let begin = self.clock.now() + nanos(pace.warm_up);
        let window = Window { begin, end: begin + nanos(pace.seconds), step: pace.interval_ms * 1_000_000 };
        report.begun_unix_ms = unix_ms() + (pace.warm_up * 1e3) as u64;
        watch.begins(report.begun_unix_ms);
        let timeline = &mut report.timeline;
        let (totals, _) = self.phase(Phase::Run, window, Some(window.end), watch, &mut |interval| {
            if interval.at_seconds >= 0.0 {
                timeline.push(interval);
            }
        });
        totals
    }

    fn endless(&self) -> Window {
        Window { begin: self.clock.now(), end: NEVER, step: SHOWN_EVERY }
    }

    /// All threads go through a phase.
    fn phase(
        &mut self,
        phase: Phase,
        window: Window,
        until: Option<u64>,
        watch: &mut dyn Watch,
        row: &mut dyn FnMut(Interval),
    ) -> (Totals, bool) {
        let (clock, options) = (self.clock, self.options);
        let threads = self.workers.len();
        let (finished, slices) = sync_channel(INTERVALS_WAITING);
        thread::scope(|scope| {
            let begin = clock.now();
            let running: Vec<_> = (0..)
                .zip(&mut self.workers)
                .map(|(thread, worker)| {
                    let finished: SyncSender<_> = finished.clone();
                    let pace = until.map_or(Pace::Closed, |_| pace_of(options, begin, thread, threads));
                    let plan = PhasePlan { phase, pace, until };
                    let go = move || worker.run(clock, plan, Measure::new(begin, window, finished));
                    thread::Builder::new()
                        .name(format!("load-{thread}"))
                        .spawn_scoped(scope, go)
                        .expect("one more thread is there")
                })
                .collect();
            drop(finished);
            put_together(&slices, threads, window, &mut |interval, slice| {
                watch.interval(phase, &interval, &slice.nanos);
                row(interval);
            });
            let mut totals = Totals::new();
            let mut whole = true;
            for thread in running {
                let Ended { totals: part, is_whole } =
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                totals.add(part);
                whole &= is_whole;
            }
            (totals, whole)
        })
    }
}

/// A thread's part of the pace: the first operations of the threads take turns.
fn pace_of(options: &LoadOptions, begin: u64, thread: usize, threads: usize) -> Pace {
    let Some(rate) = options.pace.rate else { return Pace::Closed };
    let offset = (1e9 / rate * thread as f64) as u64;
    let random = options.pace.poisson.then(|| choices(options.pace.seed, (1 << 32) + thread as u64));
    Pace::Open(Schedule::new(begin + offset, rate / threads as f64, random))
}

/// Adds up the intervals of all threads, in order, until all threads have ended.
fn put_together(
    slices: &Receiver<(i64, Slice)>,
    threads: usize,
    window: Window,
    whole: &mut dyn FnMut(Interval, &Slice),
) {
    let mut parts: BTreeMap<i64, (usize, Slice)> = BTreeMap::new();
    for (number, slice) in slices {
        let (count, sum) = parts.entry(number).or_insert_with(|| (0, Slice::new()));
        sum.add(&slice);
        *count += 1;
        if *count == threads {
            let (_, sum) = parts.remove(&number).expect("it was just there");
            whole(Interval::of(number as f64 * window.step as f64 / 1e9, &sum), &sum);
        }
    }
}

fn reasons(totals: &Totals) -> BTreeMap<String, String> {
    totals.said.iter().map(|(trouble, text)| (Trouble::name(*trouble).to_owned(), text.clone())).collect()
}

/// What was said about the errors, for a failure.
fn because(said: &BTreeMap<String, String>) -> String {
    if said.is_empty() {
        return "there was no answer in time".into();
    }
    said.iter().map(|(kind, text)| format!("{kind}: {text}")).collect::<Vec<_>>().join("; ")
}
