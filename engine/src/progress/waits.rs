//! What ends the sleep of a group's thread before its time: a level for which its leader has to pad, and progress of the merge or
//! of execution with which commands go on that are held back.
//!
//! The group's thread says what it waits for, then that it sleeps, and then looks again. The others publish how far they are, and
//! then look at what it waits for. All of that has one total order, so one of the two sees the other.

use crate::planted::{self, Bug};
use crate::sync::{AtomicU64, Ordering::SeqCst};

/// The highest place of a command in any local log of this server.
#[derive(Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Raises it, and wakes those who wait for that. Whoever has raised it so far or further has woken them.
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

/// What the thread of one group waits for, and how far the merge is in its log.
pub(crate) struct Waits {
    /// The least level at which this group's leader here has to pad. Written by the group's thread, as the next one.
    wake_at: AtomicU64,
    /// Commands wait until the merge has passed this entry; 0: for any progress of the merge or of execution; `u64::MAX`: none
    /// wait.
    goes_on_at: AtomicU64,
    /// Raft index of the last entry that the merge has passed. Written by the sequencer's thread.
    merged: AtomicU64,
}

impl Default for Waits {
    fn default() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Waits { wake_at: never(), goes_on_at: never(), merged: AtomicU64::new(0) }
    }
}

impl Waits {
    /// The group's thread, after each of its turns.
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

    /// Whether commands that are held back may go on, since the merge has come further than `seen`, or execution has come on.
    pub fn are_over(&self, seen: u64, executed: bool) -> bool {
        let (goes_on_at, merged) = (self.goes_on_at.load(SeqCst), self.merged());
        merged != seen && merged >= goes_on_at || goes_on_at == 0 && executed
    }

    pub fn merged(&self) -> u64 {
        self.merged.load(SeqCst)
    }

    /// The merge has passed this entry: wakes the thread if commands wait for that.
    pub fn merge_passes(&self, index: u64, wake: impl FnOnce()) {
        if planted::is(Bug::MergedAfterLook) {
            self.go_on_at(index, wake);
            self.merged.store(index, SeqCst);
        } else {
            self.merged.store(index, SeqCst);
            self.go_on_at(index, wake);
        }
    }

    /// Execution has come on, which was published before: wakes the thread if commands wait for any progress at all.
    pub fn execution_passes(&self, wake: impl FnOnce()) {
        self.go_on_at(0, wake);
    }

    fn go_on_at(&self, index: u64, wake: impl FnOnce()) {
        if self.goes_on_at.load(SeqCst) <= index {
            wake();
        }
    }
}
