//! A leader's lease, published for the threads that answer reads. They need neither a message nor the group's
//! thread.

use std::time::Duration;

use crate::planted::{self, Bug};
use crate::sync::{AtomicU64, Ordering::SeqCst};

/// The lease that this server holds as the leader of a group, if it has one. The group's thread writes it
/// before the messages of its turn leave, since others learn from those what is committed, or that they may
/// lead (`niagara_group`, `lease.rs`).
///
/// The place is written before the end of the lease and read after it. So whoever finds a lease finds a place that
/// is at least as recent, and a later place only makes a read wait longer.
#[derive(Default)]
pub(crate) struct PublishedLease {
    /// When the lease ends, in nanoseconds of [`Clock::boot_time`](crate::clock::Clock::boot_time); 0 for
    /// none.
    until: AtomicU64,
    /// The last place of the group that is committed.
    place: AtomicU64,
}

impl PublishedLease {
    /// Publishes a lease.
    pub fn hold(&self, place: u64, until: Duration) {
        let until = until.as_nanos() as u64;
        if planted::is(Bug::LeaseBeforePlace) {
            self.until.store(until, SeqCst);
            self.place.store(place, SeqCst);
            return;
        }
        self.place.store(place, SeqCst);
        self.until.store(until, SeqCst);
    }

    /// Publishes that there is none.
    pub fn end(&self) {
        // The group's thread alone writes it, and without leases it is never read.
        if self.until.load(SeqCst) != 0 {
            self.until.store(0, SeqCst);
        }
    }

    /// The last place that was committed in the group when this was called, if the lease was held then. `now`
    /// reads the clock.
    pub fn place(&self, now: impl FnOnce() -> Duration) -> Option<u64> {
        let early = planted::is(Bug::PlaceBeforeLease).then(|| self.place.load(SeqCst));
        let until = self.until.load(SeqCst);
        if until == 0 {
            return None;
        }
        let place = early.unwrap_or_else(|| self.place.load(SeqCst));
        // The clock comes last: a thread that is held up above finds the lease ended.
        let holds = (now().as_nanos() as u64) < until || planted::is(Bug::LeaseWithoutClock);
        holds.then_some(place)
    }
}
