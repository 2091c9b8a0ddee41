//! Writes without end to the same keys, with small limits: does what is on disk and in memory stay bounded?

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::disk_use::DiskUse;
use crate::filling::fill;
use crate::{Cluster, ClusterPlan, Endpoint};

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct EndlessRun {
    /// How long.
    pub time: Duration,
    /// Keys that are written over and over.
    pub keys: u64,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// Raft groups of the cluster.
    pub groups: u16,
    /// Entries after which a snapshot is made.
    pub snapshot_entries: u64,
    /// By how much the last third's maximum may exceed the first third's.
    pub tolerance: f64,
}

/// All servers at one moment; maxima over the servers.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Since the start.
    pub seconds: f64,
    /// Acknowledged so far.
    pub writes: u64,
    /// The most bytes of logs,
    pub log_bytes: u64,
    /// of snapshots,
    pub snapshot_bytes: u64,
    /// and of resident memory.
    pub resident: u64,
    /// Snapshots made, by the server that has made the fewest since its start.
    pub taken: u64,
}

/// The largest of a figure in the first and in the last third.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Which figure.
    pub name: &'static str,
    /// In the first third, after the warm-up.
    pub first: u64,
    /// In the last third.
    pub last: u64,
    /// Whether it stayed within the tolerance.
    pub holds: bool,
}

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct EndlessReport {
    /// In order.
    pub readings: Vec<Reading>,
    /// One for each figure.
    pub verdicts: Vec<Verdict>,
}

const SERVERS: u16 = 3;
const SAMPLES_EVERY: Duration = Duration::from_secs(2);
/// Commands that each writer has in flight.
const BATCH: u64 = 64;
/// This part of the time is for caches, allocators and the first segments to fill.
const WARM_UP: f64 = 0.1;

impl EndlessRun {
    /// Runs, and shows each reading to `watch`.
    ///
    /// # Panics
    /// When a server does not serve.
    pub fn run(&self, mut watch: impl FnMut(&Reading)) -> EndlessReport {
        let plan = ClusterPlan::new(SERVERS, self.groups).engine("snapshot_entries", self.snapshot_entries);
        let mut cluster = plan.start();
        let (stop, writes) = (AtomicBool::new(false), AtomicU64::new(0));
        let endpoints = cluster.endpoints().to_vec();
        let mut readings = Vec::new();
        thread::scope(|scope| {
            for endpoint in &endpoints {
                scope.spawn(|| self.write(endpoint, &stop, &writes));
            }
            let began = Instant::now();
            while began.elapsed() < self.time {
                thread::sleep(SAMPLES_EVERY);
                let reading = read(&mut cluster, began.elapsed(), writes.load(Relaxed));
                watch(&reading);
                readings.push(reading);
            }
            stop.store(true, Relaxed);
        });
        cluster.await_agreement();
        cluster.stop_all();
        EndlessReport { verdicts: judge(&readings, self.time, self.tolerance), readings }
    }

    fn write(&self, endpoint: &Endpoint, stop: &AtomicBool, writes: &AtomicU64) {
        let mut redis = endpoint.redis();
        let value = vec![b'v'; self.value_bytes];
        while !stop.load(Relaxed) {
            for from in (0..self.keys).step_by(BATCH as usize) {
                if stop.load(Relaxed) {
                    return;
                }
                let range = from..self.keys.min(from + BATCH);
                let count = |count| {
                    writes.fetch_add(count, Relaxed);
                };
                let filled = fill(&mut redis, range, BATCH, |_| value.clone(), count);
                filled.unwrap_or_else(|error| panic!("server {}: {error}", endpoint.server));
            }
        }
    }
}

fn read(cluster: &mut Cluster, time: Duration, writes: u64) -> Reading {
    let servers: Vec<u64> = cluster.servers().collect();
    let disks: Vec<DiskUse> = servers.iter().map(|server| DiskUse::of(&cluster.data_dir(*server))).collect();
    let resident = servers.iter().map(|server| cluster.process(*server).resident_bytes()).max();
    let taken = servers.iter().map(|server| cluster.status(*server).snapshot.taken).min();
    Reading {
        seconds: time.as_secs_f64(),
        writes,
        log_bytes: disks.iter().map(|disk| disk.log_bytes).max().unwrap_or(0),
        snapshot_bytes: disks.iter().map(|disk| disk.snapshot_bytes).max().unwrap_or(0),
        resident: resident.unwrap_or(0),
        taken: taken.unwrap_or(0),
    }
}

/// One of a reading's numbers.
type Figure = fn(&Reading) -> u64;

fn judge(readings: &[Reading], time: Duration, tolerance: f64) -> Vec<Verdict> {
    let warm = WARM_UP * time.as_secs_f64();
    let third = (time.as_secs_f64() - warm) / 3.0;
    let largest = |from: f64, to: f64, figure: Figure| {
        let within = readings.iter().filter(|reading| (from..to).contains(&reading.seconds));
        within.map(figure).max().unwrap_or(0)
    };
    let figures: [(&str, Figure); 3] = [
        ("log bytes", |reading| reading.log_bytes),
        ("snapshot bytes", |reading| reading.snapshot_bytes),
        ("resident bytes", |reading| reading.resident),
    ];
    let verdict = |(name, figure)| {
        let first = largest(warm, warm + third, figure);
        let last = largest(warm + 2.0 * third, f64::INFINITY, figure);
        Verdict { name, first, last, holds: last as f64 <= first as f64 * tolerance }
    };
    figures.map(verdict).to_vec()
}

const MIB: f64 = (1 << 20) as f64;

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [logs, snapshots, resident] =
            [self.log_bytes, self.snapshot_bytes, self.resident].map(|bytes| bytes as f64 / MIB);
        let (seconds, writes, taken) = (self.seconds, self.writes, self.taken);
        write!(f, "{seconds:>8.0}{writes:>12}{taken:>11}{logs:>10.1}{snapshots:>15.1}{resident:>10.1}")
    }
}

impl EndlessReport {
    /// The titles of a reading's columns.
    pub const TITLES: &str = "       s      writes  snapshots  logs MiB  snapshots MiB   RSS MiB";

    /// Whether everything stayed bounded.
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.holds)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { name, first, last, holds } = self;
        let (ratio, word) = (*last as f64 / *first as f64, if *holds { "bounded" } else { "GROWS" });
        write!(f, "{name:<16}{first:>14} in the first third,{last:>14} in the last: {ratio:>5.2}x, {word}")
    }
}
