//! Latencies: how they are counted, and the figures that sum them up.

use std::fmt::{self, Display};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Percentiles, in milliseconds; zeros where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are not above this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// A histogram of nanoseconds: up to an hour, with three digits.
pub fn nanoseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("bounds are sound")
}

impl Latency {
    /// The percentiles of a histogram of nanoseconds.
    pub fn of(nanos: &Histogram<u64>) -> Latency {
        if nanos.is_empty() {
            return Latency::default();
        }
        let at = |quantile| nanos.value_at_quantile(quantile) as f64 / 1e6;
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max: nanos.max() as f64 / 1e6 }
    }

    /// Those of values in nanoseconds, each with how often it was seen.
    pub fn of_pairs<'a>(pairs: impl Iterator<Item = &'a (u64, u64)>) -> Latency {
        let mut all = nanoseconds();
        pairs.for_each(|(nanos, count)| all.saturating_record_n(*nanos, *count));
        Latency::of(&all)
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p90, p99, p99_9, max } = self;
        write!(f, "p50 {p50:.3} ms, p90 {p90:.3}, p99 {p99:.3}, p99.9 {p99_9:.3}, max {max:.3}")
    }
}
