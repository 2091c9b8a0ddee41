//! A group's thread publishes its lease, and sends messages; a read relies on the lease.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::progress::PublishedLease;
use crate::sync::{AtomicU64, Ordering::SeqCst};

const END: Duration = Duration::from_nanos(9);

/// A new leader publishes its lease, commits, tells others, and gives the lease up before somebody else may
/// commit. Whoever has been told of a place reads that place or a later one, or finds no lease.
pub fn a_read_by_a_lease_sees_what_others_were_told() {
    let lease = Arc::new(PublishedLease::default());
    // An earlier leader has told of the first place.
    let told = Arc::new(AtomicU64::new(1));
    let theirs = (Arc::clone(&lease), Arc::clone(&told));
    let group = thread::spawn(move || {
        let (lease, told) = theirs;
        lease.hold(1, END);
        lease.hold(2, END);
        told.store(2, SeqCst);
        lease.end();
        told.store(3, SeqCst);
    });
    let least = told.load(SeqCst);
    if let Some(place) = lease.place(|| Duration::ZERO) {
        assert!(place >= least, "read_is_fresh: {least} is told, and a read sees {place}");
    }
    group.join().unwrap();
    assert_eq!(lease.place(|| Duration::ZERO), None);
}
