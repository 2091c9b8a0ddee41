//! When commands are to begin.

use std::time::Duration;

use super::plan::Load;

/// In an open loop commands are generated in steps of this length: a sleep per command would measure the sleeps.
const STEP_NANOS: u64 = 250_000;
/// An open loop that the engine cannot keep up with is cut off here, rather than growing without end.
const MOST_IN_FLIGHT: u64 = 2_000_000;

/// The rule by which an origin proposes. Times are in nanoseconds since the origin's start.
#[derive(Debug)]
pub(super) enum Pace {
    /// Command i is meant to begin at i / rate.
    Open { per_second: u64, begun: u64 },
    /// So many are in flight.
    Closed { in_flight: u64 },
}

impl Pace {
    /// `unbounded`: how many commands in flight keep all groups busy that this server leads.
    pub fn new(load: Load, unbounded: u64) -> Pace {
        match load {
            Load::Rate { per_second } => Pace::Open { per_second, begun: 0 },
            Load::InFlight { commands } => Pace::Closed { in_flight: commands },
            Load::Unbounded => Pace::Closed { in_flight: unbounded },
        }
    }

    /// The next command to begin now, by the time at which it was meant to.
    pub fn next(&mut self, now: u64, in_flight: u64) -> Option<u64> {
        match self {
            Pace::Closed { in_flight: wanted } => (in_flight < *wanted).then_some(now),
            Pace::Open { per_second, begun } => {
                let at = (u128::from(*begun) * 1_000_000_000 / u128::from(*per_second)) as u64;
                let due = at <= now && in_flight < MOST_IN_FLIGHT;
                *begun += u64::from(due);
                due.then_some(at)
            }
        }
    }

    /// How long there is nothing to begin, if nothing is completed meanwhile.
    pub fn pause(&self, now: u64) -> Duration {
        match self {
            Pace::Closed { .. } => Duration::from_millis(100),
            Pace::Open { per_second, begun } => {
                let next = (u128::from(*begun) * 1_000_000_000 / u128::from(*per_second)) as u64;
                let step_end = (now / STEP_NANOS + 1) * STEP_NANOS;
                Duration::from_nanos(next.max(step_end) - now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_makes_up_for_what_it_has_missed() {
        let mut pace = Pace::new(Load::Rate { per_second: 1000 }, 1);
        let begun: Vec<_> = std::iter::from_fn(|| pace.next(3_500_000, 0)).collect();
        assert_eq!(begun, [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(pace.pause(3_500_000), Duration::from_micros(500));
    }

    #[test]
    fn a_closed_loop_waits_for_room() {
        let mut pace = Pace::new(Load::InFlight { commands: 2 }, 1);
        assert_eq!(pace.next(7, 1), Some(7));
        assert_eq!(pace.next(7, 2), None);
    }
}
