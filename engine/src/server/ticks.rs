//! The clock of a thread.

use std::time::{Duration, Instant};

use crate::clock::Clock;

/// The ticks of one thread. Ticks missed during a pause (of a stopped process) are not made up for: nobody
/// was there to hear heartbeats.
///
/// A manual clock ends no sleep: whoever moves it wakes the threads. So under a clock that stands still, a
/// thread with a missing wake-up sleeps forever, and no tick hides that.
#[derive(Debug)]
pub(crate) struct Ticks {
    clock: Clock,
    every: Duration,
    next: Instant,
}

impl Ticks {
    pub fn new(clock: Clock, every: Duration) -> Self {
        let next = clock.now() + every;
        Ticks { clock, every, next }
    }

    /// The longest time that a thread may sleep; `None` until it is woken. `now` is the system's time.
    pub fn sleep_at_most(&self, now: Instant) -> Option<Duration> {
        match self.clock {
            Clock::System => Some(self.next.saturating_duration_since(now)),
            Clock::Manual(_) => None,
        }
    }

    /// Whether the clock has not moved: part of a thread's last check before sleeping.
    pub fn may_sleep(&self) -> bool {
        match self.clock {
            Clock::System => true,
            Clock::Manual(_) => self.clock.now() < self.next,
        }
    }

    /// Time of a tick, if one is due. `now` is the system's time.
    pub fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let now = match self.clock {
            Clock::System => now,
            Clock::Manual(_) => self.clock.now(),
        };
        (now >= self.next).then(|| {
            self.next = (self.next + self.every).max(now);
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;

    const TICK: Duration = Duration::from_millis(50);

    #[test]
    fn missed_ticks_are_not_made_up_for() {
        let begun = Instant::now();
        let mut ticks = Ticks { clock: Clock::System, every: TICK, next: begun + TICK };
        assert_eq!(ticks.sleep_at_most(begun), Some(TICK));
        assert_eq!(ticks.take_due(begun), None);
        assert!(ticks.take_due(begun + TICK).is_some());
        assert!(ticks.take_due(begun + 10 * TICK).is_some());
        assert!(ticks.take_due(begun + 10 * TICK).is_some(), "one that is due at once");
        assert_eq!(ticks.take_due(begun + 10 * TICK), None);
        assert_eq!(ticks.sleep_at_most(begun + 11 * TICK), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_is_moved_ticks_when_it_is() {
        let clock = Arc::new(ManualClock::new());
        let mut ticks = Ticks::new(Clock::Manual(Arc::clone(&clock)), TICK);
        let far = Instant::now() + 100 * TICK;
        assert!(ticks.may_sleep() && ticks.sleep_at_most(far).is_none() && ticks.take_due(far).is_none());
        clock.set(TICK);
        assert!(!ticks.may_sleep() && ticks.take_due(far).is_some());
        assert!(ticks.may_sleep() && ticks.take_due(far).is_none());
    }
}
