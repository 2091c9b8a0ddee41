//! Waiting for what comes to pass by itself.

use std::thread;
use std::time::{Duration, Instant};

/// Waits for something that must happen, with far more patience than it needs.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come to pass");
        thread::sleep(Duration::from_millis(5));
    }
}
