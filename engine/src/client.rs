//! The embedding API: commands and reads from any thread, blocking or as futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use niagara_sequencer::GlobalPosition;
use parking_lot::{Condvar, Mutex};
use prometheus_client::registry::Registry;

use crate::lane::{Sink, choose};
use crate::outcome::{Applied, Completion, Consistency, ReadFailed, Refused, Unknown};
use crate::port::{Port, Wake};
use crate::read_gate::ReadSink;
use crate::server::Shared;
use crate::state_machine::StateMachine;
use crate::status::Status;

/// A handle on a running [`Engine`](crate::Engine), for any thread.
///
/// See [`Engine`](crate::Engine) for an example.
pub struct Client<S: StateMachine> {
    shared: Arc<Shared<S>>,
}

impl<S: StateMachine> Clone for Client<S> {
    fn clone(&self) -> Self {
        Client { shared: Arc::clone(&self.shared) }
    }
}

impl<S: StateMachine> Client<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Client { shared }
    }

    /// Proposes a command. Its ticket tells the outcome, at the latest when the configured deadline has passed.
    ///
    /// Commands of one thread may be executed in another order than they were proposed, unless it waits for each;
    /// a [`Port`] keeps an order.
    pub fn propose(&self, command: Bytes) -> Result<Ticket<S::Reply>, Refused> {
        let cell = Arc::new(Cell::new());
        let sink: Arc<dyn Sink<S::Reply>> = Arc::<TicketCell<S::Reply>>::clone(&cell);
        let lane = choose(&self.shared.board, |lane| self.shared.lanes[lane].traffic());
        self.shared.submit_one(lane, command, &sink)?;
        Ok(Ticket(cell))
    }

    /// Begins a read. Its ticket hands out the state machine's reader when the state is fresh enough.
    pub fn read(&self, consistency: Consistency) -> ReadTicket<S::Reader> {
        let cell = Arc::new(Cell::new());
        let sink: Arc<dyn ReadSink> = Arc::<ReadCell>::clone(&cell);
        if self.shared.read(consistency, sink, vec![0]) {
            cell.put(Ok(()));
        }
        ReadTicket { cell, reader: self.shared.reader.clone() }
    }

    /// The state machine's reader, as it is: for weak reads.
    pub fn reader(&self) -> S::Reader {
        self.shared.reader.clone()
    }

    /// The last position that this server has executed.
    pub fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.shared.board.applied.load(SeqCst))
    }

    /// What this server says about itself.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Asks for a snapshot of this server's state as soon as can be, whatever has been written since the last one. It is made
    /// beside everything else: [`Status::snapshot`] says how it stands. If nothing has changed since the last one, there is
    /// nothing to do.
    pub fn snapshot(&self) {
        self.shared.snapshot();
    }

    /// Whether every group has a leader that this server knows of.
    pub fn has_quorum(&self) -> bool {
        self.shared.board.groups.iter().all(|group| group.leader.load(SeqCst) != 0)
    }

    /// Whether this server knows that it and others have executed different things: then it answers no strong or at-least read
    /// and takes no command. [`Status::diverged`] says why.
    pub fn is_diverged(&self) -> bool {
        self.shared.board.divergence.is_diverged()
    }

    /// Appends all metrics in Prometheus' text format.
    pub fn encode_metrics(&self, out: &mut String) {
        self.shared.metrics.encode(out).expect("writing to a string does not fail");
    }

    /// Adds metrics of the embedding program's own.
    pub fn register_metrics(&self, with: impl FnOnce(&mut Registry)) {
        self.shared.metrics.register(with);
    }

    /// A port for a thread that handles many commands and reads per turn; `wake` is called when completions have come
    /// and the thread has said that it sleeps.
    pub fn port(&self, wake: Arc<dyn Wake>) -> Port<S> {
        Port::new(Arc::clone(&self.shared), wake)
    }
}

type TicketCell<R> = Cell<Result<Applied<R>, Unknown>>;
type ReadCell = Cell<Result<(), ReadFailed>>;

/// Where one outcome arrives and one waiter takes it.
struct Cell<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Here(T),
    Taken,
}

impl<T> Cell<T> {
    fn new() -> Self {
        Cell { state: Mutex::new(State::Waiting(None)), arrived: Condvar::new() }
    }

    fn put(&self, value: T) {
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

    /// Wakers are cloned and dropped outside of the lock: both run code of the executor's.
    fn poll(&self, context: &Context<'_>) -> Poll<T> {
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut *state, State::Taken);
        if matches!(before, State::Waiting(_)) {
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

/// The outcome of a command to come: [`wait`](Ticket::wait) for it, or `.await` it.
#[must_use = "the command is under way; its outcome is known through the ticket only"]
pub struct Ticket<R>(Arc<TicketCell<R>>);

impl<R> Ticket<R> {
    /// Blocks until the outcome is known, or the deadline has passed.
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

/// A read to come: [`wait`](ReadTicket::wait) for it, or `.await` it.
#[must_use = "the state may be read when the ticket says so"]
pub struct ReadTicket<V> {
    cell: Arc<ReadCell>,
    reader: V,
}

impl<V: Clone> ReadTicket<V> {
    /// Blocks until the state is fresh enough, and hands out its reader.
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
