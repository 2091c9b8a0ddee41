//! What a run has measured.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use niagara_measure::{Latency, nanoseconds};
use serde::{Deserialize, Serialize};

use super::chain_key::ChainKey;
use super::measure::{Slice, Totals};
use super::operation::Kind;
use crate::failure::Failure;

/// The figures of one run, or of several that were merged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// The command line that repeats it.
    pub command: String,
    /// The subcommand: `kv`, `write`, `counter`, `chain`.
    pub workload: String,
    /// `http`, `redis` or `embedded`.
    pub target: String,
    /// Wall clock at the start of the measured window, in milliseconds since 1970.
    pub begun_unix_ms: u64,
    /// Length of the measured window.
    pub seconds: f64,
    /// The rate of an open loop.
    pub requested_per_second: Option<f64>,
    /// Operations that were done.
    pub completed: u64,
    /// The same per second.
    pub per_second: f64,
    /// Of all operations that were done, from the (intended) start to the reply.
    pub latency_ms: Latency,
    /// By kind: `write`, `read`, `increment`; those of which there were any.
    pub operations: BTreeMap<String, Operation>,
    /// Operations that were not done, and attempts to connect that failed, by kind of error: see `docs/load.md`.
    pub errors: BTreeMap<String, u64>,
    /// What was said about the first error of each kind, also of the warm-up.
    pub said: BTreeMap<String, String>,
    /// Operations of an open loop that were due in the window and had not begun at its end.
    pub backlog: u64,
    /// Reads that found no key.
    pub misses: u64,
    /// By the time of completion, one for each step, also where nothing was completed.
    pub timeline: Vec<Interval>,
    /// What was compared in the end, if the workload does that.
    pub check: Option<Check>,
    /// Where hash chains ended, for `niagara-load verify`.
    pub chains: Option<ChainEnds>,
    /// By kind, nanoseconds: HdrHistogram V2, compressed, base64. They merge without loss.
    pub histograms: BTreeMap<String, String>,
}

/// The operations of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// How many were done.
    pub completed: u64,
    /// The same per second.
    pub per_second: f64,
    /// Their latency.
    pub latency_ms: Latency,
}

/// One step of the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its beginning, from that of the window.
    pub at_seconds: f64,
    /// Operations done.
    pub completed: u64,
    /// Operations not done, and attempts to connect that failed.
    pub errors: u64,
    /// Operations done, by kind.
    pub by_kind: BTreeMap<String, u64>,
    /// Half of the latencies are not above this.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What a check has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Comparisons.
    pub checked: u64,
    /// What was wrong, each in a sentence.
    pub failed: Vec<String>,
}

/// Where hash chains ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnds {
    /// From which their first links follow.
    pub seed: u64,
    /// Every key that was written to.
    pub keys: Vec<ChainKey>,
}

impl LoadReport {
    /// Whether something was done, and no check failed.
    pub fn is_good(&self) -> bool {
        self.completed > 0 && self.check.as_ref().is_none_or(|check| check.failed.is_empty())
    }

    /// Fills in the figures that follow from histograms by kind.
    pub(super) fn fill_in(&mut self, nanos: &BTreeMap<String, Histogram<u64>>) {
        let mut all = nanoseconds();
        for (kind, nanos) in nanos.iter().filter(|(_, nanos)| !nanos.is_empty()) {
            all.add(nanos).expect("the bounds are the same");
            let completed = nanos.len();
            let per_second = completed as f64 / self.seconds;
            let operation = Operation { completed, per_second, latency_ms: Latency::of(nanos) };
            self.operations.insert(kind.clone(), operation);
            self.histograms.insert(kind.clone(), encode(nanos));
        }
        self.completed = all.len();
        self.per_second = self.completed as f64 / self.seconds;
        self.latency_ms = Latency::of(&all);
    }

    /// Fills in what the threads have seen in all.
    pub(super) fn fill_in_totals(&mut self, totals: &Totals) {
        let by_kind = Kind::ALL.into_iter().zip(totals.nanos.clone());
        self.fill_in(&by_kind.map(|(kind, nanos)| (kind.name().to_owned(), nanos)).collect());
        let name = |trouble: &super::operation::Trouble| trouble.name().to_owned();
        self.errors = totals.errors.iter().map(|(trouble, count)| (name(trouble), *count)).collect();
        self.said = totals.said.iter().map(|(trouble, text)| (name(trouble), text.clone())).collect();
        self.backlog = totals.backlog;
        self.misses = totals.misses;
    }
}

impl Interval {
    pub(super) fn of(at_seconds: f64, slice: &Slice) -> Interval {
        let Latency { p50, p90, p99, max, .. } = Latency::of(&slice.nanos);
        let by_kind = Kind::ALL.into_iter().zip(slice.completed).filter(|(_, count)| *count > 0);
        Interval {
            at_seconds,
            completed: slice.completed.iter().sum(),
            errors: slice.errors,
            by_kind: by_kind.map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
            p50_ms: p50,
            p90_ms: p90,
            p99_ms: p99,
            max_ms: max,
        }
    }
}

fn encode(nanos: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(nanos, &mut bytes).expect("a buffer takes all");
    BASE64.encode(bytes)
}

/// A histogram as a report has it.
pub(super) fn decode(text: &str) -> Result<Histogram<u64>, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::new(format!("a histogram is damaged: {error}"));
    let bytes = BASE64.decode(text).map_err(|error| broken(&error))?;
    let mut nanos = nanoseconds();
    let decoded: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| broken(&error))?;
    nanos.add(decoded).map_err(|error| broken(&error))?;
    Ok(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_survive_their_text() {
        let mut nanos = nanoseconds();
        (1..1000).for_each(|value| nanos.record_n(value * value, value).unwrap());
        assert_eq!(decode(&encode(&nanos)).unwrap(), nanos);
        assert!(decode("AAAA").is_err() && decode("!").is_err());
    }
}
