//! [`SleepFlag`](crate::SleepFlag): of a sleeper and a giver of work at least one sees the other.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread::{self, JoinHandle};

use crate::SleepFlag;

/// A flag, and work that is published without a memory order of its own: the flag alone must provide one.
#[derive(Clone)]
struct Pair(Arc<(SleepFlag, AtomicBool)>);

impl Pair {
    fn new() -> Pair {
        Pair(Arc::new((SleepFlag::new(), AtomicBool::new(false))))
    }

    /// Gives work in another thread, which returns whether it must wake the sleeper.
    fn give(&self) -> JoinHandle<bool> {
        let Pair(given) = self.clone();
        thread::spawn(move || {
            given.1.store(true, Relaxed);
            given.0.take()
        })
    }

    fn has_work(&self) -> bool {
        self.0.1.load(Relaxed)
    }
}

/// A sleep lasts until the giver has done everything that it will do.
fn sleep(giver: JoinHandle<bool>, may_sleep: bool) {
    let is_woken = giver.join().unwrap();
    assert!(!may_sleep || is_woken, "it sleeps on work, and nobody wakes it");
}

/// A sleeper that checks after it has announced that it sleeps.
pub fn at_least_one_side_sees_the_other() {
    let pair = Pair::new();
    let giver = pair.give();
    pair.0.0.sleep(|| !pair.has_work(), |may_sleep| sleep(giver, may_sleep));
}

/// A bug that a sleeper could have: it checks before it announces that it sleeps.
pub fn a_look_before_the_announcement() {
    let pair = Pair::new();
    let giver = pair.give();
    let none = !pair.has_work();
    pair.0.0.sleep(|| none, |may_sleep| sleep(giver, may_sleep));
}

/// One of two givers wakes the sleeper, and the other saves the system call.
pub fn one_giver_wakes() {
    let flag = Arc::new(SleepFlag::new());
    flag.announce();
    let theirs = Arc::clone(&flag);
    let other = thread::spawn(move || theirs.take());
    let mine = flag.take();
    assert!(mine ^ other.join().unwrap(), "who sleeps is woken once");
}
