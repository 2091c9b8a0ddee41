//! Callers that have asked for a snapshot, and wait for it.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use niagara_sequencer::GlobalPosition;
use parking_lot::Mutex;

use crate::promise::{SharedPromise, block_on};
use crate::status::Digest;

/// A durable snapshot of this server's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenSnapshot {
    /// It holds the result of everything up to this position of the global log. 0 if nothing has been
    /// executed yet: then there is no file.
    pub position: GlobalPosition,
    /// Length of its file, in bytes.
    pub bytes: u64,
    /// Its file, which is removed when two newer ones are there; `None` if snapshots are in memory.
    pub path: Option<PathBuf>,
    /// Directory of the files that the state machine saved, if they hold the state, rather than the snapshot's file:
    /// see [`Frozen::SAVES_FILES`](crate::Frozen::SAVES_FILES). It is removed with the file, or when another server
    /// has asked for the snapshot: the file holds the state from then on.
    pub own_files: Option<PathBuf>,
    /// Digests of the log and of the state at that position.
    pub digest: Digest,
}

/// Why a requested snapshot is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFailed {
    /// It could not be written. The server keeps the previous one, and retries automatically.
    #[error("the snapshot could not be written, and is retried soon: {0}")]
    NotWritten(String),
    /// The server was stopped before the snapshot was durable.
    #[error("the server was stopped before the snapshot was durable: ask again after its next start")]
    Stopped,
    /// The caller would have waited for itself: it is on a thread of the engine, or inside a query.
    #[error("a wait inside `apply` or on a thread of the engine would wait for ever: wait on another thread")]
    SelfWait,
}

type Outcome = Result<TakenSnapshot, SnapshotFailed>;

/// Those who wait, by the number of their request.
#[derive(Default)]
pub(crate) struct SnapshotRequests(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    callers: Vec<(u64, Arc<SharedPromise<Outcome>>)>,
    is_closed: bool,
}

impl SnapshotRequests {
    /// A ticket for the request whose number `ask` returns. Nobody meets it before the ticket waits for it.
    pub fn ticket(self: &Arc<Self>, ask: impl FnOnce() -> u64) -> SnapshotTicket {
        let promise = Arc::new(SharedPromise::new());
        let mut waiting = self.0.lock();
        let number = ask();
        if waiting.is_closed {
            promise.keep(Err(SnapshotFailed::Stopped));
        } else {
            waiting.callers.push((number, Arc::clone(&promise)));
        }
        drop(waiting);
        SnapshotTicket { promise, requests: Arc::clone(self) }
    }

    /// Whether anybody waits.
    pub fn are_waiting(&self) -> bool {
        !self.0.lock().callers.is_empty()
    }

    /// Gives an outcome to the requests up to this number.
    pub fn end(&self, number: u64, outcome: &Outcome) {
        let ended: Vec<_> = self.0.lock().callers.extract_if(.., |(asked, _)| *asked <= number).collect();
        ended.into_iter().for_each(|(_, promise)| promise.keep(outcome.clone()));
    }

    /// Ends all requests, and those to come.
    pub fn close(&self) {
        self.0.lock().is_closed = true;
        self.end(u64::MAX, &Err(SnapshotFailed::Stopped));
    }
}

/// A requested snapshot. [`wait`](SnapshotTicket::wait) for it, or `.await` it. Dropping it withdraws nothing.
///
/// ```
/// # let engine = niagara_engine::internals::example::engine();
/// let client = engine.client();
/// let applied = client.propose("count".into())?.wait()?;
/// let taken = client.snapshot().wait()?;
/// assert!(taken.position >= applied.position);
/// # engine.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SnapshotTicket {
    promise: Arc<SharedPromise<Outcome>>,
    requests: Arc<SnapshotRequests>,
}

impl SnapshotTicket {
    /// Blocks until a snapshot that holds everything executed before the request is durable.
    ///
    /// # Errors
    /// If it could not be written, or the server was stopped before.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn wait(self) -> Result<TakenSnapshot, SnapshotFailed> {
        block_on(|waker| self.promise.poll(waker)).unwrap_or(Err(SnapshotFailed::SelfWait))
    }
}

impl Future for SnapshotTicket {
    type Output = Result<TakenSnapshot, SnapshotFailed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.promise.poll(context.waker())
    }
}

impl Drop for SnapshotTicket {
    fn drop(&mut self) {
        self.requests.0.lock().callers.retain(|(_, promise)| !Arc::ptr_eq(promise, &self.promise));
    }
}

impl fmt::Debug for SnapshotTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotTicket")
    }
}
