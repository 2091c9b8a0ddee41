//! Puts a thread without sockets to sleep, and wakes it.

use std::time::Duration;

use niagara_net::SleepFlag;

use crate::sync::{OnceLock, Thread, current, park_timeout};

/// Wakes a parked thread.
#[derive(Default)]
pub(crate) struct Bell {
    sleeps: SleepFlag,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// Signals work, which must have been published before.
    pub fn ring(&self) {
        if self.sleeps.take()
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until the bell rings or `timeout` passes, unless a last check of the work forbids it. Always
    /// call it on the same thread.
    pub fn sleep(&self, timeout: Duration, may_sleep: impl FnOnce() -> bool) {
        self.thread.get_or_init(current);
        self.sleeps.sleep(may_sleep, |may_sleep| {
            if may_sleep {
                park_timeout(timeout);
            }
        });
    }
}
