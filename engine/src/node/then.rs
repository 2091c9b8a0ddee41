//! Calls, and queries that are executed right after them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::app::App;
use super::encode::Malformed;
use super::error::CallError;
use super::handle::{NodeHandle, unpack};
use super::machine::{Answer, AppMachine, encode_command};
use crate::client::ThenTicket;
use crate::outcome::{Refused, Then};

impl<A: App> NodeHandle<A> {
    /// Sends a command, and a query that this server executes right after it, before any other command: it shows
    /// what the call has done, and everything before it. Both are on their way when this returns;
    /// [`wait`](CallThenQuery::wait) for both, or `.await` them.
    ///
    /// This takes no round to a quorum for the query, as a strong [`query`](Self::query) behind the call would. But
    /// the closure runs on the thread that applies commands, where all callers wait for it, so it must be about as
    /// quick as a command. A panic in it resumes where its outcome is awaited.
    ///
    /// ```
    /// use niagara_engine::Node;
    /// # use niagara_engine::{App, Config, GlobalPosition};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u64);
    /// # impl App for Counter {
    /// #     type Command = u64;
    /// #     type Reply = u64;
    /// #     fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 { self.0 += add; self.0 }
    /// # }
    /// # let node = Node::start(Config::local(1, 1)?.remove(0), Counter::default())?;
    ///
    /// let then = node.call_then_query(&5, |counter| counter.0 % 2 == 0).wait()?;
    /// assert_eq!((then.applied.reply, then.found), (5, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call_then_query<T: Send + 'static>(
        &self,
        command: &A::Command,
        query: impl FnOnce(&A) -> T + Send + 'static,
    ) -> CallThenQuery<A, T> {
        let bytes = match encode_command::<A>(command) {
            Ok(bytes) => bytes,
            Err(Malformed(why)) => return CallThenQuery(Both::Over(Refused::NotACommand(why).into())),
        };
        let query = |machine: &AppMachine<A>| machine.read(query);
        CallThenQuery(match self.client().propose_then_query(bytes, query) {
            Ok(ticket) => Both::InFlight(ticket),
            Err(refused) => Both::Over(refused.into()),
        })
    }
}

/// A command and a query on their way. [`wait`](CallThenQuery::wait) for both, or `.await` them. Dropping it leaves
/// them on their way.
#[must_use = "the command is on its way; only the call tells its outcome"]
pub struct CallThenQuery<A: App, T>(Both<A, T>);

enum Both<A: App, T> {
    InFlight(ThenTicket<Answer<A::Reply>, T>),
    Over(CallError),
}

type Outcome<A, T> = Result<Then<<A as App>::Reply, T>, CallError>;

impl<A: App, T> CallThenQuery<A, T> {
    /// Blocks until the command is applied here, and returns its reply, its position, and what the query found.
    ///
    /// # Errors
    /// That the command was refused, or that an outcome is unknown; [`Unknown::Diverged`](crate::Unknown::Diverged)
    /// if only the query's is.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait), and if the query has panicked.
    pub fn wait(self) -> Outcome<A, T> {
        match self.0 {
            Both::InFlight(ticket) => unpack_both::<A, T>(ticket.wait()?),
            Both::Over(error) => Err(error),
        }
    }
}

fn unpack_both<A: App, T>(Then { applied, found }: Then<Answer<A::Reply>, T>) -> Outcome<A, T> {
    Ok(Then { applied: unpack::<A>(applied)?, found })
}

impl<A: App, T> Future for CallThenQuery<A, T> {
    type Output = Outcome<A, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Both::InFlight(ticket) => {
                Pin::new(ticket).poll(context).map(|outcome| unpack_both::<A, T>(outcome?))
            }
            Both::Over(error) => Poll::Ready(Err(*error)),
        }
    }
}

impl<A: App, T> fmt::Debug for CallThenQuery<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallThenQuery")
    }
}
