//! What wakes a group's thread before its tick: a level that its leader has to pad to, and progress of the
//! merge or of execution that lets commands proceed.
//!
//! The group's thread publishes what it waits for, then that it sleeps, and then checks again. The others
//! publish their progress, and then check what it waits for. All of these have one total order, so one of the
//! two sees the other.

use crate::planted::{self, Bug};
use crate::sync::{AtomicU64, Ordering::SeqCst};

/// Highest place of a command in any local log of this server.
#[derive(Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Raises the level, and wakes those who wait for it. If another thread has raised it as far already,
    /// that thread has woken them.
    pub fn raise(&self, to: u64, wake: impl FnOnce()) {
        if self.get() >= to {
            return;
        }
        if planted::is(Bug::WokenBeforeRaised) {
            wake();
            self.0.fetch_max(to, SeqCst);
        } else {
            self.0.fetch_max(to, SeqCst);
            wake();
        }
    }
}

/// What one group's thread waits for, and how far the merge is in its log.
pub(crate) struct Waits {
    /// Lowest level at which this group's leader on this server has to pad. The group's thread writes this
    /// and the next field.
    wake_at: AtomicU64,
    /// Index that the merge has to pass before waiting commands proceed. 0 stands for any progress of the
    /// merge or of execution; `u64::MAX` if no commands wait.
    goes_on_at: AtomicU64,
    /// Raft index of the last entry that the merge has passed. The sequencer's thread writes it.
    merged: AtomicU64,
}

impl Default for Waits {
    fn default() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Waits { wake_at: never(), goes_on_at: never(), merged: AtomicU64::new(0) }
    }
}

impl Waits {
    /// Publishes what the group's thread waits for, after each of its turns.
    pub fn say(&self, wake_at: u64, goes_on_at: u64) {
        self.goes_on_at.store(goes_on_at, SeqCst);
        self.wake_at.store(wake_at, SeqCst);
    }

    /// Whether there is padding to do at this level.
    pub fn pads_at(&self, level: u64) -> bool {
        self.wake_at.load(SeqCst) <= level
    }

    /// Whether commands are held back.
    pub fn hold(&self) -> bool {
        self.goes_on_at.load(SeqCst) != u64::MAX
    }

    /// Whether commands that were held back may proceed, since the merge has passed `seen`, or something has
    /// been executed.
    pub fn are_over(&self, seen: u64, executed: bool) -> bool {
        let (goes_on_at, merged) = (self.goes_on_at.load(SeqCst), self.merged());
        merged != seen && merged >= goes_on_at || goes_on_at == 0 && executed
    }

    pub fn merged(&self) -> u64 {
        self.merged.load(SeqCst)
    }

    /// Reports that the merge has passed this entry. Wakes the thread if commands wait for that.
    pub fn merge_passes(&self, index: u64, wake: impl FnOnce()) {
        if planted::is(Bug::MergedAfterLook) {
            self.go_on_at(index, wake);
            self.merged.store(index, SeqCst);
        } else {
            self.merged.store(index, SeqCst);
            self.go_on_at(index, wake);
        }
    }

    /// Reports progress of execution, which was published before. Wakes the thread if commands wait for any
    /// progress.
    pub fn execution_passes(&self, wake: impl FnOnce()) {
        self.go_on_at(0, wake);
    }

    fn go_on_at(&self, index: u64, wake: impl FnOnce()) {
        if self.goes_on_at.load(SeqCst) <= index {
            wake();
        }
    }
}
