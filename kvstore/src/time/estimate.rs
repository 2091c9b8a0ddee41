//! The time of the cluster, as a server estimates it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// The time of the cluster, shared by the threads of a server. It runs by the steady clock of the server, from
/// what the timekeeper has learned.
#[derive(Debug)]
pub(crate) struct ClusterTime {
    start: Instant,
    /// Milliseconds since 1970 at `start`; [`UNKNOWN`] at first.
    offset: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;

impl ClusterTime {
    /// Not known yet.
    pub(crate) fn new(now: Instant) -> ClusterTime {
        ClusterTime { start: now, offset: AtomicI64::new(UNKNOWN) }
    }

    /// The time, in milliseconds since 1970, if it is known.
    pub(crate) fn at(&self, now: Instant) -> Option<u64> {
        let offset = Some(self.offset.load(Ordering::Relaxed)).filter(|offset| *offset != UNKNOWN)?;
        u64::try_from(offset + self.steady(now)).ok()
    }

    /// Milliseconds by the steady clock.
    pub(super) fn steady(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(i64::MAX / 2)
    }

    pub(super) fn set(&self, offset: Option<i64>) {
        self.offset.store(offset.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}
