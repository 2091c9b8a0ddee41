//! Messages for subscribers.

use super::{Answer, Words};
use crate::Data;
use crate::pubsub::Topic;
use crate::state::writer::{Writing, content};

pub(super) fn publish(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    Ok(send(writing, Topic::Channel, words))
}

pub(super) fn shard_publish(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    Ok(send(writing, Topic::Shard, words))
}

/// Answers how many hear it on this server.
fn send(writing: &mut Writing<'_>, topic: Topic, words: Words<'_>) -> Data {
    let Writing { map, core, share, .. } = writing;
    let message = (words[0], words[1]);
    Data::count(
        map.hub.publish(&mut core.staged, topic, message, |bytes| content(bytes, *share).into_bytes()),
    )
}
