//! One outcome that arrives once, and the one caller that waits for it, blocked or as a future.

use std::mem;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::misuse::{self, SelfWait};
use crate::planted::{self, Bug};
use crate::sync::{Mutex, Thread, current, park_timeout};

/// An outcome that is still to come, has come, or was taken.
pub(crate) enum Promise<T> {
    /// Whoever polled last is woken. A blocked thread has a waker, too, so that a caller may poll first and
    /// block later.
    Pending(Option<Waker>),
    Kept(T),
    Taken,
    /// The caller has dropped its ticket.
    Unwanted,
}

/// What to do after a promise was kept, outside of its lock: wakers and outcomes run the embedder's code.
pub(crate) enum Kept<T> {
    Quietly,
    Wake(Waker),
    Drop(T),
}

impl<T> Promise<T> {
    pub fn pending() -> Self {
        Promise::Pending(None)
    }

    /// # Panics
    /// If an outcome has arrived before.
    pub fn keep(&mut self, value: T) -> Kept<T> {
        match mem::replace(self, Promise::Taken) {
            Promise::Pending(waker) => {
                *self = Promise::Kept(value);
                waker.map_or(Kept::Quietly, Kept::Wake)
            }
            Promise::Unwanted => Kept::Drop(value),
            Promise::Kept(_) | Promise::Taken => panic!("applied_once: one outcome per ticket"),
        }
    }

    /// Takes the outcome, or replaces the waker. Returns the previous waker, to be dropped outside of the
    /// lock.
    ///
    /// # Panics
    /// If the outcome was taken before.
    pub fn poll(&mut self, waker: Waker) -> (Poll<T>, Option<Waker>) {
        match mem::replace(self, Promise::Taken) {
            Promise::Pending(before) => {
                *self = Promise::Pending(Some(waker));
                (Poll::Pending, before)
            }
            Promise::Kept(value) => (Poll::Ready(value), None),
            Promise::Taken | Promise::Unwanted => {
                panic!("a ticket is polled until it is ready, and not after")
            }
        }
    }

    /// The caller waits no longer. Returns what it leaves behind, to be dropped outside of the lock.
    pub fn abandon(&mut self) -> Promise<T> {
        let unwanted = matches!(self, Promise::Pending(_));
        mem::replace(self, if unwanted { Promise::Unwanted } else { Promise::Taken })
    }
}

/// A promise that two threads share.
pub(crate) struct SharedPromise<T>(Mutex<Promise<T>>);

impl<T> SharedPromise<T> {
    pub fn new() -> Self {
        SharedPromise(Mutex::new(Promise::pending()))
    }

    pub fn keep(&self, value: T) {
        let kept = self.0.lock().keep(value);
        if let Kept::Wake(waker) = kept {
            waker.wake();
        }
    }

    pub fn poll(&self, waker: &Waker) -> Poll<T> {
        // Wakers are cloned and dropped outside of the lock, since both run the executor's code.
        let waker = waker.clone();
        let mut promise = self.0.lock();
        if planted::is(Bug::WakerLeftUnlocked) && matches!(*promise, Promise::Pending(_)) {
            drop(promise);
            promise = self.0.lock();
            *promise = Promise::Pending(None);
        }
        let (outcome, before) = promise.poll(waker);
        drop(promise);
        drop(before);
        outcome
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until `poll` is ready, unless the engine would wait for itself.
pub(crate) fn block_on<T>(poll: impl FnMut(&Waker) -> Poll<T>) -> Result<T, SelfWait> {
    block_on_until(None, poll).map(|outcome| outcome.expect("it has no deadline"))
}

/// The same, until this moment at most: then it returns `None`.
pub(crate) fn block_on_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Result<Option<T>, SelfWait> {
    misuse::check_wait()?;
    if let Poll::Ready(outcome) = poll(Waker::noop()) {
        return Ok(Some(outcome));
    }
    let waker = Waker::from(Arc::new(Unpark(current())));
    loop {
        if let Poll::Ready(outcome) = poll(&waker) {
            return Ok(Some(outcome));
        }
        let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn only_the_last_waker_is_woken_and_an_outcome_is_taken_once() {
        let (first, last) = (Arc::<Count>::default(), Arc::<Count>::default());
        let promise = SharedPromise::new();
        assert!(promise.poll(&Waker::from(Arc::clone(&first))).is_pending());
        assert!(promise.poll(&Waker::from(Arc::clone(&last))).is_pending());
        promise.keep(7);
        let woken = |count: &Count| count.0.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!((woken(&first), woken(&last)), (0, 1));
        assert_eq!(block_on(|waker| promise.poll(waker)), Ok(7));
    }

    #[test]
    fn an_outcome_that_nobody_wants_is_handed_back() {
        let mut promise = Promise::pending();
        assert!(matches!(promise.abandon(), Promise::Pending(None)));
        assert!(matches!(promise.keep("reply"), Kept::Drop("reply")));
        let mut promise = Promise::pending();
        assert!(matches!(promise.keep("reply"), Kept::Quietly));
        assert!(matches!(promise.abandon(), Promise::Kept("reply")));
    }

    #[test]
    #[should_panic(expected = "applied_once")]
    fn a_second_outcome_is_a_bug() {
        let mut promise = Promise::pending();
        let _ = promise.keep(1);
        let _ = promise.keep(2);
    }
}
