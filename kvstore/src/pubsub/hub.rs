//! Who on this server subscribes to what: how many connections of which front-end thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use niagara_engine::Wake;
use parking_lot::Mutex;

use super::{Desk, Message, Topic};
use crate::glob::Glob;

/// Where the thread that executes commands meets the front-end threads of its server.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Subscriptions of all connections. While there are none, a message costs a look at this.
    subscriptions: AtomicUsize,
    interests: Mutex<Interests>,
}

/// All subscriptions, by their names.
#[derive(Debug, Default)]
struct Interests {
    /// By topic.
    named: [BTreeMap<Bytes, Interest>; 3],
    /// By number of the thread. One that has ended has no subscriptions.
    desks: Vec<Arc<Desk>>,
    /// Number of the last message.
    last: u64,
}

/// Who subscribes to one name.
#[derive(Default)]
struct Interest {
    /// Only of a pattern.
    glob: Option<Arc<Glob>>,
    /// Connections by number of the thread.
    connections: BTreeMap<usize, usize>,
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connections.fmt(f)
    }
}

/// Messages of a batch, by number of the thread that gets them.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    desks: Vec<Vec<Message>>,
    messages: usize,
}

impl Hub {
    /// A front-end thread takes part. Returns its number.
    pub(super) fn open(&self, wake: Arc<dyn Wake>) -> (usize, Arc<Desk>) {
        let mut interests = self.interests.lock();
        let desk = Arc::new(Desk::new(wake));
        interests.desks.push(Arc::clone(&desk));
        (interests.desks.len() - 1, desk)
    }

    /// A connection of a thread subscribes. Returns the number of the last message before that.
    pub(super) fn subscribe(&self, desk: usize, topic: Topic, name: &Bytes, glob: Option<&Arc<Glob>>) -> u64 {
        let mut interests = self.interests.lock();
        let interest = interests.named[topic as usize].entry(name.clone()).or_default();
        interest.glob = glob.cloned();
        *interest.connections.entry(desk).or_default() += 1;
        self.subscriptions.fetch_add(1, SeqCst);
        interests.last
    }

    /// A connection that had subscribed does so no more.
    pub(super) fn unsubscribe(&self, desk: usize, topic: Topic, name: &[u8]) {
        let mut interests = self.interests.lock();
        let named = &mut interests.named[topic as usize];
        let interest = named.get_mut(name).expect("it has subscribed");
        let connections = interest.connections.get_mut(&desk).expect("it has subscribed");
        *connections -= 1;
        if *connections == 0 {
            interest.connections.remove(&desk);
        }
        if interest.connections.is_empty() {
            named.remove(name);
        }
        self.subscriptions.fetch_sub(1, SeqCst);
    }

    /// Stages a message for all who hear it on this server, and returns how many these are: a connection counts for its
    /// channel and for each of its patterns. `keep` makes bytes that may outlive the command.
    pub(crate) fn publish(
        &self,
        staged: &mut Staged,
        topic: Topic,
        (channel, payload): (&[u8], &[u8]),
        keep: impl Fn(&[u8]) -> Bytes,
    ) -> usize {
        if self.subscriptions.load(SeqCst) == 0 {
            return 0;
        }
        let mut interests = self.interests.lock();
        let Interests { named, desks, last } = &mut *interests;
        let direct = named[topic as usize].get(channel).into_iter();
        let patterns = (topic == Topic::Channel).then(|| named[Topic::Pattern as usize].values());
        let is_match =
            |interest: &&Interest| interest.glob.as_ref().is_some_and(|glob| glob.matches(channel));
        let (mut receivers, mut addressed) = (0, Vec::<usize>::new());
        for interest in direct.chain(patterns.into_iter().flatten().filter(is_match)) {
            receivers += interest.connections.values().sum::<usize>();
            addressed.extend(interest.connections.keys());
        }
        if receivers == 0 {
            return 0;
        }
        addressed.sort_unstable();
        addressed.dedup();
        *last += 1;
        let message = Message { number: *last, topic, channel: keep(channel), payload: keep(payload) };
        staged.desks.resize_with(desks.len(), Vec::new);
        staged.messages += 1;
        for desk in addressed {
            staged.desks[desk].push(message.clone());
        }
        receivers
    }

    /// Hands over what is staged.
    pub(crate) fn deliver(&self, staged: &mut Staged) {
        if std::mem::take(&mut staged.messages) == 0 {
            return;
        }
        let interests = self.interests.lock();
        for (messages, desk) in staged.desks.iter_mut().zip(&interests.desks) {
            if !messages.is_empty() {
                desk.put(messages);
            }
        }
    }

    /// Commands were not executed here, so that messages may be missing.
    pub(crate) fn lose(&self) {
        self.interests.lock().desks.iter().for_each(|desk| desk.lose());
    }

    /// Number of subscriptions of all connections.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.load(SeqCst)
    }

    /// The channels of a kind that somebody here subscribes to, if they match.
    pub(crate) fn channels(&self, topic: Topic, pattern: Option<&Glob>) -> Vec<Bytes> {
        let interests = self.interests.lock();
        let names = interests.named[topic as usize].keys();
        names.filter(|name| pattern.is_none_or(|glob| glob.matches(name))).cloned().collect()
    }

    /// How many connections here subscribe to a name.
    pub(crate) fn subscribers(&self, topic: Topic, name: &[u8]) -> usize {
        let interests = self.interests.lock();
        let interest = interests.named[topic as usize].get(name);
        interest.map_or(0, |interest| interest.connections.values().sum())
    }

    /// How many patterns somebody here subscribes to.
    pub(crate) fn patterns(&self) -> usize {
        self.interests.lock().named[Topic::Pattern as usize].len()
    }
}
