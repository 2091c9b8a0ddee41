//! One connection's subscriptions.

use std::cell::{Ref, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::{Audience, Topic};
use crate::command::MAX_KEY_BYTES;
use crate::glob::{Glob, MAX_PATTERN_BYTES};

/// Most bytes that the subscriptions of a connection may take.
const MOST_BYTES: usize = 16 << 20;

/// What a subscription takes beside its name, and an automaton for each 64 bytes of a pattern.
const SUBSCRIPTION_BYTES: usize = 256;
const AUTOMATON_BYTES: usize = 2 << 10;

/// A connection cannot subscribe to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("a channel's name is longer than {MAX_KEY_BYTES} bytes (64 KiB)")]
    LongChannel,
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    LongPattern,
    #[error(
        "this connection has too many subscriptions, {MOST_BYTES} bytes (16 MiB): use another one for more"
    )]
    Bytes,
}

/// See the [module](self). Dropping it ends its subscriptions.
#[derive(Debug)]
pub(crate) struct Subscriber {
    audience: Rc<RefCell<Audience>>,
    connection: u64,
    /// `None` while there are no subscriptions, as most connections have none.
    own: Option<Box<Own>>,
}

#[derive(Debug, Default)]
struct Own {
    /// By topic.
    names: [BTreeSet<Bytes>; 3],
    bytes: usize,
}

impl Subscriber {
    /// A connection of this number, without subscriptions.
    pub(crate) fn new(audience: Rc<RefCell<Audience>>, connection: u64) -> Subscriber {
        Subscriber { audience, connection, own: None }
    }

    /// Looks at who subscribes to what on this server.
    pub(crate) fn audience(&self) -> Ref<'_, Audience> {
        self.audience.borrow()
    }

    /// Subscribes, unless it has already.
    pub(crate) fn subscribe(&mut self, topic: Topic, name: &[u8]) -> Result<(), TooMany> {
        if self.own.as_ref().is_some_and(|own| own.names[topic as usize].contains(name)) {
            return Ok(());
        }
        let glob = match topic {
            Topic::Pattern => Some(Arc::new(Glob::new(name).ok_or(TooMany::LongPattern)?)),
            Topic::Channel | Topic::Shard if name.len() > MAX_KEY_BYTES => return Err(TooMany::LongChannel),
            Topic::Channel | Topic::Shard => None,
        };
        let bytes = self.bytes() + weight(topic, name);
        if bytes > MOST_BYTES {
            return Err(TooMany::Bytes);
        }
        let name = Bytes::copy_from_slice(name);
        self.audience.borrow_mut().subscribe(self.connection, topic, &name, glob);
        let own = self.own.get_or_insert_default();
        own.bytes = bytes;
        own.names[topic as usize].insert(name);
        Ok(())
    }

    /// Ends a subscription, if there is one.
    pub(crate) fn unsubscribe(&mut self, topic: Topic, name: &[u8]) {
        let Some(own) = &mut self.own else { return };
        if own.names[topic as usize].remove(name) {
            own.bytes -= weight(topic, name);
            self.audience.borrow_mut().unsubscribe(self.connection, topic, name);
            if own.bytes == 0 {
                self.own = None;
            }
        }
    }

    /// Ends all subscriptions.
    pub(crate) fn unsubscribe_from_all(&mut self) {
        for topic in Topic::ALL {
            while let Some(name) = self.first(topic) {
                self.unsubscribe(topic, &name);
            }
        }
    }

    /// One of its subscriptions.
    pub(crate) fn first(&self, topic: Topic) -> Option<Bytes> {
        self.own.as_ref()?.names[topic as usize].first().cloned()
    }

    /// The number that replies about a topic tell: of all channels and patterns, or of all channels of shards.
    pub(crate) fn count(&self, topic: Topic) -> usize {
        match topic {
            Topic::Channel | Topic::Pattern => self.names(Topic::Channel) + self.names(Topic::Pattern),
            Topic::Shard => self.names(Topic::Shard),
        }
    }

    /// The number of its subscriptions of a kind.
    pub(crate) fn names(&self, topic: Topic) -> usize {
        self.own.as_ref().map_or(0, |own| own.names[topic as usize].len())
    }

    /// Whether it subscribes to anything.
    pub(crate) fn listens(&self) -> bool {
        self.own.is_some()
    }

    fn bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.unsubscribe_from_all();
    }
}

fn weight(topic: Topic, name: &[u8]) -> usize {
    let automaton = if topic == Topic::Pattern { (name.len() / 64 + 1) * AUTOMATON_BYTES } else { 0 };
    name.len() + SUBSCRIPTION_BYTES + automaton
}

#[cfg(test)]
mod tests {
    use niagara_engine::Wake;

    use super::super::{Heard, Hub, Staged};
    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    fn audience(hub: &Arc<Hub>) -> Rc<RefCell<Audience>> {
        Rc::new(RefCell::new(Audience::new(Arc::clone(hub), Arc::new(Nobody))))
    }

    fn publish(hub: &Hub, topic: Topic, channel: &str) -> usize {
        let mut staged = Staged::default();
        let receivers =
            hub.publish(&mut staged, topic, (channel.as_bytes(), b"hello"), Bytes::copy_from_slice);
        hub.deliver(&mut staged);
        receivers
    }

    /// Connections and patterns that hear what has come.
    fn heard(audience: &Rc<RefCell<Audience>>) -> Vec<(u64, Option<String>)> {
        let mut heard = Vec::new();
        let audience = audience.borrow();
        for message in audience.take_messages().expect("nothing is lost") {
            audience.hear(&message, &mut heard);
        }
        let text = |pattern: Bytes| String::from_utf8(pattern.to_vec()).unwrap();
        heard.into_iter().map(|Heard { connection, pattern }| (connection, pattern.map(text))).collect()
    }

    #[test]
    fn a_message_goes_to_channels_and_patterns_of_all_threads() {
        let hub = Arc::new(Hub::default());
        let threads = [audience(&hub), audience(&hub)];
        let mut one = Subscriber::new(Rc::clone(&threads[0]), 1);
        let mut two = Subscriber::new(Rc::clone(&threads[1]), 2);
        one.subscribe(Topic::Channel, b"news").unwrap();
        one.subscribe(Topic::Pattern, b"n*").unwrap();
        two.subscribe(Topic::Pattern, b"*s").unwrap();
        two.subscribe(Topic::Shard, b"news").unwrap();
        assert_eq!(
            (one.count(Topic::Channel), two.count(Topic::Pattern), two.count(Topic::Shard)),
            (2, 1, 1)
        );
        assert_eq!(publish(&hub, Topic::Channel, "news"), 3);
        assert_eq!(heard(&threads[0]), [(1, None), (1, Some("n*".into()))]);
        assert_eq!(heard(&threads[1]), [(2, Some("*s".into()))]);
        assert_eq!(publish(&hub, Topic::Shard, "news"), 1);
        assert_eq!((heard(&threads[0]), heard(&threads[1])), (vec![], vec![(2, None)]));
        assert_eq!(publish(&hub, Topic::Channel, "weather"), 0);
        assert!(!threads[0].borrow().has_messages());
        assert_eq!(
            (hub.patterns(), hub.subscribers(Topic::Channel, b"news"), hub.subscriptions()),
            (2, 1, 4)
        );

        drop(two);
        one.unsubscribe(Topic::Pattern, b"n*");
        one.unsubscribe(Topic::Pattern, b"n*");
        assert_eq!(publish(&hub, Topic::Channel, "news"), 1);
        assert_eq!(hub.channels(Topic::Channel, None), ["news"]);
        drop(one);
        assert_eq!((publish(&hub, Topic::Channel, "news"), hub.subscriptions()), (0, 0));
        assert!(hub.channels(Topic::Channel, None).is_empty());
    }

    #[test]
    fn a_subscription_hears_nothing_of_what_came_before_it() {
        let hub = Arc::new(Hub::default());
        let thread = audience(&hub);
        let mut early = Subscriber::new(Rc::clone(&thread), 1);
        let mut late = Subscriber::new(Rc::clone(&thread), 2);
        early.subscribe(Topic::Channel, b"news").unwrap();
        publish(&hub, Topic::Channel, "news");
        late.subscribe(Topic::Channel, b"news").unwrap();
        early.unsubscribe_from_all();
        early.subscribe(Topic::Channel, b"news").unwrap();
        assert!(heard(&thread).is_empty());
        publish(&hub, Topic::Channel, "news");
        assert_eq!(heard(&thread), [(1, None), (2, None)]);
    }

    #[test]
    fn what_is_missing_is_told_to_every_thread() {
        let hub = Arc::new(Hub::default());
        let thread = audience(&hub);
        let mut subscriber = Subscriber::new(Rc::clone(&thread), 7);
        subscriber.subscribe(Topic::Pattern, b"*").unwrap();
        publish(&hub, Topic::Channel, "news");
        hub.lose();
        assert!(thread.borrow().take_messages().is_none());
        assert_eq!(thread.borrow().connections(), [7]);
    }

    #[test]
    fn what_a_connection_subscribes_to_is_bounded() {
        let hub = Arc::new(Hub::default());
        let mut subscriber = Subscriber::new(audience(&hub), 1);
        let long = vec![b'x'; MAX_KEY_BYTES + 1];
        assert_eq!(subscriber.subscribe(Topic::Channel, &long), Err(TooMany::LongChannel));
        assert_eq!(subscriber.subscribe(Topic::Pattern, &long), Err(TooMany::LongPattern));
        let most = MOST_BYTES / (MAX_KEY_BYTES + SUBSCRIPTION_BYTES);
        let name = |i: usize| [&i.to_le_bytes()[..], &long[..MAX_KEY_BYTES - 8]].concat();
        for i in 0..most {
            subscriber.subscribe(Topic::Channel, &name(i)).unwrap();
        }
        assert_eq!(subscriber.subscribe(Topic::Channel, &name(most)), Err(TooMany::Bytes));
        subscriber.subscribe(Topic::Channel, &name(0)).expect("it has it already");
        subscriber.unsubscribe(Topic::Channel, &name(0));
        subscriber.subscribe(Topic::Channel, &name(most)).unwrap();
        subscriber.unsubscribe_from_all();
        assert_eq!((subscriber.bytes(), subscriber.listens()), (0, false));
    }
}
