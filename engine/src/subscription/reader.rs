//! A subscription: where a subscriber is in the global log, and how it waits for more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_sequencer::GlobalPosition;

use super::compacted::Compacted;
use super::feed::{Feed, Next};
use super::part::{Part, Run};
use crate::misuse::SelfWait;
use crate::planted::{self, Bug};
use crate::promise::{block_on, block_on_until};

/// A command that this server has executed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed {
    /// Its position in the global log. Commands that share an entry share a position.
    pub position: GlobalPosition,
    /// How many commands were executed before it at the same position.
    pub index: u32,
    /// The command. It shares the buffer of its batch: copy it to keep it for long.
    pub command: Bytes,
}

/// Why a subscription has ended. It has delivered every command executed before [`Subscription::next_position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The subscriber was too slow, and what comes next for it is gone.
    #[error(
        "the subscriber is too slow, and commands before position {least} are gone: read the state at \
         position {} or later, and subscribe from {least}; a larger `subscription_bytes` waits longer",
        .least.get().saturating_sub(1)
    )]
    Lagged {
        /// The first position from which a subscription can begin now.
        least: GlobalPosition,
    },
    /// This server was behind, and continues from another server's snapshot: it has not executed the
    /// commands in between.
    #[error(
        "this server has continued from a snapshot at position {position}: read the state at that position or \
         later, and subscribe from the next one"
    )]
    Restored {
        /// Position of the snapshot.
        position: GlobalPosition,
    },
    /// The server has stopped.
    #[error("the server has stopped: subscribe again after its next start")]
    Stopped,
    /// The caller would have waited for itself: it is on a thread of the engine, or inside a query.
    #[error("a wait inside `apply` or on a thread of the engine would wait for ever: wait on another thread")]
    SelfWait,
}

/// A subscription to the global log: each command that this server executes, once, in the order of the log.
///
/// Duplicates of retries and gaps are not delivered. Commands arrive in batches inside, so
/// [`try_next`](Subscription::try_next) takes a lock once per sub-batch only. Whatever ends a subscription is
/// said: it never misses or repeats a command silently.
///
/// ```
/// use niagara_engine::GlobalPosition;
///
/// # let engine = niagara_engine::internals::example::engine();
/// let client = engine.client();
/// let mut subscription = client.subscribe(GlobalPosition::new(1))?;
/// let applied = client.propose("count".into())?.wait()?;
/// let executed = subscription.wait()?;
/// assert_eq!((executed.position, &executed.command[..]), (applied.position, &b"count"[..]));
/// # engine.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To follow a state, subscribe first with [`Client::subscribe_from_now`](crate::Client::subscribe_from_now),
/// then read the state at least at the position before [`next_position`](Subscription::next_position), and
/// skip what that state includes already.
pub struct Subscription {
    feed: Arc<Feed>,
    /// Identifies it among those who wait.
    number: u64,
    /// Everything before it has been loaded.
    next: GlobalPosition,
    /// The part that is being read, and the number of its runs that have been loaded.
    part: Option<(Arc<Part>, usize)>,
    /// Commands of the run that is being read.
    ready: std::vec::IntoIter<Executed>,
    ended: Option<SubscriptionEnd>,
}

impl Subscription {
    pub(crate) fn begin(feed: Arc<Feed>, from: Option<GlobalPosition>) -> Result<Subscription, Compacted> {
        let (number, next) = feed.subscribe(from)?;
        Ok(Subscription { feed, number, next, part: None, ready: Vec::new().into_iter(), ended: None })
    }

    /// Everything that was executed before this position has been returned. To resume after an interruption,
    /// subscribe from here, and skip the commands of this position that were returned.
    pub fn next_position(&self) -> GlobalPosition {
        self.ready.as_slice().first().map_or(self.next, |executed| executed.position)
    }

    /// Returns the next command if it has been executed; `None` if it has not.
    ///
    /// # Errors
    /// If the subscription has ended.
    pub fn try_next(&mut self) -> Result<Option<Executed>, SubscriptionEnd> {
        match self.poll(Waker::noop()) {
            Poll::Ready(outcome) => outcome.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Blocks until the next command has been executed.
    ///
    /// # Errors
    /// If the subscription has ended.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn wait(&mut self) -> Result<Executed, SubscriptionEnd> {
        block_on(|waker| self.poll(waker)).unwrap_or(Err(SubscriptionEnd::SelfWait))
    }

    /// Blocks until the next command has been executed, or this time has passed: then it returns `None`.
    ///
    /// # Errors
    /// If the subscription has ended.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Executed>, SubscriptionEnd> {
        let waited = block_on_until(Instant::now().checked_add(timeout), |waker| self.poll(waker));
        waited.map_err(|SelfWait| SubscriptionEnd::SelfWait)?.transpose()
    }

    /// The next command, as a future. Dropping it loses nothing.
    #[expect(clippy::should_implement_trait, reason = "as in other streams, it is a future")]
    pub fn next(&mut self) -> NextExecuted<'_> {
        NextExecuted(self)
    }

    /// Polls for the next command, as `poll_next` of a stream does.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Executed, SubscriptionEnd>> {
        self.poll(context.waker())
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Result<Executed, SubscriptionEnd>> {
        loop {
            if let Some(executed) = self.ready.next() {
                return Poll::Ready(Ok(executed));
            }
            if let Some(end) = self.ended {
                return Poll::Ready(Err(end));
            }
            if !self.load_run() && !self.load_part(waker) {
                return Poll::Pending;
            }
        }
    }

    /// Makes the next run of the current part ready; `false` if there is none.
    fn load_run(&mut self) -> bool {
        let Some((part, read)) = &mut self.part else { return false };
        let Part::Executed { last, runs, .. } = &**part else { return false };
        let Some(run) = runs.get(*read) else {
            self.next = GlobalPosition::new(last.get() + 1);
            self.part = None;
            return false;
        };
        *read += 1;
        // A subscriber may begin in the midst of a part.
        if run.position >= self.next {
            self.next = run.position;
            self.ready = commands(run).into_iter();
        }
        true
    }

    /// Finds the next part, or the end; `false` if it has to be waited for.
    fn load_part(&mut self, waker: &Waker) -> bool {
        match self.feed.next(self.number, self.next, waker) {
            Next::Part(part) => match &*part {
                Part::Restored { last } => self.ended = Some(SubscriptionEnd::Restored { position: *last }),
                Part::Executed { .. } => self.part = Some((part, 0)),
            },
            Next::Gone(least) if planted::is(Bug::LagNotTold) => self.next = least,
            Next::Gone(least) => self.ended = Some(SubscriptionEnd::Lagged { least }),
            Next::Closed => self.ended = Some(SubscriptionEnd::Stopped),
            Next::Wait => return false,
        }
        true
    }
}

fn commands(run: &Run) -> Vec<Executed> {
    let executed = run.shown().map(|(index, command)| Executed {
        position: run.position,
        index,
        command: command.share(command.as_slice()),
    });
    executed.collect()
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.unsubscribe(self.number);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("next", &self.next_position()).finish_non_exhaustive()
    }
}

/// The next command of a subscription, as a future.
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct NextExecuted<'a>(&'a mut Subscription);

impl Future for NextExecuted<'_> {
    type Output = Result<Executed, SubscriptionEnd>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context.waker())
    }
}
