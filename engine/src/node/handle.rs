//! Calls and queries, from any thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::app::App;
use super::encode::Malformed;
use super::error::CallError;
use super::machine::{Answer, AppMachine, AppReader, encode_command};
use crate::client::{Client, ReadTicket, Ticket};
use crate::outcome::{Applied, Consistency, Refused};

/// A handle to a running [`Node`](crate::Node). Clone it, and use it on any thread or task.
pub struct NodeHandle<A: App> {
    client: Client<AppMachine<A>>,
}

impl<A: App> NodeHandle<A> {
    pub(super) fn new(client: Client<AppMachine<A>>) -> Self {
        NodeHandle { client }
    }

    /// Sends a command. It is on its way when this returns; [`wait`](Call::wait) for its reply, or `.await`
    /// it on any executor.
    ///
    /// Calls of one thread may be applied in another order than they were made, unless it waits for each.
    /// [`call_then_query`](Self::call_then_query) reads what a call has done.
    pub fn call(&self, command: &A::Command) -> Call<A> {
        match encode_command::<A>(command) {
            Ok(bytes) => self.send(bytes),
            Err(Malformed(why)) => Call::over(Refused::NotACommand(why)),
        }
    }

    /// Reads the state, as fresh as `consistency` demands. [`wait`](Query::wait) for the result, or `.await`
    /// it. The closure runs on the thread that waits. Commands wait for it, so it should be quick; waiting for
    /// the engine inside it is an error ([`Ticket::wait`]).
    pub fn query<T, F: FnOnce(&A) -> T>(&self, consistency: Consistency, read: F) -> Query<A, F> {
        Query { ticket: self.client.read(consistency), read: Some(read) }
    }

    /// A handle whose calls and queries have this long.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> NodeHandle<A> {
        NodeHandle { client: self.client.with_deadline(deadline) }
    }

    /// The engine's own interface, for status, metrics, snapshots and batches.
    pub fn client(&self) -> &Client<AppMachine<A>> {
        &self.client
    }

    pub(super) fn send(&self, bytes: Bytes) -> Call<A> {
        match self.client.propose(bytes) {
            Ok(ticket) => Call(Sent::InFlight(ticket)),
            Err(refused) => Call::over(refused),
        }
    }
}

/// For an engine that was started with an [`AppMachine`].
impl<A: App> From<Client<AppMachine<A>>> for NodeHandle<A> {
    fn from(client: Client<AppMachine<A>>) -> Self {
        NodeHandle::new(client)
    }
}

impl<A: App> Clone for NodeHandle<A> {
    fn clone(&self) -> Self {
        NodeHandle { client: self.client.clone() }
    }
}

impl<A: App> fmt::Debug for NodeHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeHandle")
    }
}

/// A command on its way. [`wait`](Call::wait) for its reply, or `.await` it. Dropping it leaves the command on
/// its way.
#[must_use = "the command is on its way; only the call tells its outcome"]
pub struct Call<A: App>(pub(super) Sent<A>);

pub(super) enum Sent<A: App> {
    InFlight(Ticket<Answer<A::Reply>>),
    Over(CallError),
}

type Outcome<A> = Result<Applied<<A as App>::Reply>, CallError>;

impl<A: App> Call<A> {
    pub(super) fn over(error: impl Into<CallError>) -> Self {
        Call(Sent::Over(error.into()))
    }

    /// Blocks until the command is applied here, and returns its reply and position.
    ///
    /// # Errors
    /// That the command was refused, or that its outcome is unknown.
    ///
    /// # Panics
    /// As [`Ticket::wait`].
    pub fn wait(self) -> Outcome<A> {
        match self.0 {
            Sent::InFlight(ticket) => unpack::<A>(ticket.wait()?),
            Sent::Over(error) => Err(error),
        }
    }
}

pub(super) fn unpack<A: App>(Applied { position, reply }: Applied<Answer<A::Reply>>) -> Outcome<A> {
    match reply {
        Answer::Applied(reply) => Ok(Applied { position, reply }),
        Answer::Repeated { position, reply } => Ok(Applied { position, reply }),
        Answer::Ended => Err(CallError::SessionEnded),
        Answer::Opened(_) => unreachable!("a call is no opening"),
    }
}

impl<A: App> Future for Call<A> {
    type Output = Outcome<A>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Sent::InFlight(ticket) => Pin::new(ticket).poll(context).map(|outcome| unpack::<A>(outcome?)),
            Sent::Over(error) => Poll::Ready(Err(*error)),
        }
    }
}

impl<A: App> fmt::Debug for Call<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// A query on its way. [`wait`](Query::wait) for its result, or `.await` it.
#[must_use = "the closure runs only if somebody waits"]
pub struct Query<A, F> {
    ticket: ReadTicket<AppReader<A>>,
    read: Option<F>,
}

impl<T, A: App, F: FnOnce(&A) -> T> Query<A, F> {
    /// Blocks until the state is fresh enough, and reads it.
    ///
    /// # Errors
    /// If no quorum answered in time.
    ///
    /// # Panics
    /// As [`Ticket::wait`].
    pub fn wait(self) -> Result<T, CallError> {
        let reader = self.ticket.wait()?;
        Ok(reader.read(self.read.expect("a query runs once")))
    }
}

/// Nothing in it is pinned.
impl<A, F> Unpin for Query<A, F> {}

impl<T, A: App, F: FnOnce(&A) -> T> Future for Query<A, F> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(outcome) = Pin::new(&mut self.ticket).poll(context) else { return Poll::Pending };
        let read = self.read.take().expect("a query is polled until it is ready, and not after");
        Poll::Ready(outcome.map(|reader| reader.read(read)).map_err(CallError::from))
    }
}

impl<A, F> fmt::Debug for Query<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query")
    }
}
