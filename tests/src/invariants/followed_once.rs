use std::collections::VecDeque;

use bytes::Bytes;
use niagara_engine::{Client, Compacted, GlobalPosition, StateMachine, Subscription, SubscriptionEnd};

use super::{Broken, hold};

/// A subscriber sees what its server executes, once and in order; what it does not see, it is told.
pub struct FollowedOnce<S: StateMachine> {
    client: Client<S>,
    subscription: Subscription,
    /// Executed, and not read.
    expected: VecDeque<(u64, Bytes)>,
    /// It reads after so many executions: a lazy one lags now and then.
    reads_every: u32,
    executions: u32,
}

impl<S: StateMachine> FollowedOnce<S> {
    /// A subscriber from now on.
    pub fn new(client: Client<S>, reads_every: u32) -> Self {
        let subscription = client.subscribe_from_now();
        FollowedOnce { client, subscription, expected: VecDeque::new(), reads_every, executions: 0 }
    }

    /// The server has executed these.
    pub fn executed(&mut self, server: u64, commands: &[(u64, Bytes)]) -> Result<(), Broken> {
        self.expected.extend(commands.iter().cloned());
        self.executions += 1;
        if !self.executions.is_multiple_of(self.reads_every) {
            return Ok(());
        }
        loop {
            match self.subscription.try_next() {
                Ok(Some(read)) => {
                    let read = (read.position.get(), read.command);
                    let expected = self.expected.pop_front();
                    hold(expected.as_ref() == Some(&read), "followed_once", || {
                        format!("a subscriber of server {server} reads {read:?} instead of {expected:?}")
                    })?;
                }
                Ok(None) | Err(SubscriptionEnd::Stopped) => break,
                Err(SubscriptionEnd::Lagged { least }) => self.resume(least),
                Err(SubscriptionEnd::Restored { position }) => {
                    let missed = self.expected.front().filter(|(at, _)| *at <= position.get());
                    hold(missed.is_none(), "followed_once", || {
                        format!(
                            "a subscriber of server {server} missed {missed:?} before a snapshot at {position}"
                        )
                    })?;
                    self.resume(GlobalPosition::new(position.get() + 1));
                }
                Err(end) => panic!("nobody waits here, but: {end}"),
            }
        }
        hold(self.expected.is_empty(), "followed_once", || {
            let next = self.expected.front();
            format!("a subscriber of server {server} is not shown {next:?}")
        })
    }

    fn resume(&mut self, from: GlobalPosition) {
        let (from, subscription) = match self.client.subscribe(from) {
            Ok(subscription) => (from, subscription),
            Err(Compacted { least, .. }) => {
                (least, self.client.subscribe(least).expect("it says where it can begin"))
            }
        };
        self.subscription = subscription;
        self.expected.retain(|(at, _)| *at >= from.get());
    }
}
