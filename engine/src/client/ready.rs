//! Back-pressure for single callers: wait until commands would be accepted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::handle::Client;
use crate::lane::{Room, RoomPromise};
use crate::outcome::Refused;
use crate::promise::block_on;
use crate::state_machine::StateMachine;

/// Becomes ready when the engine has room for commands. [`wait`](Ready::wait) for it, or `.await` it.
///
/// Callers that wait at the same time are woken at the same time, and the first of them may use up the room:
/// if a proposal is [`Overloaded`](Refused::Overloaded), wait again.
#[must_use = "it waits only while it is polled"]
pub struct Ready<S: StateMachine> {
    client: Client<S>,
    deadline: Instant,
    waiting: Option<Arc<RoomPromise>>,
}

impl<S: StateMachine> Client<S> {
    /// Waits until there is room for commands, until the deadline at most.
    ///
    /// ```
    /// # use niagara_engine::Refused;
    /// # let engine = niagara_engine::internals::example::engine();
    /// let client = engine.client();
    /// let ticket = loop {
    ///     match client.propose("count".into()) {
    ///         Err(Refused::Overloaded) => client.ready().wait()?,
    ///         other => break other?,
    ///     }
    /// };
    /// assert_eq!(ticket.wait()?.reply, 1);
    /// # engine.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ready(&self) -> Ready<S> {
        Ready { client: self.clone(), deadline: self.shared.clock.now() + self.deadline, waiting: None }
    }
}

impl<S: StateMachine> Ready<S> {
    /// Blocks until there is room.
    ///
    /// # Errors
    /// [`Refused::Overloaded`] if there is none at the deadline; any other reason for which commands are
    /// refused at the moment.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait); release builds return [`Refused::Overloaded`].
    pub fn wait(mut self) -> Result<(), Refused> {
        block_on(|waker| self.poll_with(waker)).unwrap_or(Err(Refused::Overloaded))
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Result<(), Refused>> {
        loop {
            if let Some(promise) = &self.waiting
                && promise.poll(waker).is_pending()
            {
                return Poll::Pending;
            }
            self.waiting = None;
            let shared = &self.client.shared;
            match shared.check_ready().and_then(|()| shared.room(self.deadline)) {
                Ok(Room::Here) => return Poll::Ready(Ok(())),
                Ok(Room::Later(_)) if shared.clock.now() >= self.deadline => {
                    return Poll::Ready(Err(Refused::Overloaded));
                }
                Ok(Room::Later(promise)) => self.waiting = Some(promise),
                Err(refused) => return Poll::Ready(Err(refused)),
            }
        }
    }
}

impl<S: StateMachine> Future for Ready<S> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_with(context.waker())
    }
}

impl<S: StateMachine> std::fmt::Debug for Ready<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
