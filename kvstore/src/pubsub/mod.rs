//! Messages from clients to clients that subscribe to channels.
//!
//! A message is a command of the log, so every server executes it, at the same place among all others. The thread that
//! executes commands hands it to the [`Hub`] of its server, which knows which front-end threads have subscribers for it,
//! and how many there are: that is what the publisher is told. Once per batch, what was handed over goes to the `Desk` of
//! each thread, which is woken if it had nothing. The thread's [`Audience`] knows which connection hears what, and a
//! [`Subscriber`] is one connection's part of it.
//!
//! Nobody who executes commands waits for a subscriber. A desk holds a bounded number of bytes; if a thread lets more
//! wait, all that waits is dropped, and its subscribers are disconnected: so they know that messages may be missing. The
//! same happens when a snapshot takes the place of commands that were not executed here.

mod audience;
mod desk;
mod hub;
mod subscriber;

use bytes::Bytes;

pub(crate) use audience::{Audience, Heard};
use desk::Desk;
pub(crate) use hub::{Hub, Staged};
pub(crate) use subscriber::{Subscriber, TooMany};

/// What a subscription names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A channel.
    Channel = 0,
    /// All channels whose names match.
    Pattern = 1,
    /// A channel of a shard, which is another one even if it has the same name.
    Shard = 2,
}

impl Topic {
    pub(crate) const ALL: [Topic; 3] = [Topic::Channel, Topic::Pattern, Topic::Shard];
}

/// A message for subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Messages of a server rise in number. A subscription hears those with a higher one than it had at its beginning.
    number: u64,
    /// Not a pattern.
    pub(crate) topic: Topic,
    pub(crate) channel: Bytes,
    pub(crate) payload: Bytes,
}

/// Memory of a message beside its bytes, roughly.
const MESSAGE_BYTES: usize = 128;

impl Message {
    /// A message that this server sends to its own subscribers.
    pub(crate) fn of_this_server(channel: &'static [u8], payload: String) -> Message {
        let (channel, payload) = (Bytes::from_static(channel), payload.into());
        Message { number: u64::MAX, topic: Topic::Channel, channel, payload }
    }

    /// How much it takes while it waits.
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len() + MESSAGE_BYTES
    }
}
