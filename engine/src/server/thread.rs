//! How the engine's threads are started, put to sleep and ended.

use std::sync::OnceLock;
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use niagara_net::SleepFlag;

/// Starts a thread of the engine. A panic in it ends the process: a server whose group, sequencer or application has
/// died must not go on answering as if it were whole.
pub(crate) fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name).spawn(move || {
        let guard = AbortOnPanic;
        let result = body();
        std::mem::forget(guard);
        result
    })
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    /// What the panic was has been said by its hook. Nothing is printed here: standard error may be a pipe that nobody reads.
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or("?").to_owned();
        tracing::error!(thread = name, "a thread of the engine panicked: the process ends");
        std::process::abort();
    }
}

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
        self.thread.get_or_init(thread::current);
        self.sleeps.announce();
        if may_sleep() {
            thread::park_timeout(timeout);
        }
        self.sleeps.retract();
    }
}
