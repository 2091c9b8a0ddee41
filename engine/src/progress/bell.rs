//! How a thread that has no sockets is put to sleep and woken.

use std::time::Duration;

use niagara_net::SleepFlag;

use crate::sync::{OnceLock, Thread, current, park_timeout};

/// Wakes a thread that parks, if it sleeps.
#[derive(Default)]
pub(crate) struct Bell {
    sleeps: SleepFlag,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// Says that there is work. The work must have been published before.
    pub fn ring(&self) {
        if self.sleeps.take()
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until rung, or for `timeout`, unless a last look at the work says otherwise. Always from the same thread.
    pub fn sleep(&self, timeout: Duration, may_sleep: impl FnOnce() -> bool) {
        self.thread.get_or_init(current);
        self.sleeps.sleep(may_sleep, |may_sleep| {
            if may_sleep {
                park_timeout(timeout);
            }
        });
    }
}
