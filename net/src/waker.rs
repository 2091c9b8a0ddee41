//! Ends a transport's sleep from another thread.

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
/// # fn f(transport: &niagara_net::Transport, queue: std::sync::mpsc::SyncSender<u32>) {
/// let waker = transport.waker();
/// std::thread::spawn(move || {
///     queue.try_send(1).ok();
///     waker.wake();
/// });
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Waker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    flag: SleepFlag,
    eventfd: Eventfd,
}

impl Waker {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        Ok(Waker(Arc::new(Inner { flag: SleepFlag::new(), eventfd: Eventfd::new(registry, token)? })))
    }

    /// Ends the transport's current sleep, or the one that it is about to start, if any.
    pub fn wake(&self) {
        if self.0.flag.take()
            && let Err(error) = self.0.eventfd.wake()
        {
            tracing::error!(%error, "a sleeping thread could not be woken; it resumes at its next timeout");
        }
    }

    pub(crate) fn flag(&self) -> &SleepFlag {
        &self.0.flag
    }
}
