//! Threads and moments in which nobody may wait for the engine: it would wait for itself.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static FORBIDDEN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Forbids waiting in this thread until it is dropped.
pub(crate) struct NoWaiting {
    before: Option<&'static str>,
    /// It belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl NoWaiting {
    /// `place` completes the sentence "a wait inside …".
    pub fn inside(place: &'static str) -> NoWaiting {
        NoWaiting { before: FORBIDDEN.replace(Some(place)), _not_send: PhantomData }
    }
}

impl Drop for NoWaiting {
    fn drop(&mut self) {
        FORBIDDEN.set(self.before);
    }
}

/// The engine would wait for itself, and so for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelfWait;

/// Refuses a wait that would never end. Debug builds panic instead, and say what to do.
pub(crate) fn check_wait() -> Result<(), SelfWait> {
    let Some(place) = FORBIDDEN.get() else { return Ok(()) };
    if cfg!(debug_assertions) {
        panic!(
            "no_self_wait: a wait inside {place} would wait for ever, since the engine cannot continue \
             meanwhile: send the ticket to another thread and wait there, or `.await` it in a task"
        );
    }
    Err(SelfWait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_forbidden_until_the_last_guard_is_dropped() {
        assert_eq!(check_wait(), Ok(()));
        let outer = NoWaiting::inside("a query");
        drop(NoWaiting::inside("another query"));
        let caught = std::panic::catch_unwind(check_wait);
        if cfg!(debug_assertions) {
            let panic = caught.expect_err("it says what is wrong");
            let text = panic.downcast_ref::<String>().expect("formatted");
            assert!(text.contains("inside a query") && text.contains("another thread"), "{text}");
        } else {
            assert_eq!(caught.expect("release builds return an error"), Err(SelfWait));
        }
        drop(outer);
        assert_eq!(check_wait(), Ok(()));
    }
}
