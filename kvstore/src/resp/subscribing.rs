//! SUBSCRIBE and its kin, and the messages that subscribers get.

use super::encode::Replies;
use super::parse::Arguments;
use super::words::is;
use crate::glob::Glob;
use crate::pubsub::{Message, Subscriber, TooMany, Topic};
use crate::table::{Does, Local, Spec};
use crate::users::Id;

/// What replies about a topic, and messages, begin with.
fn words(topic: Topic) -> (&'static str, &'static str, &'static str) {
    match topic {
        Topic::Channel => ("subscribe", "unsubscribe", "message"),
        Topic::Pattern => ("psubscribe", "punsubscribe", "pmessage"),
        Topic::Shard => ("ssubscribe", "sunsubscribe", "smessage"),
    }
}

/// Subscribes to each name. `false`: not to all.
pub(super) fn subscribe(
    arguments: Arguments<'_>,
    topic: Topic,
    subscriber: &mut Subscriber,
    replies: &mut Replies<'_>,
) -> bool {
    for name in arguments.from(1).iter() {
        if let Err(why) = subscriber.subscribe(topic, name) {
            replies.error(&format!("ERR {why}"));
            return false;
        }
        confirm(words(topic).0, Some(name), subscriber.count(topic), replies);
    }
    true
}

/// Ends the subscription to each name, or to all.
pub(super) fn unsubscribe(
    arguments: Arguments<'_>,
    topic: Topic,
    subscriber: &mut Subscriber,
    replies: &mut Replies<'_>,
) {
    let word = words(topic).1;
    if arguments.len() > 1 {
        for name in arguments.from(1).iter() {
            subscriber.unsubscribe(topic, name);
            confirm(word, Some(name), subscriber.count(topic), replies);
        }
        return;
    }
    if subscriber.first(topic).is_none() {
        confirm(word, None, subscriber.count(topic), replies);
    }
    while let Some(name) = subscriber.first(topic) {
        subscriber.unsubscribe(topic, &name);
        confirm(word, Some(&name), subscriber.count(topic), replies);
    }
}

fn confirm(word: &str, name: Option<&[u8]>, count: usize, replies: &mut Replies<'_>) {
    replies.push(3);
    replies.bulk(word.as_bytes());
    match name {
        Some(name) => replies.bulk(name),
        None => replies.null(),
    }
    replies.count(count as u64);
}

/// `PUBSUB CHANNELS` and so on: about this server.
pub(super) fn tell(arguments: Arguments<'_>, subscriber: &Subscriber, replies: &mut Replies<'_>) -> bool {
    let audience = subscriber.audience();
    let hub = audience.hub();
    let what = arguments.get(1);
    let topic =
        if is(what, "SHARDCHANNELS") || is(what, "SHARDNUMSUB") { Topic::Shard } else { Topic::Channel };
    let names = arguments.from(2);
    if is(what, "NUMPAT") {
        replies.count(hub.patterns() as u64);
    } else if is(what, "NUMSUB") || is(what, "SHARDNUMSUB") {
        replies.array(2 * names.len());
        for name in names.iter() {
            replies.bulk(name);
            replies.count(hub.subscribers(topic, name) as u64);
        }
    } else {
        let pattern = names.iter().next().map(Glob::new);
        if matches!(pattern, Some(None)) {
            replies.error(&format!("ERR {}", TooMany::LongPattern));
            return false;
        }
        let channels = hub.channels(topic, pattern.flatten().as_ref());
        replies.array(channels.len());
        channels.iter().for_each(|channel| replies.bulk(channel));
    }
    true
}

/// In the older version of the protocol, a subscriber may send few commands, since their replies and messages look alike.
/// Returns what is wrong with any other one.
pub(super) fn refuse_other(arguments: Arguments<'_>) -> Option<String> {
    use Local::{PSubscribe, PUnsubscribe, Quit, Reset, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    let spec = Spec::find(arguments.get(0)).filter(|spec| spec.takes(arguments.len()))?;
    let may = match spec.does {
        Does::Local(local) => matches!(
            local,
            Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe | Quit | Reset
        ),
        _ => spec.name == "PING",
    };
    let name = Id::of(spec, arguments.iter().nth(1)).name();
    (!may).then(|| {
        format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
             this context"
        )
    })
}

/// `PING [text]` of a subscriber in the older version of the protocol.
pub(super) fn ping(arguments: Arguments<'_>, replies: &mut Replies<'_>) {
    replies.array(2);
    replies.bulk(b"pong");
    replies.bulk(arguments.iter().nth(1).unwrap_or_default());
}

/// Prints a message, and the pattern by which it is heard.
pub(super) fn message(message: &Message, pattern: Option<&[u8]>, replies: &mut Replies<'_>) {
    match pattern {
        Some(pattern) => {
            replies.push(4);
            replies.bulk(words(Topic::Pattern).2.as_bytes());
            replies.bulk(pattern);
        }
        None => {
            replies.push(3);
            replies.bulk(words(message.topic).2.as_bytes());
        }
    }
    replies.bulk(&message.channel);
    replies.value(&message.payload);
}
