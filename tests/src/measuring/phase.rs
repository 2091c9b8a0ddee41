//! One stretch of a measurement, between two looks at everything.

use std::thread;
use std::time::{Duration, Instant};

use super::OpenLoop;
use crate::Cluster;
use crate::metrics::Metrics;

/// Between two looks at conditions and memory.
const PAUSE: Duration = Duration::from_millis(50);
/// What has not come true in this time has failed.
const DEADLINE: Duration = Duration::from_secs(900);
const FREEZE: &str = "niagara_snapshot_freeze_seconds";

/// A stretch that goes on.
pub struct Phase {
    name: &'static str,
    began: Instant,
    sent: u64,
    /// In order of the servers.
    servers: Vec<Watched>,
}

struct Watched {
    server: u64,
    process: u32,
    cpu_before: f64,
    freezes_before: Vec<(f64, u64)>,
    freeze_seconds_before: f64,
    resident: [u64; 2],
}

/// What a stretch has shown.
#[derive(Clone, Debug)]
pub struct PhaseReport {
    /// What happened in it.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Commands per second that were sent,
    pub asked: f64,
    /// and acknowledged.
    pub reached: f64,
    /// Commands that were answered with an error.
    pub errors: u64,
    /// p50, p99, p99.9 and the maximum, in milliseconds.
    pub latency_ms: [f64; 4],
    /// In order of the servers; only those that ran from its beginning to its end.
    pub servers: Vec<ServerReport>,
}

/// What a stretch has shown of one server.
#[derive(Clone, Debug)]
pub struct ServerReport {
    /// Its id.
    pub server: u64,
    /// Times that execution stood still to hand out a view,
    pub freezes: u64,
    /// seconds of them together,
    pub freeze_seconds: f64,
    /// and the upper bound of the largest bucket hit; 0 if none was.
    pub freeze_bound_seconds: f64,
    /// Resident memory before, at the peak, and after, in bytes.
    pub resident: [u64; 3],
    /// Processor time used.
    pub cpu_seconds: f64,
}

impl Phase {
    /// Begins one. What was answered before counts no more.
    pub fn begin(name: &'static str, cluster: &mut Cluster, writers: &OpenLoop) -> Phase {
        let running: Vec<u64> = cluster.servers().filter(|server| cluster.runs(*server)).collect();
        let servers = running.into_iter().map(|server| Watched::begin(cluster, server)).collect();
        writers.take();
        Phase { name, began: Instant::now(), sent: writers.sent(), servers }
    }

    /// Waits until something has happened, and looks at memory meanwhile.
    ///
    /// # Panics
    /// When it does not happen.
    pub fn watch<T>(
        &mut self,
        cluster: &mut Cluster,
        what: &str,
        mut happened: impl FnMut(&mut Cluster) -> Option<T>,
    ) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            for watched in &mut self.servers {
                if cluster.runs(watched.server) {
                    let now = cluster.process(watched.server).resident_bytes();
                    watched.resident[1] = watched.resident[1].max(now);
                }
            }
            if let Some(value) = happened(cluster) {
                return value;
            }
            assert!(Instant::now() < end, "waited {DEADLINE:?} in vain for {what}");
            thread::sleep(PAUSE);
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, cluster: &mut Cluster, time: Duration) {
        let end = Instant::now() + time;
        self.watch(cluster, "time to pass", |_| (Instant::now() >= end).then_some(()));
    }

    /// Ends it.
    pub fn end(self, cluster: &mut Cluster, writers: &OpenLoop) -> PhaseReport {
        let (seen, seconds) = (writers.take(), self.began.elapsed().as_secs_f64());
        let quantile = |quantile| seen.micros.value_at_quantile(quantile) as f64 / 1e3;
        PhaseReport {
            name: self.name,
            seconds,
            asked: (writers.sent() - self.sent) as f64 / seconds,
            reached: seen.micros.len() as f64 / seconds,
            errors: seen.errors,
            latency_ms: [quantile(0.5), quantile(0.99), quantile(0.999), seen.micros.max() as f64 / 1e3],
            servers: self.servers.iter().filter_map(|watched| watched.end(cluster)).collect(),
        }
    }
}

impl Watched {
    fn begin(cluster: &mut Cluster, server: u64) -> Watched {
        let metrics = Metrics::read(&mut cluster.http(server));
        let process = cluster.process(server);
        let resident = process.resident_bytes();
        Watched {
            server,
            process: process.id(),
            cpu_before: process.cpu_seconds(),
            freezes_before: metrics.buckets(FREEZE),
            freeze_seconds_before: metrics.sum(&format!("{FREEZE}_sum")),
            resident: [resident, resident],
        }
    }

    /// Nothing for a server that was started anew meanwhile, whose counts began at zero.
    fn end(&self, cluster: &mut Cluster) -> Option<ServerReport> {
        if !cluster.runs(self.server) || cluster.process(self.server).id() != self.process {
            return None;
        }
        let metrics = Metrics::read(&mut cluster.http(self.server));
        let process = cluster.process(self.server);
        let mut below = 0;
        let (mut freezes, mut bound) = (0, 0.0);
        for ((upper, after), (_, before)) in metrics.buckets(FREEZE).into_iter().zip(&self.freezes_before) {
            freezes = after - before;
            if freezes > below {
                (below, bound) = (freezes, upper);
            }
        }
        Some(ServerReport {
            server: self.server,
            freezes,
            freeze_seconds: metrics.sum(&format!("{FREEZE}_sum")) - self.freeze_seconds_before,
            freeze_bound_seconds: bound,
            resident: [self.resident[0], self.resident[1], process.resident_bytes()],
            cpu_seconds: process.cpu_seconds() - self.cpu_before,
        })
    }
}
