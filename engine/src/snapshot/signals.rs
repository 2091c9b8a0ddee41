//! What the snapshots' thread shares with the other threads of its server.

use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use niagara_net::Waker;
use niagara_sequencer::epoch::Cut;
use parking_lot::Mutex;

use super::header::Header;
use super::requests::{SnapshotRequests, SnapshotTicket};
use crate::status::SnapshotStatus;

/// A group's log ends before its leader's begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Zero-based index of the group.
    pub group: usize,
    /// Id of the leader.
    pub from: u64,
    /// The snapshot that the leader offers.
    pub cut: Cut,
}

/// The snapshots that a group's replica has to know of.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// The newest, which is offered to followers whose log ends too early.
    pub newest: Arc<Header>,
    /// The previous one: the log is not needed up to its floor.
    pub older: Option<Arc<Header>>,
}

/// Signals between the threads of the sequencer, the groups and the snapshots.
#[derive(Default)]
pub(crate) struct SnapshotSignals {
    /// Whether the state may be frozen: no snapshot is being written, and none has failed just now.
    may_freeze: AtomicBool,
    /// Whether the state machine holds more than what has been replayed, so that no view of it fits.
    is_replaying: AtomicBool,
    /// Whether the sequencer has ordered a view that has not arrived.
    is_cut: AtomicBool,
    /// Number of requests for a snapshot.
    asked: AtomicU64,
    /// Number of these requests that the sequencer has acted on.
    heard: AtomicU64,
    /// Number of these requests that a durable snapshot meets.
    met: AtomicU64,
    /// The last cut, and how many requests it meets once it is durable.
    last_cut: Mutex<(Cut, u64)>,
    /// A received snapshot for the merge to resume from.
    resume: Mutex<Option<Arc<Header>>>,
    has_resume: AtomicBool,
    /// The last snapshot that the merge has resumed from, or had passed already.
    resumed: Mutex<Cut>,
    /// The newest snapshot that is durable here.
    kept: Mutex<Cut>,
    needs: Mutex<Vec<Need>>,
    stop: AtomicBool,
    has_news: AtomicBool,
    waker: OnceLock<Waker>,
    status: Mutex<SnapshotStatus>,
    /// Callers that wait for a snapshot.
    pub requests: Arc<SnapshotRequests>,
}

impl SnapshotSignals {
    /// Sets the waker of the snapshots' thread, once, before any thread runs.
    pub fn set_waker(&self, waker: Waker) {
        assert!(self.waker.set(waker).is_ok(), "one thread keeps the snapshots");
    }

    /// Wakes the snapshots' thread, for which there is news.
    pub fn wake(&self) {
        self.has_news.store(true, SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Whether there is news since the last [`take_news`](Self::take_news).
    pub fn has_news(&self) -> bool {
        self.has_news.load(SeqCst)
    }

    /// Clears the news, before reading it.
    pub fn take_news(&self) {
        self.has_news.store(false, SeqCst);
    }

    /// Whether the sequencer may have the state frozen.
    pub fn may_freeze(&self) -> bool {
        self.may_freeze.load(SeqCst) && !self.is_cut.load(SeqCst) && !self.is_replaying.load(SeqCst)
    }

    /// Announces that the state will be frozen at this cut, for that many requests: there is one
    /// view at a time.
    pub fn cut(&self, cut: Cut, asked: u64) {
        *self.last_cut.lock() = (cut, asked);
        self.is_cut.store(true, SeqCst);
        self.heard.fetch_max(asked, SeqCst);
    }

    /// Reports that the view has arrived and is about to be written.
    pub fn view_arrived(&self) {
        self.may_freeze.store(false, SeqCst);
        self.is_cut.store(false, SeqCst);
    }

    /// Sets whether the state may be frozen.
    pub fn set_may_freeze(&self, may: bool) {
        self.may_freeze.store(may, SeqCst);
    }

    /// Sets whether the state machine holds more than what has been replayed.
    pub fn set_replaying(&self, replaying: bool) {
        self.is_replaying.store(replaying, SeqCst);
    }

    /// Requests a snapshot for a caller who waits for it.
    pub fn request(&self) -> SnapshotTicket {
        self.requests.ticket(|| self.asked.fetch_add(1, SeqCst) + 1)
    }

    /// Requests a snapshot.
    pub fn want(&self) {
        self.asked.fetch_add(1, SeqCst);
    }

    /// Number of requests so far. Read it before deciding what meets them.
    pub fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    /// Whether some request has not been acted on.
    pub fn is_wanted(&self) -> bool {
        self.asked() > self.heard.load(SeqCst)
    }

    /// Reports that the existing snapshot meets that many requests.
    pub fn meet(&self, asked: u64) {
        self.heard.fetch_max(asked, SeqCst);
        self.met.fetch_max(asked, SeqCst);
        if self.requests.are_waiting() {
            self.wake();
        }
    }

    /// Number of requests that a durable snapshot meets.
    pub fn met(&self) -> u64 {
        self.met.load(SeqCst)
    }

    /// Number of requests that the last cut was made for.
    pub fn cut_for(&self) -> u64 {
        self.last_cut.lock().1
    }

    /// Reports that a snapshot of this cut or a later one is durable and announced.
    pub fn durable(&self, durable: Cut) {
        let (cut, asked) = *self.last_cut.lock();
        if cut <= durable {
            self.met.fetch_max(asked, SeqCst);
        }
    }

    /// Makes the merge resume from this snapshot.
    pub fn offer_resume(&self, header: Arc<Header>) {
        *self.resume.lock() = Some(header);
        self.has_resume.store(true, SeqCst);
    }

    /// Whether the merge has to resume from a snapshot.
    pub fn has_resume(&self) -> bool {
        self.has_resume.load(SeqCst)
    }

    /// Takes the snapshot that the merge has to resume from.
    pub fn take_resume(&self) -> Option<Arc<Header>> {
        if self.has_resume.swap(false, SeqCst) { self.resume.lock().take() } else { None }
    }

    /// Reports that the merge has resumed from the snapshot of this cut, or had passed it.
    pub fn set_resumed(&self, cut: Cut) {
        *self.resumed.lock() = cut;
        self.wake();
    }

    /// The last snapshot that the merge has resumed from.
    pub fn resumed(&self) -> Cut {
        *self.resumed.lock()
    }

    /// Reports that snapshots up to this cut are durable here.
    pub fn set_kept(&self, cut: Cut) {
        *self.kept.lock() = cut;
    }

    /// The newest snapshot that is durable here; the beginning if there is none.
    pub fn kept(&self) -> Cut {
        *self.kept.lock()
    }

    /// Reports that a group needs a snapshot.
    pub fn need(&self, need: Need) {
        self.needs.lock().push(need);
        self.wake();
    }

    /// Takes the groups' needs.
    pub fn take_needs(&self) -> Vec<Need> {
        take(&mut self.needs.lock())
    }

    /// Tells the snapshots' thread to end.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.wake();
    }

    /// Whether the thread has to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// State of the snapshots.
    pub fn status(&self) -> SnapshotStatus {
        // Read in this order: a snapshot is announced before the requests that it meets.
        let met = self.met.load(SeqCst);
        let wanted = self.is_wanted() || self.is_cut.load(SeqCst);
        SnapshotStatus { asked: self.asked(), met, wanted, ..self.status.lock().clone() }
    }

    /// Changes the reported state of the snapshots.
    pub fn note(&self, change: impl FnOnce(&mut SnapshotStatus)) {
        change(&mut self.status.lock());
    }
}
