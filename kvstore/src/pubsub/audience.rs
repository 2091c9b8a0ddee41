//! Which connection of a front-end thread hears what.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::Wake;

use super::{Desk, Hub, Message, Topic};
use crate::glob::Glob;

/// The subscribers of one thread. Connections are named by numbers.
#[derive(Debug)]
pub(crate) struct Audience {
    hub: Arc<Hub>,
    number: usize,
    desk: Arc<Desk>,
    /// By topic and name.
    named: [BTreeMap<Bytes, Listeners>; 3],
}

/// Who hears a name.
#[derive(Debug, Default)]
struct Listeners {
    /// Only of a pattern.
    glob: Option<Arc<Glob>>,
    /// The last message before its subscription, by number of the connection.
    since: BTreeMap<u64, u64>,
}

/// Who hears a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) connection: u64,
    /// The pattern that its channel matches, if the connection has not subscribed to the channel itself.
    pub(crate) pattern: Option<Bytes>,
}

impl Audience {
    /// A thread without subscribers, which `wake` wakes when messages come.
    pub(crate) fn new(hub: Arc<Hub>, wake: Arc<dyn Wake>) -> Audience {
        let (number, desk) = hub.open(wake);
        Audience { hub, number, desk, named: Default::default() }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The messages that have come; `None` if some are missing.
    pub(crate) fn take_messages(&self) -> Option<Vec<Message>> {
        self.desk.take()
    }

    /// Whether messages have come.
    pub(crate) fn has_messages(&self) -> bool {
        !self.desk.is_empty()
    }

    /// Adds who hears a message: first those who subscribe to its channel.
    pub(crate) fn hear(&self, message: &Message, heard: &mut Vec<Heard>) {
        let mut add = |listeners: &Listeners, pattern: Option<&Bytes>| {
            let later = listeners.since.iter().filter(|(_, since)| message.number > **since);
            heard.extend(
                later.map(|(connection, _)| Heard { connection: *connection, pattern: pattern.cloned() }),
            );
        };
        if let Some(listeners) = self.named[message.topic as usize].get(&message.channel) {
            add(listeners, None);
        }
        if message.topic == Topic::Channel {
            for (pattern, listeners) in &self.named[Topic::Pattern as usize] {
                if listeners.glob.as_ref().is_some_and(|glob| glob.matches(&message.channel)) {
                    add(listeners, Some(pattern));
                }
            }
        }
    }

    /// The connections with any subscription.
    pub(crate) fn connections(&self) -> Vec<u64> {
        let named = self.named.iter().flat_map(BTreeMap::values);
        let mut all: Vec<u64> = named.flat_map(|listeners| listeners.since.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn subscribe(&mut self, connection: u64, topic: Topic, name: &Bytes, glob: Option<Arc<Glob>>) {
        let since = self.hub.subscribe(self.number, topic, name, glob.as_ref());
        let listeners = self.named[topic as usize].entry(name.clone()).or_default();
        listeners.glob = glob;
        listeners.since.insert(connection, since);
    }

    pub(super) fn unsubscribe(&mut self, connection: u64, topic: Topic, name: &[u8]) {
        let named = &mut self.named[topic as usize];
        let listeners = named.get_mut(name).expect("it has subscribed");
        listeners.since.remove(&connection);
        if listeners.since.is_empty() {
            named.remove(name);
        }
        self.hub.unsubscribe(self.number, topic, name);
    }
}
