//! A command, and a query that the same server executes right after it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use bytes::Bytes;

use super::handle::Client;
use super::ticket::Ticket;
use crate::lane::Look;
use crate::misuse::NoWaiting;
use crate::outcome::{Applied, Detached, Refused, Then, Unknown};
use crate::promise::{SharedPromise, block_on};
use crate::state_machine::StateMachine;

impl<S: StateMachine> Client<S> {
    /// Proposes a command, and a query that this server executes right after it, before any other command.
    ///
    /// The query is linearizable: it shows what the command has done, and everything before it. It takes no round to
    /// a quorum, as a [strong read](crate::Consistency::Strong) behind the command would.
    ///
    /// It runs on the thread that executes, where all commands wait for it, so it must be about as quick as a
    /// command. A panic in it resumes where its outcome is awaited. It gets the state machine itself: readers of a
    /// state on disk need not see what has yet to be [persisted](StateMachine::persist).
    ///
    /// ```
    /// # let engine = niagara_engine::internals::example::engine();
    /// let client = engine.client();
    /// let then = client.propose_then_query("count".into(), |counter| counter.count())?.wait()?;
    /// assert_eq!((then.applied.reply, then.found), (1, 1));
    /// # engine.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`propose`](Self::propose); then the query does not run, either.
    pub fn propose_then_query<T: Send + 'static>(
        &self,
        command: Bytes,
        query: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Result<ThenTicket<S::Reply, T>, Refused> {
        let seen = Arc::new(SharedPromise::new());
        let query =
            PendingQuery { query: Some(query), found: None, seen: Arc::clone(&seen), of: PhantomData };
        let ticket = self.submit(command, Some(Box::new(query)))?;
        Ok(ThenTicket { ticket, applied: None, seen })
    }
}

/// What a query has found, or the panic that it ended in; or why it was not executed.
type Seen<T> = Result<thread::Result<T>, Detached>;

/// A query that waits for its command.
struct PendingQuery<S, Q, T> {
    query: Option<Q>,
    found: Option<thread::Result<T>>,
    seen: Arc<SharedPromise<Seen<T>>>,
    of: PhantomData<fn(&S)>,
}

impl<S: StateMachine, Q: FnOnce(&S) -> T + Send, T: Send> Look for PendingQuery<S, Q, T> {
    fn look(&mut self, state: &dyn Any) {
        let state = state.downcast_ref::<S>().expect("a lane belongs to one server and its state machine");
        let query = self.query.take().expect("a query runs once");
        let _query = NoWaiting::inside("a query");
        self.found = Some(catch_unwind(AssertUnwindSafe(|| query(state))));
    }

    fn tell(self: Box<Self>, why: Option<Detached>) {
        let PendingQuery { found, seen, .. } = *self;
        seen.keep(found.ok_or_else(|| why.expect("a query without a reason has been executed")));
    }
}

/// The future outcome of a command and of the query behind it. [`wait`](ThenTicket::wait) for both, or `.await`
/// them on any executor. A ticket that is dropped leaves both in flight.
///
/// [`Client::propose_then_query`] has an example.
#[must_use = "the command is in flight; only the ticket tells its outcome"]
pub struct ThenTicket<R, T> {
    ticket: Ticket<R>,
    /// The outcome of the command, once it is known.
    applied: Option<Applied<R>>,
    seen: Arc<SharedPromise<Seen<T>>>,
}

impl<R, T> ThenTicket<R, T> {
    /// Blocks until both outcomes are known or the deadline has passed.
    ///
    /// # Errors
    /// If one of them is unknown; [`Unknown::Diverged`] if only the query's is.
    ///
    /// # Panics
    /// As [`Ticket::wait`], and if the query has panicked.
    pub fn wait(mut self) -> Result<Then<R, T>, Unknown> {
        block_on(|waker| self.poll_with(waker)).unwrap_or(Err(Unknown::SelfWait))
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Result<Then<R, T>, Unknown>> {
        if self.applied.is_none() {
            match ready!(self.ticket.0.poll(waker)) {
                Ok(applied) => self.applied = Some(applied),
                Err(unknown) => return Poll::Ready(Err(unknown)),
            }
        }
        let seen = ready!(self.seen.poll(waker));
        let applied = self.applied.take().expect("it was just there");
        Poll::Ready(match seen {
            Ok(Ok(found)) => Ok(Then { applied, found }),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(Detached::Refused(_)) => Err(Unknown::Diverged),
            Err(Detached::Unknown(unknown)) => Err(unknown),
        })
    }
}

/// Nothing in it is pinned.
impl<R, T> Unpin for ThenTicket<R, T> {}

impl<R, T> Future for ThenTicket<R, T> {
    type Output = Result<Then<R, T>, Unknown>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_with(context.waker())
    }
}

impl<R, T> fmt::Debug for ThenTicket<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThenTicket")
    }
}

#[cfg(test)]
mod tests;
