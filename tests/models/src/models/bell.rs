//! [`Bell`](crate::progress::Bell): a parked thread is notified of all work.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::progress::Bell;
use crate::sync::{AtomicU64, Ordering::SeqCst};

/// Two threads give work; the third sleeps whenever it has found none since its last check.
pub fn all_work_is_heard_of() {
    let shared = Arc::new((Bell::default(), AtomicU64::new(0)));
    let givers = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.1.fetch_add(1, SeqCst);
            shared.0.ring();
        })
    });
    let (bell, work) = &*shared;
    let mut done = 0;
    while done < 2 {
        bell.sleep(Duration::MAX, || work.load(SeqCst) == done);
        done = work.load(SeqCst);
    }
    givers.into_iter().for_each(|giver| giver.join().unwrap());
}
