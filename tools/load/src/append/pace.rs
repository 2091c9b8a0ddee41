//! When commands are to begin.

use std::time::Duration;

use super::demand::Demand;

/// The rule by which an origin proposes. Times are in nanoseconds since the origin's start.
#[derive(Debug)]
pub(super) enum OriginPace {
    /// Command i is meant to begin at i / rate. Where the engine cannot keep up, no more are in flight than keep it busy, and those
    /// that are late wait here: offered to a full engine, they would only be refused, again and again.
    Open { per_second: u64, begun: u64, step_nanos: u64, most_in_flight: u64 },
    /// So many are in flight.
    Closed { in_flight: u64 },
}

impl OriginPace {
    /// `unbounded`: how many commands in flight keep all groups busy that this server leads. `step_nanos`: in an open loop commands
    /// are generated in steps of this length, since a sleep per command would measure the sleeps.
    pub fn new(demand: Demand, unbounded: u64, step_nanos: u64) -> OriginPace {
        match demand {
            Demand::Rate { per_second } => {
                OriginPace::Open { per_second, begun: 0, step_nanos, most_in_flight: unbounded }
            }
            Demand::InFlight { commands } => OriginPace::Closed { in_flight: commands },
            Demand::Unbounded => OriginPace::Closed { in_flight: unbounded },
        }
    }

    /// The next command to begin now, by the time at which it was meant to.
    pub fn next(&mut self, now: u64, in_flight: u64) -> Option<u64> {
        match self {
            OriginPace::Closed { in_flight: wanted } => (in_flight < *wanted).then_some(now),
            OriginPace::Open { per_second, begun, most_in_flight, .. } => {
                let at = (u128::from(*begun) * 1_000_000_000 / u128::from(*per_second)) as u64;
                let due = at <= now && in_flight < *most_in_flight;
                *begun += u64::from(due);
                due.then_some(at)
            }
        }
    }

    /// How long there is nothing to begin, if nothing is completed meanwhile.
    pub fn pause(&self, now: u64) -> Duration {
        match self {
            OriginPace::Closed { .. } => Duration::from_millis(100),
            OriginPace::Open { per_second, begun, step_nanos, .. } => {
                let next = (u128::from(*begun) * 1_000_000_000 / u128::from(*per_second)) as u64;
                let step_end = (now / step_nanos + 1) * step_nanos;
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
        let mut pace = OriginPace::new(Demand::Rate { per_second: 1000 }, 100, 250_000);
        let begun: Vec<_> = std::iter::from_fn(|| pace.next(3_500_000, 0)).collect();
        assert_eq!(begun, [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(pace.pause(3_500_000), Duration::from_micros(500));
    }

    #[test]
    fn an_open_loop_does_not_overrun_the_engine_and_counts_from_the_intended_start() {
        let mut pace = OriginPace::new(Demand::Rate { per_second: 1000 }, 2, 250_000);
        assert_eq!(pace.next(9_000_000, 1), Some(0));
        assert_eq!(pace.next(9_000_000, 2), None);
        assert_eq!(pace.next(9_900_000, 1), Some(1_000_000));
    }

    #[test]
    fn a_closed_loop_waits_for_room() {
        let mut pace = OriginPace::new(Demand::InFlight { commands: 2 }, 1, 250_000);
        assert_eq!(pace.next(7, 1), Some(7));
        assert_eq!(pace.next(7, 2), None);
    }
}
