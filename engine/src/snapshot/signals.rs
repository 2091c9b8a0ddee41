//! What the thread that keeps the snapshots shares with the others of its server.

use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use niagara_net::Waker;
use parking_lot::Mutex;

use super::header::Header;
use crate::status::SnapshotStatus;

/// A group's log ends before what its leader's begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The group, by zero-based index.
    pub group: usize,
    /// The leader.
    pub from: u64,
    /// The round of the snapshot that the leader names.
    pub round: u64,
}

/// The snapshots that a group's replica has to know of.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// The newest: what a follower is sent whose log ends too early.
    pub newest: Arc<Header>,
    /// The one before: up to its floor the log is not needed any more.
    pub older: Option<Arc<Header>>,
}

/// Signals between the sequencer's, the groups' and the snapshots' threads.
#[derive(Default)]
pub(crate) struct SnapshotSignals {
    /// Nobody writes a snapshot, and none has failed just now.
    may_freeze: AtomicBool,
    /// The sequencer has had the state frozen, and the view has not arrived.
    is_cut: AtomicBool,
    /// How often somebody has wanted a snapshot.
    asked: AtomicU64,
    /// So many of these requests the sequencer has acted on.
    heard: AtomicU64,
    /// So many of them are met by what is durable.
    met: AtomicU64,
    /// The last cut: its round, and how many requests it meets once it is durable.
    last_cut: Mutex<(u64, u64)>,
    /// A received snapshot for the merge to go on from.
    resume: Mutex<Option<Arc<Header>>>,
    has_resume: AtomicBool,
    /// The round of the last snapshot that the merge has gone on from, or was beyond already.
    resumed: AtomicU64,
    /// The round of the newest snapshot that is durable here.
    kept_round: AtomicU64,
    needs: Mutex<Vec<Need>>,
    stop: AtomicBool,
    has_news: AtomicBool,
    waker: OnceLock<Waker>,
    status: Mutex<SnapshotStatus>,
}

impl SnapshotSignals {
    /// Hands over the waker of the thread that keeps the snapshots, once, before any thread runs.
    pub fn set_waker(&self, waker: Waker) {
        assert!(self.waker.set(waker).is_ok(), "one thread keeps the snapshots");
    }

    /// Wakes the thread that keeps the snapshots: there is something new for it.
    pub fn wake(&self) {
        self.has_news.store(true, SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Whether there is something new since the last [`take_news`](Self::take_news).
    pub fn has_news(&self) -> bool {
        self.has_news.load(SeqCst)
    }

    /// Takes note of what is new, before looking at it.
    pub fn take_news(&self) {
        self.has_news.store(false, SeqCst);
    }

    /// Whether the sequencer may have the state frozen.
    pub fn may_freeze(&self) -> bool {
        self.may_freeze.load(SeqCst) && !self.is_cut.load(SeqCst)
    }

    /// The state is about to be frozen at the end of this round, for so many requests: there is one view at a time.
    pub fn cut(&self, round: u64, asked: u64) {
        *self.last_cut.lock() = (round, asked);
        self.is_cut.store(true, SeqCst);
        self.heard.fetch_max(asked, SeqCst);
    }

    /// The view has arrived, and is about to be written.
    pub fn view_arrived(&self) {
        self.may_freeze.store(false, SeqCst);
        self.is_cut.store(false, SeqCst);
    }

    /// Says whether it may.
    pub fn set_may_freeze(&self, may: bool) {
        self.may_freeze.store(may, SeqCst);
    }

    /// Somebody wants a snapshot now.
    pub fn want(&self) {
        self.asked.fetch_add(1, SeqCst);
    }

    /// How often somebody has wanted a snapshot. To be read before it is decided what meets these requests.
    pub fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    /// Whether somebody wants a snapshot now.
    pub fn is_wanted(&self) -> bool {
        self.asked() > self.heard.load(SeqCst)
    }

    /// The snapshot that is there meets so many requests.
    pub fn meet(&self, asked: u64) {
        self.heard.fetch_max(asked, SeqCst);
        self.met.fetch_max(asked, SeqCst);
    }

    /// A snapshot of this round, or a later one, is durable, and told of.
    pub fn durable(&self, round: u64) {
        let (cut, asked) = *self.last_cut.lock();
        if cut <= round {
            self.met.fetch_max(asked, SeqCst);
        }
    }

    /// The merge is to go on from this snapshot.
    pub fn offer_resume(&self, header: Arc<Header>) {
        *self.resume.lock() = Some(header);
        self.has_resume.store(true, SeqCst);
    }

    /// Whether the merge is to go on from a snapshot.
    pub fn has_resume(&self) -> bool {
        self.has_resume.load(SeqCst)
    }

    /// Takes the snapshot that the merge is to go on from.
    pub fn take_resume(&self) -> Option<Arc<Header>> {
        if self.has_resume.swap(false, SeqCst) { self.resume.lock().take() } else { None }
    }

    /// The merge has gone on from the snapshot of this round, or was beyond it.
    pub fn set_resumed(&self, round: u64) {
        self.resumed.store(round, SeqCst);
        self.wake();
    }

    /// The round of the snapshot that the merge went on from last.
    pub fn resumed(&self) -> u64 {
        self.resumed.load(SeqCst)
    }

    /// Snapshots up to this round are durable here.
    pub fn set_kept_round(&self, round: u64) {
        self.kept_round.store(round, SeqCst);
    }

    /// The round of the newest snapshot that is durable here.
    pub fn kept_round(&self) -> u64 {
        self.kept_round.load(SeqCst)
    }

    /// A group needs a snapshot.
    pub fn need(&self, need: Need) {
        self.needs.lock().push(need);
        self.wake();
    }

    /// Takes what groups need.
    pub fn take_needs(&self) -> Vec<Need> {
        take(&mut self.needs.lock())
    }

    /// The thread that keeps the snapshots is to end.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.wake();
    }

    /// Whether it is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// How the snapshots stand.
    pub fn status(&self) -> SnapshotStatus {
        // In this order: what meets them is told of before they are met.
        let met = self.met.load(SeqCst);
        let wanted = self.is_wanted() || self.is_cut.load(SeqCst);
        SnapshotStatus { asked: self.asked(), met, wanted, ..self.status.lock().clone() }
    }

    /// Changes what is said of how the snapshots stand.
    pub fn note(&self, change: impl FnOnce(&mut SnapshotStatus)) {
        change(&mut self.status.lock());
    }
}
