//! Watching a server: what it is doing, and who leads. The latest state counts; there is no queue.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::promise::block_on_until;

/// What a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineState {
    /// It has not yet known a leader of every group at once since its start, or is catching up for the first
    /// time.
    Joining,
    /// It accepts commands and answers reads; a follower answers reads.
    Serving,
    /// Some group has had no leader for so long that commands are refused: a majority cannot be reached. A follower is
    /// connected to no member.
    LostQuorum,
    /// It takes no part, since another member refuses it.
    Refused {
        /// Id of that member.
        by: u64,
        /// Its reason, and the way out.
        why: String,
    },
    /// It has diverged from the others; see [`Status::diverged`](crate::Status::diverged).
    Diverged {
        /// What differs.
        why: String,
    },
    /// Its disk is nearly full: it answers reads and refuses commands.
    ReadOnly,
    /// It has been removed from the cluster, which goes on without it: stop it.
    Removed {
        /// The first epoch without it.
        epoch: u32,
    },
    /// It is being stopped.
    Stopping,
    /// It has stopped.
    Stopped,
}

/// Who leads a group, as far as a server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leadership {
    /// Number of the group, from 1.
    pub group: u16,
    /// Id of its leader.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
}

/// A server at one moment, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineView {
    /// What it is doing.
    pub state: EngineState,
    /// Who leads each group, in order.
    pub leaders: Vec<Leadership>,
}

/// What can be watched.
pub(crate) trait Watched: Send + Sync {
    fn view(&self) -> EngineView;
    fn watchers(&self) -> &Watchers;
}

/// Those who wait for a change, and the facts that no other part of a server records.
#[derive(Default)]
pub(crate) struct Watchers {
    waiting: Mutex<Vec<Watcher>>,
    last_number: AtomicU64,
    has_joined: AtomicBool,
    has_stopped: AtomicBool,
}

struct Watcher {
    number: u64,
    seen: EngineView,
    waker: Waker,
}

impl Watchers {
    /// Wakes those who have seen something else. Called at each tick; it costs a lock while nobody waits.
    pub fn look(&self, view: impl FnOnce() -> EngineView) {
        if self.waiting.lock().is_empty() {
            return;
        }
        let view = view();
        self.wake_if(|seen| *seen != view);
    }

    /// Wakes everybody, to look again.
    pub fn changed(&self) {
        self.wake_if(|_| true);
    }

    fn wake_if(&self, late: impl Fn(&EngineView) -> bool) {
        let woken: Vec<_> = self.waiting.lock().extract_if(.., |watcher| late(&watcher.seen)).collect();
        woken.into_iter().for_each(|watcher| watcher.waker.wake());
    }

    /// Notes that the server knows a leader of every group, and has caught up.
    pub fn joined(&self) {
        self.has_joined.store(true, SeqCst);
    }

    pub fn has_joined(&self) -> bool {
        self.has_joined.load(SeqCst)
    }

    /// Notes that the server has stopped.
    pub fn stopped(&self) {
        self.has_stopped.store(true, SeqCst);
        self.changed();
    }

    pub fn has_stopped(&self) -> bool {
        self.has_stopped.load(SeqCst)
    }

    fn wait(&self, number: u64, seen: EngineView, waker: Waker) {
        let mut waiting = self.waiting.lock();
        let before = waiting.iter().position(|watcher| watcher.number == number);
        let before = before.map(|place| waiting.swap_remove(place));
        waiting.push(Watcher { number, seen, waker });
        drop(waiting);
        drop(before);
    }

    fn leave(&self, number: u64) {
        let left: Vec<_> = self.waiting.lock().extract_if(.., |watcher| watcher.number == number).collect();
        drop(left);
    }
}

/// Watches a server. Changes that come faster than they are asked for are merged: the latest counts.
/// Leaderships and the end are reported at once, other changes at the next tick.
///
/// ```
/// use niagara_engine::EngineState;
/// use std::time::Duration;
///
/// # let engine = niagara_engine::internals::example::engine();
/// let mut watch = engine.client().watch();
/// while watch.current().state != EngineState::Serving {
///     watch.changed_timeout(Duration::from_secs(10));
/// }
/// engine.stop();
/// assert_eq!(watch.current().state, EngineState::Stopped);
/// ```
pub struct Watch {
    watched: Arc<dyn Watched>,
    number: u64,
    seen: EngineView,
}

impl Watch {
    pub(crate) fn begin(watched: Arc<dyn Watched>) -> Watch {
        let number = watched.watchers().last_number.fetch_add(1, SeqCst);
        Watch { seen: watched.view(), watched, number }
    }

    /// The server as it is now. Later calls of [`changed`](Watch::changed) wait for something else.
    pub fn current(&mut self) -> EngineView {
        self.seen = self.watched.view();
        self.seen.clone()
    }

    /// Waits until the server is not as it was last seen through this handle, and returns how it is.
    pub fn changed(&mut self) -> Changed<'_> {
        Changed(self)
    }

    /// Blocks until the server is not as it was last seen, and returns how it is; `None` if the time passes
    /// first.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait); release builds return `None`.
    pub fn changed_timeout(&mut self, timeout: Duration) -> Option<EngineView> {
        block_on_until(Instant::now().checked_add(timeout), |waker| self.poll(waker)).unwrap_or(None)
    }

    fn poll(&mut self, waker: &Waker) -> Poll<EngineView> {
        if self.is_late() {
            return Poll::Ready(self.seen.clone());
        }
        self.watched.watchers().wait(self.number, self.seen.clone(), waker.clone());
        // Announce that somebody waits, then look again.
        if self.is_late() { Poll::Ready(self.seen.clone()) } else { Poll::Pending }
    }

    fn is_late(&mut self) -> bool {
        let now = self.watched.view();
        let late = now != self.seen;
        self.seen = now;
        late
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.watchers().leave(self.number);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// The next change, as a future. Dropping it loses nothing.
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct Changed<'a>(&'a mut Watch);

impl Future for Changed<'_> {
    type Output = EngineView;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context.waker())
    }
}
