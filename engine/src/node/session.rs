//! Calls that may be retried and are applied once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::app::App;
use super::encode::{Encode, Malformed};
use super::envelope::{Envelope, NumberedBy};
use super::error::CallError;
use super::handle::{Call, NodeHandle, Sent};
use super::machine::Answer;
use crate::outcome::{Applied, Refused};

impl<A: App> NodeHandle<A> {
    /// Opens a session, whose calls may be retried and are applied once; see [`Session`].
    pub fn session(&self) -> OpenSession<A> {
        OpenSession { call: self.send(Envelope::open()), handle: self.clone() }
    }
}

/// A session that is being opened. [`wait`](OpenSession::wait) for it, or `.await` it.
#[must_use = "it opens only if somebody waits for its id"]
pub struct OpenSession<A: App> {
    handle: NodeHandle<A>,
    call: Call<A>,
}

impl<A: App> OpenSession<A> {
    /// Blocks until the session is open.
    ///
    /// # Errors
    /// As a call. Opening another session instead does no harm.
    pub fn wait(self) -> Result<Session<A>, CallError> {
        match self.call.0 {
            Sent::InFlight(ticket) => Ok(opened(self.handle, &ticket.wait()?)),
            Sent::Over(error) => Err(error),
        }
    }
}

fn opened<A: App>(handle: NodeHandle<A>, applied: &Applied<Answer<A::Reply>>) -> Session<A> {
    let Answer::Opened(id) = applied.reply else { unreachable!("an opening has an id") };
    Session { handle, id, number: 0, last: None }
}

impl<A: App> Future for OpenSession<A> {
    type Output = Result<Session<A>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let handle = self.handle.clone();
        match &mut self.call.0 {
            Sent::InFlight(ticket) => {
                Pin::new(ticket).poll(context).map(|outcome| Ok(opened(handle, &outcome?)))
            }
            Sent::Over(error) => Poll::Ready(Err(*error)),
        }
    }
}

impl<A: App> fmt::Debug for OpenSession<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenSession")
    }
}

/// Calls that may be retried and are applied once, however often they are sent and through whichever server.
///
/// It makes one call at a time. If its outcome is unknown, [`retry`](Session::retry) sends the same command
/// with the same number: if it has been applied, the first reply comes back, with its position. The last
/// 10,000 sessions that were used stay open, with at most 16 MiB of replies; a call in a session that has
/// ended is never applied ([`CallError::SessionEnded`]).
///
/// ```
/// use niagara_engine::{CallError, Node};
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
/// let mut session = node.session().wait()?;
/// let mut outcome = session.call(&5).wait();
/// while outcome.is_err_and(|error| error.is_unknown() && error != CallError::SessionEnded) {
///     outcome = session.retry().wait();
/// }
/// assert_eq!(outcome?.reply, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session<A: App> {
    handle: NodeHandle<A>,
    id: u64,
    /// Number of the last command.
    number: u64,
    last: Option<Bytes>,
}

impl<A: App> Session<A> {
    /// Sends the session's next command. Whatever was sent before it and has not been applied never will be.
    pub fn call(&mut self, command: &A::Command) -> Call<A> {
        let numbered = NumberedBy { session: self.id, number: self.number + 1 };
        match Envelope::write(Some(numbered), |bytes| command.encode(bytes)) {
            Ok(bytes) => {
                self.number += 1;
                self.last = Some(bytes.clone());
                self.handle.send(bytes)
            }
            Err(Malformed(why)) => Call::over(Refused::NotACommand(why)),
        }
    }

    /// Sends the last command again.
    ///
    /// # Panics
    /// If there was none.
    pub fn retry(&self) -> Call<A> {
        let last = self.last.clone().expect("a retry follows a call");
        self.handle.send(last)
    }

    /// Sends through another server from now on, or with another deadline.
    pub fn through(&mut self, handle: &NodeHandle<A>) {
        self.handle = handle.clone();
    }
}

impl<A: App> fmt::Debug for Session<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Session { id, number, .. } = self;
        f.debug_struct("Session").field("id", id).field("number", number).finish_non_exhaustive()
    }
}
