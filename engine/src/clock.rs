//! Where a server reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

use crate::planted::{self, Bug};

/// The system's monotonic clock, or one that a simulator sets.
///
/// ```
/// use niagara_engine::internals::sim::{Clock, ManualClock};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let manual = Arc::new(ManualClock::new());
/// let clock = Clock::Manual(Arc::clone(&manual));
/// let start = clock.now();
/// manual.set(Duration::from_secs(3));
/// assert_eq!(clock.now() - start, Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A simulator's clock.
    Manual(Arc<ManualClock>),
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    nanoseconds: AtomicU64,
    boot_nanoseconds: AtomicU64,
    slept_nanoseconds: AtomicU64,
}

impl Clock {
    /// The current time.
    pub fn now(&self) -> Instant {
        match self {
            Clock::System => Instant::now(),
            Clock::Manual(clock) => clock.start + Duration::from_nanos(clock.nanoseconds.load(SeqCst)),
        }
    }

    /// Time since the machine's start, including the time that it slept, unlike [`now`](Self::now). Only
    /// readings of the same machine can be compared.
    pub fn boot_time(&self) -> Duration {
        match self {
            Clock::System => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
            }
            Clock::Manual(clock) => {
                let slept = if planted::is(Bug::LeaseBySleepingClock) {
                    clock.slept_nanoseconds.load(SeqCst)
                } else {
                    0
                };
                Duration::from_nanos(clock.boot_nanoseconds.load(SeqCst).saturating_sub(slept))
            }
        }
    }

    /// Milliseconds since 1970, for people to read. A simulator's clock starts at 0.
    pub fn unix_ms(&self) -> u64 {
        match self {
            Clock::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |since| since.as_millis() as u64)
            }
            Clock::Manual(clock) => clock.nanoseconds.load(SeqCst) / 1_000_000,
        }
    }
}

impl ManualClock {
    /// A clock at its start.
    #[expect(
        clippy::new_without_default,
        reason = "a clock's start is a moment of the system's, not a neutral value"
    )]
    pub fn new() -> ManualClock {
        ManualClock {
            start: Instant::now(),
            nanoseconds: AtomicU64::new(0),
            boot_nanoseconds: AtomicU64::new(0),
            slept_nanoseconds: AtomicU64::new(0),
        }
    }

    /// Sets the clock to this long after its start.
    pub fn set(&self, since_start: Duration) {
        self.nanoseconds.store(since_start.as_nanos() as u64, SeqCst);
        self.set_boot_time(since_start, Duration::ZERO);
    }

    /// Sets only what [`Clock::boot_time`] shows, for a machine whose clock runs at another rate, or which has
    /// slept for some of that time.
    pub fn set_boot_time(&self, since_boot: Duration, slept: Duration) {
        self.boot_nanoseconds.store(since_boot.as_nanos() as u64, SeqCst);
        self.slept_nanoseconds.store(slept.as_nanos() as u64, SeqCst);
    }
}
