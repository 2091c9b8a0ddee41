//! Where a port's completions arrive: the engine's threads fill it, the port's thread empties it.

use std::mem;
use std::sync::Arc;

use niagara_net::SleepFlag;
use niagara_sequencer::GlobalPosition;

use crate::lane::Sink;
use crate::outcome::Completion;
use crate::planted::{self, Bug};
use crate::read_gate::ReadSink;
use crate::sync::{AtomicBool, Mutex, Ordering::SeqCst};

/// Wakes a port's thread from whatever it sleeps on, such as a poll of its sockets.
pub trait Wake: Send + Sync {
    /// Called only if the thread has announced that it sleeps.
    fn wake(&self);
}

/// Completions that have arrived, and whether to wake the port's thread for them.
pub(crate) struct Inbox<R> {
    arrived: Mutex<Vec<Completion<R>>>,
    has_arrived: AtomicBool,
    sleeps: SleepFlag,
    wake: Arc<dyn Wake>,
}

impl<R> Inbox<R> {
    /// An empty inbox, whose thread is awake.
    pub fn new(wake: Arc<dyn Wake>) -> Self {
        let has_arrived = AtomicBool::new(false);
        Inbox { arrived: Mutex::default(), has_arrived, sleeps: SleepFlag::new(), wake }
    }

    /// Takes all completions. May leave another buffer in place of theirs.
    pub fn arrive(&self, completions: &mut Vec<Completion<R>>) {
        append(completions, &mut self.arrived.lock());
        self.has_arrived.store(true, SeqCst);
        if self.sleeps.take() {
            self.wake.wake();
        }
    }

    /// Moves the completions to `out` in order of arrival. The flag is cleared first, so whatever arrives
    /// meanwhile sets it again.
    pub fn collect(&self, out: &mut Vec<Completion<R>>) {
        if planted::is(Bug::InboxEmptiedBeforeSaid) {
            append(&mut self.arrived.lock(), out);
            self.has_arrived.store(false, SeqCst);
        } else if self.has_arrived.swap(false, SeqCst) {
            append(&mut self.arrived.lock(), out);
        }
    }

    /// Announces that the thread is about to sleep; `false` if it must not, since something has arrived.
    pub fn may_sleep(&self) -> bool {
        if planted::is(Bug::InboxLookedAtTooEarly) {
            let none = !self.has_arrived.load(SeqCst);
            self.sleeps.announce();
            return none;
        }
        self.sleeps.announce();
        !self.has_arrived.load(SeqCst)
    }

    /// Whether something has arrived, for a thread that is not about to sleep.
    pub fn has_arrived(&self) -> bool {
        self.has_arrived.load(SeqCst)
    }

    /// Announces that the thread is awake.
    pub fn awake(&self) {
        self.sleeps.retract();
    }
}

/// Moves all elements to the end of `to`. If `to` is empty, the buffers are swapped instead.
fn append<T>(from: &mut Vec<T>, to: &mut Vec<T>) {
    if to.is_empty() {
        mem::swap(from, to);
    } else {
        to.append(from);
    }
}

impl<R: Send> Sink<R> for Inbox<R> {
    fn deliver(&self, completions: &mut Vec<Completion<R>>) {
        self.arrive(completions);
    }
}

impl<R: Send> ReadSink for Inbox<R> {
    fn readable(&self, tokens: &[u64], applied: GlobalPosition) {
        self.arrive(&mut tokens.iter().map(|&token| Completion::Readable { token, applied }).collect());
    }

    fn failed(&self, tokens: &[u64]) {
        self.arrive(&mut tokens.iter().map(|&token| Completion::ReadFailed { token }).collect());
    }
}
