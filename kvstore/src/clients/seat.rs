//! What all threads know of one client, and its line of CLIENT LIST.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::asked::Asked;
use super::kind::Kind;
use super::{Arrival, PUBLISHED};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Seat {
    arrival: Arrival,
    since: Instant,
    is_ended: AtomicBool,
    /// It is to be spared when memory is short.
    is_spared: AtomicBool,
    shown: Mutex<Shown>,
    /// Bytes of requests and replies that wait.
    requests: AtomicUsize,
    replies: AtomicUsize,
}

/// What a client's connection tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) name: Bytes,
    pub(crate) user: Bytes,
    pub(crate) library: Bytes,
    pub(crate) library_version: Bytes,
    pub(crate) database: u8,
    /// To channels, patterns and channels of shards.
    pub(crate) subscriptions: [usize; 3],
    /// The commands of its transaction; -1 if it has begun none.
    pub(crate) queued: isize,
    /// What these take, in bytes.
    pub(crate) queued_bytes: usize,
    /// Its reads may be weak.
    pub(crate) is_weak: bool,
    /// It waits until a pause ends.
    pub(crate) is_held_up: bool,
    /// It will be closed when its replies are sent.
    pub(crate) is_over: bool,
    /// It has said that its reads are not to count as uses of a key.
    pub(crate) touches_nothing: bool,
    /// How it keeps what it has read, if it does.
    pub(crate) tracking: Option<Tracking>,
    /// The version of the protocol.
    pub(crate) version: u8,
    /// What it has asked for last.
    pub(crate) asked: Asked,
    /// When it has last asked for anything.
    pub(crate) active: Instant,
}

/// How a client is told when what it has read changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tracking {
    /// The id of the client that is told instead; 0: none.
    pub(crate) redirect: u64,
    /// That one has gone.
    pub(crate) is_broken: bool,
    /// It hears of keys that it has not read, too.
    pub(crate) is_broadcast: bool,
}

impl Seat {
    pub(super) fn new(arrival: Arrival, now: Instant) -> Seat {
        let shown = Shown {
            name: Bytes::new(),
            user: Bytes::from_static(b"default"),
            library: Bytes::new(),
            library_version: Bytes::new(),
            database: 0,
            subscriptions: [0; 3],
            queued: -1,
            queued_bytes: 0,
            is_weak: false,
            is_held_up: false,
            is_over: false,
            touches_nothing: false,
            tracking: None,
            version: 2,
            asked: Asked::default(),
            active: now,
        };
        Seat {
            arrival,
            since: now,
            is_ended: false.into(),
            is_spared: false.into(),
            shown: shown.into(),
            requests: 0.into(),
            replies: 0.into(),
        }
    }

    pub(crate) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Changes what is told of the client.
    pub(crate) fn show(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock());
    }

    /// When the client has come.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Notes how many bytes the request takes that is being answered.
    pub(crate) fn requests(&self, bytes: usize) {
        self.requests.store(bytes, Ordering::Relaxed);
    }

    /// Notes how many bytes wait.
    pub(crate) fn holds(&self, requests: usize, replies: usize) {
        self.requests.store(requests, Ordering::Relaxed);
        self.replies.store(replies, Ordering::Relaxed);
    }

    /// Whether somebody has disconnected the client: it may begin nothing any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(PUBLISHED)
    }

    /// Disconnects it; `false` if that was done before.
    pub(super) fn end(&self) -> bool {
        !self.is_ended.swap(true, PUBLISHED)
    }

    /// Whether others are disconnected before it when memory is short.
    pub(crate) fn is_spared(&self) -> bool {
        self.is_spared.load(Ordering::Relaxed)
    }

    pub(crate) fn spare(&self, is_spared: bool) {
        self.is_spared.store(is_spared, Ordering::Relaxed);
    }

    pub(super) fn peer(&self) -> String {
        text(self.arrival.peer)
    }

    /// The client's name, or the beginning of it.
    pub(super) fn name(&self, most: usize) -> Vec<u8> {
        let shown = self.shown.lock();
        shown.name[..shown.name.len().min(most)].to_vec()
    }

    pub(super) fn local(&self) -> String {
        text(self.arrival.local)
    }

    pub(super) fn kind(&self) -> Kind {
        if self.is_subscriber() { Kind::Subscriber } else { Kind::Normal }
    }

    pub(super) fn is_subscriber(&self) -> bool {
        self.shown.lock().subscriptions.iter().any(|count| *count > 0)
    }

    /// Whether it will be closed when its replies are sent.
    pub(super) fn is_over(&self) -> bool {
        self.shown.lock().is_over
    }

    pub(super) fn is_held_up(&self) -> bool {
        self.shown.lock().is_held_up
    }

    pub(super) fn is_of_user(&self, user: &[u8]) -> bool {
        self.shown.lock().user == user
    }

    /// A line as in CLIENT LIST, without its end. What has no counterpart here is as in a Redis that does not use it.
    pub(crate) fn line(&self, now: Instant) -> String {
        let shown = self.shown.lock();
        let text = String::from_utf8_lossy;
        let [channels, patterns, shards] = shown.subscriptions;
        let requests = self.requests.load(Ordering::Relaxed);
        let replies = self.replies.load(Ordering::Relaxed);
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let redirect = shown.tracking.map_or(-1, |tracking| i128::from(tracking.redirect));
        let mut line = format!("id={} addr={} laddr={}", self.arrival.id, self.peer(), self.local());
        let parts = [
            format!(" fd={} name={}", self.arrival.file, text(&shown.name)),
            format!(" age={} idle={}", seconds(self.since), seconds(shown.active)),
            format!(" flags={} db={}", self.flags(&shown), shown.database),
            format!(" sub={channels} psub={patterns} ssub={shards} multi={}", shown.queued),
            format!(" qbuf={requests} qbuf-free=0 argv-mem=0 multi-mem={}", shown.queued_bytes),
            format!(" rbs=0 rbp=0 obl=0 oll={} omem={replies}", u8::from(replies > 0)),
            format!(" tot-mem={}", requests + replies + shown.queued_bytes),
            format!(" events={}", if replies > 0 { "rw" } else { "r" }),
            format!(" cmd={} user={}", shown.asked.command().unwrap_or("NULL"), text(&shown.user)),
            format!(" redir={redirect} resp={}", shown.version),
            format!(" lib-name={} lib-ver={}", text(&shown.library), text(&shown.library_version)),
        ];
        parts.iter().for_each(|part| line.push_str(part));
        line
    }

    /// The letters that Redis has for what a client is and does.
    fn flags(&self, shown: &Shown) -> String {
        let mut flags = String::new();
        let is_subscriber = shown.subscriptions.iter().any(|count| *count > 0);
        for (letter, is_set) in [
            ('P', is_subscriber),
            ('x', shown.queued >= 0),
            ('b', shown.is_held_up),
            ('t', shown.tracking.is_some()),
            ('R', shown.tracking.is_some_and(|tracking| tracking.is_broken)),
            ('B', shown.tracking.is_some_and(|tracking| tracking.is_broadcast)),
            ('c', shown.is_over),
            ('r', shown.is_weak),
            ('e', self.is_spared()),
            ('T', shown.touches_nothing),
        ] {
            if is_set {
                flags.push(letter);
            }
        }
        if flags.is_empty() {
            flags.push('N');
        }
        flags
    }
}

fn text(address: Option<SocketAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}
