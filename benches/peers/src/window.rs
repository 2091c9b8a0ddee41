//! The window of time that counts, and what was completed in it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use niagara_measure::{Latency, nanoseconds};
use serde::{Deserialize, Serialize};

/// Fills queues, caches and connections before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// A load that sees no completion for so long, well above all time-outs of elections, has lost its commands.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A window of time.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Its first moment.
    pub opens: Instant,
    /// The first moment after it.
    pub closes: Instant,
}

/// What was completed in a window.
#[derive(Clone, Debug)]
pub struct Recorder {
    window: Window,
    nanos: Histogram<u64>,
}

/// What a load has seen, from its first command to its last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Loaded {
    /// Commands that were proposed, all of which have completed.
    pub proposed: u64,
    /// Those that completed in the window.
    pub in_window: u64,
    /// From the proposal to its completion, of those in the window.
    pub latency_ms: Latency,
}

impl Window {
    /// One that opens after the warm-up.
    pub fn after_warm_up(time: Duration) -> Window {
        let opens = Instant::now() + WARM_UP;
        Window { opens, closes: opens + time }
    }
}

impl Recorder {
    /// Nothing yet.
    pub fn new(window: Window) -> Recorder {
        Recorder { window, nanos: nanoseconds() }
    }

    /// A command that was proposed at one moment has completed at another.
    pub fn record(&mut self, proposed: Instant, completed: Instant) {
        if completed >= self.window.opens && completed < self.window.closes {
            let nanos = completed.saturating_duration_since(proposed).as_nanos();
            self.nanos.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
    }

    /// All of it.
    pub fn finish(&self, proposed: u64) -> Loaded {
        Loaded { proposed, in_window: self.nanos.len(), latency_ms: Latency::of(&self.nanos) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_completes_in_the_window_counts() {
        let window = Window::after_warm_up(Duration::from_secs(1));
        let mut recorder = Recorder::new(window);
        let millisecond = Duration::from_millis(1);
        recorder.record(window.opens - 3 * millisecond, window.opens - millisecond);
        recorder.record(window.opens - millisecond, window.opens + millisecond);
        recorder.record(window.opens, window.closes);
        let loaded = recorder.finish(3);
        assert_eq!((loaded.proposed, loaded.in_window), (3, 1));
        assert!((loaded.latency_ms.p50 - 2.0).abs() < 0.01);
    }
}
