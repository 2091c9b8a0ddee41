//! When operations are to begin. Times are in nanoseconds on the run's clock.

use rand::rngs::SmallRng;
use rand_distr::{Distribution as _, Exp1};

/// The rule by which operations begin.
#[derive(Debug)]
pub(super) enum Pace {
    /// As soon as there is room.
    Closed,
    /// At times of their own, whatever becomes of others.
    Open(Schedule),
}

/// The times of an open loop. Only the next one is known: what is due and has no room yet is no queue, but that time.
#[derive(Debug)]
pub(super) struct Schedule {
    nanos: f64,
    next: f64,
    poisson: Option<SmallRng>,
}

impl Schedule {
    /// From `begin` on so many per second, evenly, or with exponential intervals.
    pub fn new(begin: u64, per_second: f64, poisson: Option<SmallRng>) -> Schedule {
        let mut schedule = Schedule { nanos: 1e9 / per_second, next: begin as f64, poisson };
        if schedule.poisson.is_some() {
            schedule.advance();
        }
        schedule
    }

    fn advance(&mut self) {
        let factor: f64 = match &mut self.poisson {
            None => 1.0,
            Some(random) => Exp1.sample(random),
        };
        self.next += self.nanos * factor;
    }
}

impl Pace {
    /// The intended start of the next operation, if that has come; to be called when there is room for it.
    pub fn next(&mut self, now: u64) -> Option<u64> {
        match self {
            Pace::Closed => Some(now),
            Pace::Open(schedule) => {
                let due = schedule.next as u64;
                (due <= now).then(|| {
                    schedule.advance();
                    due
                })
            }
        }
    }

    /// When the next operation is due.
    pub fn due(&self) -> Option<u64> {
        match self {
            Pace::Closed => None,
            Pace::Open(schedule) => Some(schedule.next as u64),
        }
    }

    /// How many operations were due before a time and have not begun.
    pub fn overdue(&mut self, until: u64) -> u64 {
        match self {
            Pace::Closed => 0,
            Pace::Open(_) => std::iter::from_fn(|| self.next(until.saturating_sub(1))).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::keys::choices;

    #[test]
    fn an_open_loop_makes_up_for_what_it_has_missed() {
        let mut pace = Pace::Open(Schedule::new(500, 1000.0, None));
        assert_eq!(pace.next(499), None);
        let begun: Vec<_> = std::iter::from_fn(|| pace.next(2_500_000)).collect();
        assert_eq!(begun, [500, 1_000_500, 2_000_500]);
        assert_eq!(pace.due(), Some(3_000_500));
        assert_eq!(pace.overdue(10_000_000), 7);
    }

    #[test]
    fn intervals_do_not_drift() {
        let mut pace = Pace::Open(Schedule::new(0, 3.0, None));
        let begun = std::iter::from_fn(|| pace.next(999_999_999_999)).count();
        assert_eq!(begun, 3000);
    }

    #[test]
    fn exponential_intervals_keep_the_rate_and_vary() {
        let mut pace = Pace::Open(Schedule::new(0, 1000.0, Some(choices(1, 2))));
        let begun: Vec<u64> = std::iter::from_fn(|| pace.next(100_000_000_000)).collect();
        assert!((98_500..101_500).contains(&begun.len()), "{}", begun.len());
        let gaps = begun.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6);
        let variance = gaps.map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / begun.len() as f64;
        assert!((0.95..1.05).contains(&variance), "that of the exponential distribution is 1: {variance}");
    }

    #[test]
    fn a_closed_loop_begins_when_there_is_room() {
        assert_eq!((Pace::Closed.next(7), Pace::Closed.due()), (Some(7), None));
    }
}
