//! Callers that wait until a lane has room for their commands.

use std::sync::Arc;
use std::time::Instant;

use crate::promise::SharedPromise;

/// Kept when it is worth looking again.
pub(crate) type RoomPromise = SharedPromise<()>;

/// Callers that wait for room in one lane.
#[derive(Default)]
pub(super) struct RoomWaiters {
    waiters: Vec<Waiter>,
    /// Number of waiters at which those that have given up are sorted out.
    sorts_out_at: usize,
}

struct Waiter {
    promise: Arc<RoomPromise>,
    deadline: Instant,
}

/// As few waiters are not worth sorting.
const FEW: usize = 64;

impl RoomWaiters {
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub fn add(&mut self, deadline: Instant) -> Arc<RoomPromise> {
        if self.waiters.len() >= self.sorts_out_at.max(FEW) {
            self.waiters.retain(|waiter| Arc::strong_count(&waiter.promise) > 1);
            self.sorts_out_at = 2 * self.waiters.len();
        }
        let promise = Arc::new(RoomPromise::new());
        self.waiters.push(Waiter { promise: Arc::clone(&promise), deadline });
        promise
    }

    /// Takes those whose deadline has passed.
    pub fn take_due(&mut self, now: Instant) -> impl Iterator<Item = Arc<RoomPromise>> {
        let due = self.waiters.extract_if(.., move |waiter| waiter.deadline <= now);
        due.map(|waiter| waiter.promise)
    }

    pub fn take_all(&mut self) -> impl Iterator<Item = Arc<RoomPromise>> {
        self.waiters.drain(..).map(|waiter| waiter.promise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_that_have_given_up_do_not_pile_up() {
        let mut waiters = RoomWaiters::default();
        let now = Instant::now();
        let patient = waiters.add(now);
        for _ in 0..10_000 {
            drop(waiters.add(now));
        }
        assert!(waiters.waiters.len() <= 2 * FEW, "{}", waiters.waiters.len());
        let due: Vec<_> = waiters.take_due(now).collect();
        assert!(due.iter().any(|promise| Arc::ptr_eq(promise, &patient)) && waiters.is_empty());
    }
}
