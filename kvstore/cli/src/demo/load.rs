//! The demo's load: writes, strongly consistent reads and increments, in pipelines, on all servers at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use niagara_client::redis::{Connection, Reply};

/// The counter that all increments go to.
pub const COUNTER: &[u8] = b"demo:counter";

/// Enough to keep a server's groups busy, few enough for the threads of one demo to share two cores.
const CONNECTIONS_PER_SERVER: usize = 4;
/// Commands sent together. All are of one kind: a connection answers in order, so a slow command would add to
/// the latency of those behind it.
const PIPELINE: usize = 32;
const KEYS: u64 = 10_000;
const VALUE: &[u8] = b"a value of thirty-two bytes, so.";
/// Longer latencies are recorded as this.
const LONGEST_MICROS: u64 = 60_000_000;

/// What the commands of a pipeline do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SET
    Write,
    /// GET, strongly consistent
    Read,
    /// INCR, of one counter for all connections
    Increment,
}

/// What the load has done and seen.
#[derive(Clone, Debug)]
pub struct Tally {
    latencies: [Histogram<u64>; 3],
    /// Increments that were acknowledged.
    pub acknowledged: u64,
    /// Increments whose outcome is unknown.
    pub unknown: u64,
    /// Commands that got a wrong answer or none.
    pub failed: u64,
    /// What was wrong with the first of them.
    pub first_failure: Option<String>,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    completed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Write, Kind::Read, Kind::Increment];
    /// The order of the pipelines: half of the commands are writes.
    const MIX: [Kind; 4] = [Kind::Write, Kind::Read, Kind::Write, Kind::Increment];

    /// The name in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Write => "write",
            Kind::Read => "strong read",
            Kind::Increment => "increment",
        }
    }
}

impl Tally {
    pub fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are sound");
        Tally {
            latencies: [histogram(), histogram(), histogram()],
            acknowledged: 0,
            unknown: 0,
            failed: 0,
            first_failure: None,
        }
    }

    /// Latencies of the commands of a kind that succeeded, in microseconds.
    pub fn latencies(&self, kind: Kind) -> &Histogram<u64> {
        &self.latencies[kind as usize]
    }

    /// Commands that succeeded.
    pub fn succeeded(&self) -> u64 {
        self.latencies.iter().map(Histogram::len).sum()
    }

    /// Counts one reply.
    pub fn take(&mut self, kind: Kind, reply: Reply<'_>, latency: Duration) {
        let expected = match kind {
            Kind::Write => reply == Reply::Simple(b"OK"),
            Kind::Read => matches!(reply, Reply::Bulk(value) if value.is_none_or(|value| value == VALUE)),
            Kind::Increment => matches!(reply, Reply::Integer(_)),
        };
        if !expected {
            self.unknown += u64::from(kind == Kind::Increment);
            let said = match reply {
                Reply::Error(text) | Reply::Simple(text) => String::from_utf8_lossy(text).into_owned(),
                Reply::Bulk(value) => {
                    value.map_or("nothing".into(), |value| String::from_utf8_lossy(value).into_owned())
                }
                Reply::Integer(number) => number.to_string(),
            };
            return self.fail(1, || format!("a {} was answered: {said}", kind.name()));
        }
        self.acknowledged += u64::from(kind == Kind::Increment);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_MICROS);
        self.latencies[kind as usize].saturating_record(micros.max(1));
    }

    fn fail(&mut self, commands: u64, why: impl FnOnce() -> String) {
        self.failed += commands;
        self.first_failure.get_or_insert_with(why);
    }

    fn add(&mut self, other: Tally) {
        for (mine, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

impl Load {
    /// Connects to the Redis ports at these addresses, and starts.
    pub fn start(addresses: &[SocketAddr]) -> io::Result<Load> {
        let (stop, completed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let connections = addresses.iter().flat_map(|address| [*address; CONNECTIONS_PER_SERVER]);
        let connections = connections.map(Connection::open).collect::<io::Result<Vec<_>>>()?;
        let mut threads = Vec::new();
        for (i, connection) in connections.into_iter().enumerate() {
            let (stop, completed) = (Arc::clone(&stop), Arc::clone(&completed));
            let run = move || drive(connection, i as u64, &stop, &completed);
            threads.push(thread::Builder::new().name(format!("load-{i}")).spawn(run)?);
        }
        Ok(Load { stop, completed, threads })
    }

    /// Commands answered so far.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Whether at least one connection is left.
    pub fn is_running(&self) -> bool {
        self.threads.iter().any(|thread| !thread.is_finished())
    }

    /// Ends the load. Each connection waits for its last replies.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Tally::new();
        for thread in self.threads {
            total.add(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        total
    }
}

/// One connection's part. If the connection breaks, its part ends; what was in flight counts as failed, with
/// unknown outcome.
fn drive(mut connection: Connection, number: u64, stop: &AtomicBool, completed: &AtomicU64) -> Tally {
    let mut tally = Tally::new();
    // Each connection visits all keys in its own order.
    let mut place = number * (KEYS / 7 + 1);
    for kind in Kind::MIX.iter().copied().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for _ in 0..PIPELINE {
            place += 7_919;
            let key = format!("demo:key:{}", place % KEYS);
            match kind {
                Kind::Write => connection.stage(&[b"SET", key.as_bytes(), VALUE]),
                Kind::Read => connection.stage(&[b"GET", key.as_bytes()]),
                Kind::Increment => connection.stage(&[b"INCR", COUNTER]),
            }
        }
        let start = Instant::now();
        let mut answered = 0;
        let outcome = connection.exchange(|reply| {
            answered += 1;
            tally.take(kind, reply, start.elapsed());
        });
        completed.fetch_add(answered, Ordering::Relaxed);
        if let Err(error) = outcome {
            let lost = PIPELINE as u64 - answered;
            tally.unknown += if kind == Kind::Increment { lost } else { 0 };
            tally.fail(lost, || format!("a connection broke: {error}"));
            break;
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_micros(250);

    #[test]
    fn only_the_right_answers_count() {
        let mut tally = Tally::new();
        tally.take(Kind::Write, Reply::Simple(b"OK"), LATENCY);
        tally.take(Kind::Read, Reply::Bulk(None), LATENCY);
        tally.take(Kind::Read, Reply::Bulk(Some(VALUE)), LATENCY);
        tally.take(Kind::Increment, Reply::Integer(1), LATENCY);
        assert_eq!((tally.succeeded(), tally.failed, tally.acknowledged), (4, 0, 1));
        assert_eq!(tally.latencies(Kind::Read).max(), 250);

        tally.take(Kind::Read, Reply::Bulk(Some(b"another value")), LATENCY);
        tally.take(Kind::Increment, Reply::Error(b"UNKNOWN outcome"), LATENCY);
        assert_eq!((tally.succeeded(), tally.failed, tally.acknowledged, tally.unknown), (4, 2, 1, 1));
        assert_eq!(tally.first_failure.as_deref(), Some("a strong read was answered: another value"));
    }

    #[test]
    fn tallies_add_up() {
        let mut one = Tally::new();
        one.take(Kind::Increment, Reply::Integer(1), LATENCY);
        let mut other = one.clone();
        other.take(Kind::Write, Reply::Error(b"NOQUORUM"), LATENCY);
        one.add(other);
        assert_eq!((one.succeeded(), one.acknowledged, one.failed), (2, 2, 1));
        assert_eq!(one.first_failure.as_deref(), Some("a write was answered: NOQUORUM"));
    }
}
