//! Following a node: the application's commands, in the order of the log.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::{Context, Poll};
use std::time::Duration;

use niagara_sequencer::GlobalPosition;

use super::app::App;
use super::handle::NodeHandle;
use super::machine::decode_applied;
use crate::subscription::{Compacted, Executed, Subscription, SubscriptionEnd};

impl<A: App> NodeHandle<A> {
    /// Subscribes to the commands that this server applies, from this position of the global log on; it may be in the
    /// future. See [`Client::subscribe`](crate::Client::subscribe) for what is kept.
    ///
    /// # Errors
    /// If the position is not kept; says from where a subscription may begin.
    pub fn subscribe(&self, from: GlobalPosition) -> Result<AppSubscription<A>, Compacted> {
        Ok(AppSubscription { below: self.client().subscribe(from)?, of: PhantomData })
    }

    /// Subscribes to the commands that this server applies from now on.
    pub fn subscribe_from_now(&self) -> AppSubscription<A> {
        AppSubscription { below: self.client().subscribe_from_now(), of: PhantomData }
    }
}

/// A command that this server has applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedCommand<C> {
    /// Its position in the global log. Commands that share an entry share a position.
    pub position: GlobalPosition,
    /// Its place among what shares the position, rising.
    pub index: u32,
    /// The command.
    pub command: C,
}

/// A subscription to the application's commands: each that this server applies, once, in the order of the log. What a
/// [`Session`](crate::Session) has sent again is applied, and so delivered, once.
///
/// With a copy of the state at some position, a subscriber keeps up with the state by applying each command that
/// follows.
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
/// let mut subscription = node.subscribe_from_now();
/// let applied = node.call(&5).wait()?;
/// let followed = subscription.wait()?;
/// assert_eq!((followed.command, followed.position), (5, applied.position));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AppSubscription<A: App> {
    below: Subscription,
    of: PhantomData<fn() -> A>,
}

type Next<A> = Result<AppliedCommand<<A as App>::Command>, SubscriptionEnd>;

impl<A: App> AppSubscription<A> {
    /// Every command that was applied before this position has been delivered.
    pub fn next_position(&self) -> GlobalPosition {
        self.below.next_position()
    }

    /// The next command, if it has been applied.
    ///
    /// # Errors
    /// If the subscription has ended.
    pub fn try_next(&mut self) -> Result<Option<AppliedCommand<A::Command>>, SubscriptionEnd> {
        Ok(self.below.try_next()?.map(decode::<A>))
    }

    /// Blocks until the next command has been applied.
    ///
    /// # Errors
    /// If the subscription has ended.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn wait(&mut self) -> Next<A> {
        self.below.wait().map(decode::<A>)
    }

    /// Blocks until the next command has been applied, or this time has passed: then it returns `None`.
    ///
    /// # Errors
    /// If the subscription has ended.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn wait_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<AppliedCommand<A::Command>>, SubscriptionEnd> {
        Ok(self.below.wait_timeout(timeout)?.map(decode::<A>))
    }

    /// The next command, as a future. Dropping it loses nothing.
    #[expect(clippy::should_implement_trait, reason = "as in other streams, it is a future")]
    pub fn next(&mut self) -> impl Future<Output = Next<A>> + '_ {
        poll_fn(|context| self.poll_next(context))
    }

    /// Polls for the next command, as `poll_next` of a stream does.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next<A>> {
        self.below.poll_next(context).map(|next| next.map(decode::<A>))
    }
}

/// # Panics
/// If the application reads the bytes of a command now and then only.
fn decode<A: App>(Executed { position, index, command }: Executed) -> AppliedCommand<A::Command> {
    let command = decode_applied::<A>(&command).expect("a command that was applied can be decoded");
    AppliedCommand { position, index, command }
}

impl<A: App> fmt::Debug for AppSubscription<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSubscription").field("next", &self.next_position()).finish_non_exhaustive()
    }
}
