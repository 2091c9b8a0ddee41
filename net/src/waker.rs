//! Ends a transport's sleep from another thread.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::sleep::SleepFlag;
use crate::sync::{Eventfd, Registry, Token};

/// Wakes the thread that polls a [`Transport`](crate::Transport). Cheap to clone; each thread that gives the
/// transport's thread work has one.
///
/// Publish the work first, then call [`wake`](Waker::wake), once per batch: it costs a fence and a load, and
/// a system call only if the thread has announced that it sleeps.
///
/// ```no_run
/// # fn f(transport: &dyn niagara_net::Transport, queue: std::sync::mpsc::SyncSender<u32>) {
/// let waker = transport.waker();
/// std::thread::spawn(move || {
///     queue.try_send(1).ok();
///     waker.wake();
/// });
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Waker(Arc<Inner>);

struct Inner {
    flag: SleepFlag,
    notify: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl Waker {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        let eventfd = Eventfd::new(registry, token)?;
        Ok(Waker::notifying(move || eventfd.wake()))
    }

    /// A waker for a transport of your own. `notify` ends the wait of a thread in [`sleep`](Waker::sleep), even
    /// if the wait has yet to begin. It is called from other threads, and must not wait.
    pub fn notifying(notify: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Waker {
        Waker(Arc::new(Inner { flag: SleepFlag::new(), notify: Box::new(notify) }))
    }

    /// Ends the transport's current sleep, or the one that it is about to start, if any.
    pub fn wake(&self) {
        if self.0.flag.take()
            && let Err(error) = (self.0.notify)()
        {
            tracing::error!(%error, "a sleeping thread could not be woken; it resumes at its next timeout");
        }
    }

    /// One sleep of the transport's thread: `may_sleep` is the last check of its queues, and `wait` waits for
    /// messages and notifications if its argument is true.
    pub fn sleep<T>(&self, may_sleep: impl FnOnce() -> bool, wait: impl FnOnce(bool) -> T) -> T {
        self.0.flag.sleep(may_sleep, wait)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("flag", &self.flag).finish_non_exhaustive()
    }
}
