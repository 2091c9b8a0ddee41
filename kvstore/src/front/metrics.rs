//! What the front ends count and time.
//!
//! A thread counts into its own [`Tally`] and adds it to the shared [`FrontMetrics`] once per turn.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::protocol::Wire;

/// What kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Read = 0,
    Write = 1,
    Other = 2,
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client's fault: not a request that this server understands.
    Malformed = 0,
    /// Overload, no leader, or stopping.
    Refused = 1,
    /// A write's deadline passed.
    Unknown = 2,
    /// A read found no quorum.
    NoQuorum = 3,
    /// There was no memory for it.
    Short = 4,
}

/// Why no connection was opened for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// The server has as many as it may have.
    Server = 0,
    /// The client's address has.
    Address = 1,
    /// The memory for requests and replies is used up.
    Memory = 2,
}

/// Why a connection was closed before its client wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The client does not take its replies.
    SlowReader = 0,
    /// It does not finish its request.
    SlowWriter = 1,
    /// It does not agree on keys.
    Handshake = 2,
    /// It held the most when the memory for requests and replies was used up.
    Memory = 3,
    /// It has been idle for as long as it may.
    Idle = 4,
    /// Somebody wanted it, by CLIENT KILL.
    Killed = 5,
}

/// Why a subscriber was disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deaf {
    /// It does not take its messages.
    Slow = 0,
    /// Messages are missing.
    Missing = 1,
}

const DEAF: [&str; 2] = ["slow", "missing"];
const WORKS: [&str; 3] = ["read", "write", "other"];
const FAILURES: [&str; 5] = ["malformed", "refused", "unknown", "no_quorum", "memory"];
const CROWDS: [&str; 3] = ["server", "address", "memory"];
const CLOSED: [&str; 6] = ["slow_reader", "slow_writer", "handshake", "memory", "idle", "killed"];

/// Latencies are counted in buckets that double from 16 us, below which a network hides everything, to 16 s,
/// above which the engine's deadline has passed twice. The last bucket is unbounded.
const BUCKETS: usize = 22;
const FIRST_BUCKET_MICROS: u64 = 16;

/// What one thread has counted in this turn.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    latencies: [[Latencies; WORKS.len()]; Wire::ALL.len()],
    failures: [[u64; FAILURES.len()]; Wire::ALL.len()],
    heard: u64,
    deaf: [u64; DEAF.len()],
    touched: bool,
}

#[derive(Debug, Default)]
struct Latencies {
    count: u64,
    micros: u64,
    buckets: [u64; BUCKETS],
}

impl Tally {
    /// Counts an answered request, whatever the answer, this long after it arrived.
    pub(crate) fn answered(&mut self, wire: Wire, work: Work, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let latencies = &mut self.latencies[wire as usize][work as usize];
        latencies.count += 1;
        latencies.micros = latencies.micros.saturating_add(micros);
        latencies.buckets[bucket_of(micros)] += 1;
        self.touched = true;
    }

    /// Counts an answer that was a failure, in addition to [`answered`](Tally::answered).
    pub(crate) fn failed(&mut self, wire: Wire, failure: Failure) {
        self.failures[wire as usize][failure as usize] += 1;
        self.touched = true;
    }

    /// Counts a message for a subscriber.
    pub(crate) fn heard(&mut self) {
        self.heard += 1;
        self.touched = true;
    }

    /// Counts subscribers that are disconnected.
    pub(crate) fn deaf(&mut self, why: Deaf, clients: usize) {
        self.deaf[why as usize] += clients as u64;
        self.touched = true;
    }
}

/// The lowest bucket whose bound the latency does not exceed.
fn bucket_of(micros: u64) -> usize {
    let doublings = micros.div_ceil(FIRST_BUCKET_MICROS).max(1).next_power_of_two().trailing_zeros();
    (doublings as usize).min(BUCKETS - 1)
}

/// The upper bound of a bucket, in seconds.
fn bound_of(bucket: usize) -> f64 {
    if bucket == BUCKETS - 1 { f64::INFINITY } else { (FIRST_BUCKET_MICROS << bucket) as f64 / 1e6 }
}

/// What all threads have counted.
#[derive(Debug, Default)]
pub(crate) struct FrontMetrics {
    latencies: [[SharedLatencies; WORKS.len()]; Wire::ALL.len()],
    failures: [[AtomicU64; FAILURES.len()]; Wire::ALL.len()],
    heard: AtomicU64,
    deaf: [AtomicU64; DEAF.len()],
    opened: [AtomicU64; Wire::ALL.len()],
    closed: [AtomicU64; Wire::ALL.len()],
    turned_away: [[AtomicU64; CROWDS.len()]; Wire::ALL.len()],
    closed_by_us: [[AtomicU64; CLOSED.len()]; Wire::ALL.len()],
}

#[derive(Debug, Default)]
struct SharedLatencies {
    count: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl FrontMetrics {
    /// Adds what a thread has counted in a turn, and empties it.
    pub(crate) fn add(&self, tally: &mut Tally) {
        if !tally.touched {
            return;
        }
        for (shared, own) in self.latencies.iter().flatten().zip(tally.latencies.iter().flatten()) {
            if own.count > 0 {
                shared.count.fetch_add(own.count, Relaxed);
                shared.micros.fetch_add(own.micros, Relaxed);
                for (shared, own) in shared.buckets.iter().zip(own.buckets).filter(|(_, own)| *own > 0) {
                    shared.fetch_add(own, Relaxed);
                }
            }
        }
        for (shared, own) in self.failures.iter().flatten().zip(tally.failures.iter().flatten()) {
            if *own > 0 {
                shared.fetch_add(*own, Relaxed);
            }
        }
        self.heard.fetch_add(tally.heard, Relaxed);
        for (shared, own) in self.deaf.iter().zip(tally.deaf) {
            shared.fetch_add(own, Relaxed);
        }
        *tally = Tally::default();
    }

    pub(crate) fn opened(&self, wire: Wire) {
        self.opened[wire as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self, wire: Wire) {
        self.closed[wire as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn turned_away(&self, wire: Wire, why: Crowd) {
        self.turned_away[wire as usize][why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn closed_by_us(&self, wire: Wire, why: Closed) {
        self.closed_by_us[wire as usize][why as usize].fetch_add(1, Relaxed);
    }

    fn encode_requests(&self, wire: Wire, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = format!("niagara_{}_requests", wire.name());
        let mut family = encoder.encode_descriptor(&name, "Requests answered", None, MetricType::Counter)?;
        for (latencies, work) in self.latencies[wire as usize].iter().zip(WORKS) {
            encode_counter(&mut family, &[("kind", work)], &latencies.count)?;
        }
        let name = format!("niagara_{}_failures", wire.name());
        let help = "Requests answered with an error: refused before the log, malformed, with an unknown outcome, \
                    without a quorum to read from, or without memory";
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for (failures, reason) in self.failures[wire as usize].iter().zip(FAILURES) {
            encode_counter(&mut family, &[("reason", reason)], failures)?;
        }
        Ok(())
    }

    fn encode_latencies(&self, wire: Wire, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = format!("niagara_{}_request", wire.name());
        let help = "Time from a request's arrival to its reply, in this server";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor(&name, help, unit, MetricType::Histogram)?;
        for (latencies, work) in self.latencies[wire as usize].iter().zip(WORKS) {
            let mut buckets = [(0.0, 0); BUCKETS];
            for (i, (bucket, count)) in buckets.iter_mut().zip(&latencies.buckets).enumerate() {
                *bucket = (bound_of(i), count.load(Relaxed));
            }
            // Threads add to the buckets meanwhile: the count is taken from the buckets, so the text is
            // consistent.
            let count = buckets.iter().map(|(_, count)| count).sum();
            let seconds = latencies.micros.load(Relaxed) as f64 / 1e6;
            family
                .encode_family(&[("kind", work)].as_slice())?
                .encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        Ok(())
    }

    fn encode_messages(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Messages for subscribers, counted for each of them";
        let family = encoder.encode_descriptor("niagara_redis_messages", help, None, MetricType::Counter)?;
        ConstCounter::new(self.heard.load(Relaxed)).encode(family)?;
        let name = "niagara_redis_subscribers_closed";
        let help =
            "Subscribers that were disconnected: since they did not take their messages, or missed some";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (count, reason) in self.deaf.iter().zip(DEAF) {
            encode_counter(&mut family, &[("reason", reason)], count)?;
        }
        Ok(())
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Open client connections";
        let mut family =
            encoder.encode_descriptor("niagara_connections_open", help, None, MetricType::Gauge)?;
        for wire in Wire::ALL {
            let closed = self.closed[wire as usize].load(Relaxed);
            let open = self.opened[wire as usize].load(Relaxed).saturating_sub(closed);
            let labels = [("protocol", wire.name())];
            ConstGauge::new(open as i64).encode(family.encode_family(&labels.as_slice())?)?;
        }
        let name = "niagara_connections_turned_away";
        let help = "Connections closed immediately because too many were open, on the server or from their address, or \
                    the memory for requests and replies was used up";
        encode_reasons(encoder, (name, help), &CROWDS, &self.turned_away)?;
        let name = "niagara_connections_closed";
        let help = "Connections that the server closed: their clients did not take replies, finish a request or agree on \
                    keys in time, held the most when memory was used up, or were idle, or somebody has killed them";
        encode_reasons(encoder, (name, help), &CLOSED, &self.closed_by_us)
    }
}

#[cfg(test)]
impl FrontMetrics {
    /// Messages for subscribers.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    /// Connections that this server closed for this reason.
    pub(super) fn closed_for(&self, wire: Wire, why: Closed) -> u64 {
        self.closed_by_us[wire as usize][why as usize].load(Relaxed)
    }

    /// Clients that were turned away for this reason.
    pub(super) fn turned_away_for(&self, wire: Wire, why: Crowd) -> u64 {
        self.turned_away[wire as usize][why as usize].load(Relaxed)
    }

    /// Subscribers that were disconnected, by reason.
    pub(super) fn deaf(&self) -> [u64; DEAF.len()] {
        [0, 1].map(|reason| self.deaf[reason].load(Relaxed))
    }
}

/// Encodes a counter for each protocol and reason.
fn encode_reasons<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    reasons: &[&'static str; N],
    counts: &[[AtomicU64; N]; Wire::ALL.len()],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (counts, wire) in counts.iter().zip(Wire::ALL) {
        for (count, reason) in counts.iter().zip(reasons) {
            encode_counter(&mut family, &[("protocol", wire.name()), ("reason", reason)], count)?;
        }
    }
    Ok(())
}

fn encode_counter(
    family: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &'static str)],
    count: &AtomicU64,
) -> fmt::Result {
    ConstCounter::new(count.load(Relaxed)).encode(family.encode_family(&labels)?)
}

/// Where a registry reads the metrics of requests.
#[derive(Clone, Debug)]
pub(crate) struct FrontCollector(pub(crate) std::sync::Arc<FrontMetrics>);

impl Collector for FrontCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for wire in Wire::ALL {
            self.0.encode_requests(wire, &mut encoder)?;
            self.0.encode_latencies(wire, &mut encoder)?;
        }
        self.0.encode_messages(&mut encoder)?;
        self.0.encode_connections(&mut encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_latency_is_in_the_least_bucket_that_holds_it() {
        for (micros, bucket) in [
            (0, 0),
            (16, 0),
            (17, 1),
            (32, 1),
            (33, 2),
            (8_388_608, 19),
            (8_388_609, 20),
            (10_000_000, 20),
            (16_777_217, 21),
        ] {
            assert_eq!(bucket_of(micros), bucket, "{micros}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!((bound_of(19) - 8.388_608).abs() < 1e-9);
    }

    #[test]
    fn the_text_has_names_units_and_sums() {
        let metrics = Arc::new(FrontMetrics::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(FrontCollector(Arc::clone(&metrics))));
        let mut tally = Tally::default();
        tally.answered(Wire::Http, Work::Write, Duration::from_micros(20));
        tally.answered(Wire::Http, Work::Write, Duration::from_micros(1000));
        tally.failed(Wire::Http, Failure::Unknown);
        metrics.add(&mut tally);
        metrics.add(&mut tally);
        metrics.opened(Wire::Redis);
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        for line in [
            "niagara_http_requests_total{kind=\"write\"} 2",
            "niagara_redis_requests_total{kind=\"read\"} 0",
            "niagara_http_failures_total{reason=\"unknown\"} 1",
            "niagara_http_request_seconds_count{kind=\"write\"} 2",
            "niagara_http_request_seconds_bucket{le=\"0.000032\",kind=\"write\"} 1",
            "niagara_http_request_seconds_bucket{le=\"+Inf\",kind=\"write\"} 2",
            "niagara_connections_open{protocol=\"redis\"} 1",
        ] {
            assert!(out.lines().any(|other| other == line), "{line} is not in\n{out}");
        }
        assert!(out.contains("niagara_http_request_seconds_sum{kind=\"write\"} 0.00102"), "{out}");
    }
}
