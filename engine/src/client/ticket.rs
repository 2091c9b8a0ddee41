//! Tickets: a single caller waits for the outcome of a command or a read, blocking or as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use niagara_sequencer::GlobalPosition;

use crate::lane::Sink;
use crate::outcome::{Applied, Completion, ReadFailed, Unknown};
use crate::planted::{self, Bug};
use crate::read_gate::ReadSink;
use crate::sync::{Condvar, Mutex};

pub(crate) type TicketCell<R> = Cell<Result<Applied<R>, Unknown>>;
pub(crate) type ReadCell = Cell<Result<(), ReadFailed>>;

/// One outcome arrives here, and one waiter takes it.
pub(crate) struct Cell<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Here(T),
    Taken,
}

impl<T> Cell<T> {
    pub fn new() -> Self {
        Cell { state: Mutex::new(State::Waiting(None)), arrived: Condvar::new() }
    }

    pub fn put(&self, value: T) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Here(value));
        match before {
            State::Waiting(Some(waker)) => waker.wake(),
            State::Waiting(None) => {
                self.arrived.notify_one();
            }
            State::Here(_) | State::Taken => panic!("applied_once: one outcome per ticket"),
        }
    }

    fn wait(&self) -> T {
        let mut state = self.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Here(value) => return value,
                State::Waiting(waker) => *state = State::Waiting(waker),
                State::Taken => panic!("a ticket is waited for once"),
            }
            self.arrived.wait(&mut state);
        }
    }

    /// Wakers are cloned and dropped outside of the lock, since both run the executor's code.
    fn poll(&self, context: &Context<'_>) -> Poll<T> {
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut *state, State::Taken);
        if matches!(before, State::Waiting(_)) {
            if planted::is(Bug::WakerLeftUnlocked) {
                *state = State::Waiting(None);
                drop(state);
                state = self.state.lock();
            }
            *state = State::Waiting(Some(waker));
        }
        drop(state);
        match before {
            State::Here(value) => Poll::Ready(value),
            State::Waiting(_) => Poll::Pending,
            State::Taken => panic!("a ticket is polled until it is ready, and not after"),
        }
    }
}

/// The future outcome of a command. [`wait`](Ticket::wait) for it, or `.await` it.
#[must_use = "the command is in flight; only the ticket tells its outcome"]
pub struct Ticket<R>(pub(crate) Arc<TicketCell<R>>);

impl<R> Ticket<R> {
    /// Blocks until the outcome is known or the deadline has passed.
    pub fn wait(self) -> Result<Applied<R>, Unknown> {
        self.0.wait()
    }
}

impl<R> Future for Ticket<R> {
    type Output = Result<Applied<R>, Unknown>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl<R: Send> Sink<R> for TicketCell<R> {
    fn deliver(&self, completions: &mut Vec<Completion<R>>) {
        for completion in completions.drain(..) {
            match completion {
                Completion::Applied { position, reply, .. } => self.put(Ok(Applied { position, reply })),
                Completion::Unknown { .. } => self.put(Err(Unknown)),
                Completion::Refused { .. } | Completion::Readable { .. } | Completion::ReadFailed { .. } => {
                    unreachable!("a lane applies commands or gives them up")
                }
            }
        }
    }
}

/// A future read. [`wait`](ReadTicket::wait) for it, or `.await` it.
#[must_use = "the state may be read when the ticket says so"]
pub struct ReadTicket<V> {
    pub(crate) cell: Arc<ReadCell>,
    pub(crate) reader: V,
}

impl<V: Clone> ReadTicket<V> {
    /// Blocks until the state is fresh enough, and returns its reader.
    pub fn wait(self) -> Result<V, ReadFailed> {
        self.cell.wait().map(|()| self.reader)
    }
}

impl<V: Clone + Unpin> Future for ReadTicket<V> {
    type Output = Result<V, ReadFailed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.cell.poll(context).map(|outcome| outcome.map(|()| self.reader.clone()))
    }
}

impl ReadSink for ReadCell {
    fn readable(&self, _tokens: &[u64], _applied: GlobalPosition) {
        self.put(Ok(()));
    }

    fn failed(&self, _tokens: &[u64]) {
        self.put(Err(ReadFailed));
    }
}
