//! Tickets: a single caller waits for the outcome of a command or a read, blocking or as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use niagara_sequencer::GlobalPosition;

use crate::lane::TicketPart;
use crate::outcome::{Applied, ReadFailed, Unknown};
use crate::promise::{SharedPromise, block_on};
use crate::read_gate::ReadSink;

/// The future outcome of a command. [`wait`](Ticket::wait) for it, or `.await` it on any executor. A caller
/// may poll it first and wait later. A ticket that is dropped leaves its command in flight.
///
/// ```
/// # let engine = niagara_engine::internals::example::engine();
/// let client = engine.client();
/// let tickets = (0..3).map(|_| client.propose("count".into()));
/// for ticket in tickets.collect::<Result<Vec<_>, _>>()? {
///     println!("executed at position {}", ticket.wait()?.position);
/// }
/// # engine.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the command is in flight; only the ticket tells its outcome"]
pub struct Ticket<R>(pub(crate) TicketPart<R>);

impl<R> Ticket<R> {
    /// Blocks until the outcome is known or the deadline has passed.
    ///
    /// # Panics
    /// In debug builds, if the engine would wait for itself: on its own threads, such as inside
    /// [`apply`](crate::StateMachine::apply), and inside queries. Release builds return
    /// [`Unknown::SelfWait`].
    pub fn wait(self) -> Result<Applied<R>, Unknown> {
        self.0.wait()
    }
}

impl<R> std::fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

impl<R> Future for Ticket<R> {
    type Output = Result<Applied<R>, Unknown>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context.waker())
    }
}

/// Where a read's permission arrives.
pub(crate) struct ReadCell(SharedPromise<Result<(), ReadFailed>>);

impl ReadCell {
    pub fn new() -> Self {
        ReadCell(SharedPromise::new())
    }

    pub fn put(&self, outcome: Result<(), ReadFailed>) {
        self.0.keep(outcome);
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

/// A future read. [`wait`](ReadTicket::wait) for it, or `.await` it on any executor.
#[must_use = "the state may be read when the ticket says so"]
pub struct ReadTicket<V> {
    pub(crate) cell: Arc<ReadCell>,
    pub(crate) reader: V,
}

impl<V: Clone> ReadTicket<V> {
    /// Blocks until the state is fresh enough, and returns its reader.
    ///
    /// # Panics
    /// As [`Ticket::wait`]; in release builds, the read fails.
    pub fn wait(self) -> Result<V, ReadFailed> {
        block_on(|waker| self.cell.0.poll(waker)).unwrap_or(Err(ReadFailed)).map(|()| self.reader)
    }
}

impl<V> std::fmt::Debug for ReadTicket<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadTicket")
    }
}

impl<V: Clone + Unpin> Future for ReadTicket<V> {
    type Output = Result<V, ReadFailed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.cell.0.poll(context.waker()).map(|outcome| outcome.map(|()| self.reader.clone()))
    }
}
