//! A merge that has stopped because too much waits for execution resumes when less does.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::progress::{Bell, Bounds, ByteLimits};

/// The sequencer hands over two stretches, one of which fills the bound, and then a third as soon as there is
/// room.
pub fn a_full_merge_goes_on() {
    let bounds = Bounds::new(ByteLimits { behind: 1 << 10, merge: 10 }, 1);
    bounds.merged(4);
    bounds.merged(9);
    let shared = Arc::new((bounds, Bell::default()));
    let theirs = Arc::clone(&shared);
    let application = thread::spawn(move || {
        for bytes in [4, 9] {
            if theirs.0.executed(bytes) {
                theirs.1.ring();
            }
        }
    });
    let (bounds, bell) = &*shared;
    while bounds.execution_is_full() {
        bell.sleep(Duration::MAX, || bounds.execution_is_full());
    }
    bounds.merged(1);
    application.join().unwrap();
    assert_eq!(bounds.executing(), 1);
}
