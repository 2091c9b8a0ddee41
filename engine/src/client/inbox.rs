//! Where a port's completions arrive: filled by the engine's threads, emptied by the port's.

use std::mem;
use std::sync::Arc;

use niagara_net::SleepFlag;
use niagara_sequencer::GlobalPosition;

use crate::lane::Sink;
use crate::outcome::Completion;
use crate::planted::{self, Bug};
use crate::read_gate::ReadSink;
use crate::sync::{AtomicBool, Mutex, Ordering::SeqCst};

/// Wakes a port's thread out of its own kind of sleep, such as a poll of sockets.
pub trait Wake: Send + Sync {
    /// Called only while the thread has said that it sleeps.
    fn wake(&self);
}

/// What has arrived, and whether the port's thread has to be woken for it.
pub(crate) struct Inbox<R> {
    arrived: Mutex<Vec<Completion<R>>>,
    has_arrived: AtomicBool,
    sleeps: SleepFlag,
    wake: Arc<dyn Wake>,
}

impl<R> Inbox<R> {
    /// An empty one, of a thread that is awake.
    pub fn new(wake: Arc<dyn Wake>) -> Self {
        let has_arrived = AtomicBool::new(false);
        Inbox { arrived: Mutex::default(), has_arrived, sleeps: SleepFlag::new(), wake }
    }

    /// Takes completions in, and may leave other memory in their place.
    pub fn arrive(&self, completions: &mut Vec<Completion<R>>) {
        append(completions, &mut self.arrived.lock());
        self.has_arrived.store(true, SeqCst);
        if self.sleeps.take() {
            self.wake.wake();
        }
    }

    /// Takes what has come, in the order in which it came. The flag falls before: what comes meanwhile raises it again.
    pub fn collect(&self, out: &mut Vec<Completion<R>>) {
        if planted::is(Bug::InboxEmptiedBeforeSaid) {
            append(&mut self.arrived.lock(), out);
            self.has_arrived.store(false, SeqCst);
        } else if self.has_arrived.swap(false, SeqCst) {
            append(&mut self.arrived.lock(), out);
        }
    }

    /// The thread is about to sleep; `false` if it must not, for something has come.
    pub fn may_sleep(&self) -> bool {
        if planted::is(Bug::InboxLookedAtTooEarly) {
            let none = !self.has_arrived.load(SeqCst);
            self.sleeps.announce();
            return none;
        }
        self.sleeps.announce();
        !self.has_arrived.load(SeqCst)
    }

    /// Whether something has come, for a thread that is not about to sleep.
    pub fn has_arrived(&self) -> bool {
        self.has_arrived.load(SeqCst)
    }

    /// The thread does not sleep any more.
    pub fn awake(&self) {
        self.sleeps.retract();
    }
}

/// Appends all. Where there is nothing to append to, memory changes hands rather than contents.
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
