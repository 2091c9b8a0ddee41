//! Wakes a thread only if it sleeps, which saves a system call per hand-over.

use crate::sync::{AtomicBool, Ordering, fence};

/// The agreement between a thread that may sleep and the threads that give it work.
///
/// The sleeper announces that it is going to sleep and *then* checks its queues once more; the others put
/// work into a queue and *then* check whether it sleeps. Both orders are sequentially consistent, so at least
/// one side sees the other: either the sleeper finds the work, or the giver learns that it must wake the
/// sleeper. How the thread sleeps and is woken (an eventfd, a condition variable) is not this type's concern.
///
/// ```
/// use niagara_net::SleepFlag;
///
/// let flag = SleepFlag::new();
/// assert!(!flag.take(), "nobody sleeps, so there is nobody to wake");
///
/// flag.announce(); // the sleeper: from here on look at the queues again, then sleep
/// assert!(flag.take(), "the first giver of work wakes");
/// assert!(!flag.take(), "the second one can save itself the system call");
/// flag.retract(); // the sleeper: awake
/// ```
#[derive(Debug, Default)]
pub struct SleepFlag(AtomicBool);

impl SleepFlag {
    /// A flag of a thread that is awake.
    pub fn new() -> SleepFlag {
        SleepFlag(AtomicBool::new(false))
    }

    /// One sleep: `may_sleep` is the sleeper's last check of its queues, and `wait` waits if its argument is
    /// true.
    pub fn sleep<T>(&self, may_sleep: impl FnOnce() -> bool, wait: impl FnOnce(bool) -> T) -> T {
        self.announce();
        let waited = wait(may_sleep());
        self.retract();
        waited
    }

    /// Called by the sleeper, before its last check of its queues.
    pub fn announce(&self) {
        self.0.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Called by the sleeper, as soon as it is awake or has decided not to sleep.
    pub fn retract(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Called by a giver of work, after publishing it: returns whether it must wake the sleeper. Of several
    /// givers, one must.
    pub fn take(&self) -> bool {
        fence(Ordering::SeqCst);
        // The load alone decides in the common case, and leaves the cache line with the thread that is awake.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// The two sides' accesses overtake each other most easily on separate cache lines.
    #[derive(Default)]
    #[repr(align(128))]
    struct Alone<T>(T);

    /// Two threads start a round as nearly at the same moment as possible. Returns the other one's round.
    fn meet(own: &AtomicU64, other: &AtomicU64, round: u64) -> u64 {
        own.store(round, Ordering::Release);
        for waited in 1u64.. {
            let at = other.load(Ordering::Acquire);
            if at >= round {
                return at;
            }
            // The other thread may need this core.
            if waited.is_multiple_of(1000) {
                thread::yield_now();
            }
        }
        unreachable!("the other thread comes sooner or later")
    }

    /// The promise that everything else rests on. Without the fences both sides miss each other a few times
    /// in a hundred thousand rounds (and a thread then sleeps on work that nobody will wake it for). A busy
    /// machine gets through fewer rounds, since every round needs both threads at once.
    #[test]
    fn at_least_one_side_sees_the_other() {
        const ROUNDS: u64 = 1_000_000;
        const ENOUGH: Duration = Duration::from_secs(3);
        const END: u64 = u64::MAX;
        let flag = Alone(SleepFlag::new());
        let [work, sleeper_at, giver_at] = [(); 3].map(|()| Alone(AtomicU64::new(0)));
        let last_look = |round| {
            if meet(&sleeper_at.0, &giver_at.0, 2 * round) == END {
                return None;
            }
            flag.0.announce();
            let found = work.0.load(Ordering::Relaxed) == round;
            meet(&sleeper_at.0, &giver_at.0, 2 * round + 1);
            flag.0.retract();
            Some(found)
        };
        let give = |round| {
            meet(&giver_at.0, &sleeper_at.0, 2 * round);
            work.0.store(round, Ordering::Relaxed);
            let must_wake = flag.0.take();
            meet(&giver_at.0, &sleeper_at.0, 2 * round + 1);
            must_wake
        };
        let (found, must_wake) = thread::scope(|scope| {
            let sleeper = scope.spawn(|| (1..).map_while(last_look).collect::<Vec<bool>>());
            let begin = Instant::now();
            let must_wake =
                (1..=ROUNDS).take_while(|_| begin.elapsed() < ENOUGH).map(give).collect::<Vec<bool>>();
            giver_at.0.store(END, Ordering::Release);
            (sleeper.join().unwrap(), must_wake)
        });
        assert_eq!(found.len(), must_wake.len());
        let lost = found.iter().zip(&must_wake).filter(|sides| *sides == (&false, &false)).count();
        assert_eq!(lost, 0, "of {} rounds", found.len());
    }
}
