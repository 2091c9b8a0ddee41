//! Waiting for conditions: no test asserts how long something takes, only that it happens.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take to come true. Far longer than it ever does: slow machines run these tests too, several
/// at a time, and only what never happens is to fail.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `attempt` gives something.
///
/// # Panics
/// When it has given nothing for [`DEADLINE`]; the message says what was awaited.
///
/// ```
/// let mut attempts = 0;
/// let third = niagara_tests::wait::until("the third attempt", || {
///     attempts += 1;
///     (attempts == 3).then_some(attempts)
/// });
/// assert_eq!(third, 3);
/// ```
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain for {what}");
        thread::sleep(PAUSE);
    }
}
