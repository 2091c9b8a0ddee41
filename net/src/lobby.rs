//! A listening address: accepts connections, and keeps them until they have said which channel they are for, and it is open.
//!
//! A server opens channels in rising order, each a moment earlier or later than the others. Who dials a channel above all that are
//! open at this address is only early: the connection waits for the channel, as long as it might have waited with its greeting.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::{Event as Readiness, Source};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use niagara_tls::{Mutual, Stream};

use crate::admission::{Admission, check_cluster, check_version};
use crate::config::LinkConfig;
use crate::connection::{Connection, Phase, Received};
use crate::counters::Counters;
use crate::event::{DownReason, Event};
use crate::hello::{Greeting, GreetingError, Hello, MAX_GREETING_BYTES, VERSION};
use crate::listener::Listener;
use crate::probe;
use crate::proof::{self, Plain};
use crate::refusal::Refusal;
use crate::slot::{FIRST_CONNECTION, LISTENER, Slot};
use crate::switchboard::{Arrival, Listening, Misdirected, Switchboard};
use crate::waker::Waker;

/// Connections accepted per turn, so that a flood of them leaves time for messages.
const ACCEPTS_PER_TURN: usize = 64;

/// A listener, and the strangers that it has let in.
pub(crate) struct Lobby {
    pub(crate) slot: Slot,
    pub(crate) local: SocketAddr,
    pub(crate) counters: Counters,
    /// What this server says on the channel that the lobby was opened for. That channel reports what happens here.
    hello: Hello,
    admission: Arc<dyn Admission>,
    hello_timeout: Duration,
    max_pending_connections: usize,
    tls: Option<Arc<Mutual>>,
    plain: Plain,
    listener: Listener,
    registry: Registry,
    board: Arc<Switchboard>,
    _listening: Listening,
    /// By token. Tokens are never reused, so an event for a closed connection finds nothing.
    strangers: BTreeMap<usize, Connection>,
    /// Those who have come for a channel that this server is about to open, and what they have said.
    early: BTreeMap<usize, Hello>,
    next_token: usize,
    /// Tokens of connections whose socket may hold bytes.
    readable: VecDeque<usize>,
    events: Vec<Event>,
}

impl Lobby {
    pub(crate) fn new(
        slot: Slot,
        mut listener: TcpListener,
        config: &LinkConfig,
        admission: Arc<dyn Admission>,
        registry: Registry,
        board: &Arc<Switchboard>,
        waker: Waker,
    ) -> io::Result<Lobby> {
        let local = listener.local_addr()?;
        registry.register(&mut listener, slot.token(LISTENER), Interest::READABLE)?;
        Ok(Lobby {
            slot,
            local,
            counters: Counters::default(),
            hello: config.hello.clone(),
            admission,
            hello_timeout: config.hello_timeout,
            max_pending_connections: config.max_pending_connections,
            tls: config.tls.clone(),
            plain: config.plain,
            listener: Listener::new(listener),
            registry,
            board: Arc::clone(board),
            _listening: board.enter(local, waker),
            strangers: BTreeMap::new(),
            early: BTreeMap::new(),
            next_token: slot.token(FIRST_CONNECTION).0,
            readable: VecDeque::new(),
            events: Vec::new(),
        })
    }

    /// The channel that it was opened for.
    pub(crate) fn channel(&self) -> u32 {
        self.hello.channel
    }

    /// Whether there is work that no socket will announce.
    pub(crate) fn is_busy(&self) -> bool {
        self.listener.is_busy() || !self.readable.is_empty()
    }

    /// When there will be work even if no socket becomes ready.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let strangers = self.strangers.values().map(|connection| connection.deadline);
        strangers.chain(self.listener.next_deadline()).min()
    }

    pub(crate) fn on_ready(&mut self, event: &Readiness) {
        if event.token() == self.slot.token(LISTENER) {
            return self.listener.now_ready();
        }
        let Some(connection) = self.strangers.get_mut(&event.token().0) else { return };
        if connection.on_ready(event) {
            self.readable.push_back(event.token().0);
        }
    }

    /// Accepts, and moves those who have said hello to their channels.
    pub(crate) fn work(&mut self, now: Instant, events: &mut Vec<(u32, Event)>) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(stream) = self.listener.accept(now) else { break };
            self.accept(stream, now);
        }
        for _ in 0..self.readable.len() {
            let Some(token) = self.readable.pop_front() else { break };
            self.read(token);
        }
        while let Some(token) = self.next_awaited() {
            let hello = self.early.remove(&token).expect("it was just seen");
            self.direct(token, hello);
        }
        // Only now, since the bytes just read may complete a greeting in time.
        self.expire(now);
        let channel = self.channel();
        events.extend(self.events.drain(..).map(|event| (channel, event)));
        self.counters.accept_errors = self.listener.errors;
    }

    /// Whether somebody waits for a channel that has been opened since.
    pub(crate) fn has_news(&self) -> bool {
        self.next_awaited().is_some()
    }

    fn next_awaited(&self) -> Option<usize> {
        let mut early = self.early.iter();
        early.find(|(_, hello)| self.board.is_open(hello.channel)).map(|(token, _)| *token)
    }

    /// Adds an accepted connection, unless too many others are here.
    fn accept(&mut self, mut stream: TcpStream, now: Instant) {
        if self.strangers.len() >= self.max_pending_connections {
            self.counters.strangers_turned_away += 1;
            return;
        }
        let token = self.next_token;
        // The rest is set when it has proved to be a server.
        let tuned = stream.set_nodelay(true);
        let ready = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = tuned.and_then(|()| stream.register(&self.registry, Token(token), ready)) {
            return tracing::debug!(%error, "an accepted connection could not be used");
        }
        self.next_token += 1;
        let deadline = now + self.hello_timeout;
        let stranger = match (&self.tls, self.plain) {
            (Some(_), Plain::Accepted | Plain::Dialled) => {
                Connection::new(Stream::Plain(stream), Phase::Stranger, deadline).undecided()
            }
            (tls, _) => Connection::new(proof::accept(stream, tls.as_ref()), Phase::Stranger, deadline),
        };
        self.strangers.insert(token, stranger);
    }

    /// Reads until a stranger has said hello. A greeting is all that is read here.
    fn read(&mut self, token: usize) {
        if !self.decide(token) {
            return;
        }
        let Some(connection) = self.strangers.get_mut(&token) else { return };
        let mut budget = MAX_GREETING_BYTES;
        let received = connection.receive(&mut budget, &mut self.events, &mut self.counters);
        match received {
            Ok(Received::Greeting(body)) => self.on_greeting(token, &body),
            Ok(Received::Dry) => connection.listed = false,
            Ok(Received::Spent) => self.readable.push_back(token),
            Err(reason) => {
                self.counters.bad_frames += u64::from(matches!(reason, DownReason::BadFrame(_)));
                self.dismiss(token, &reason);
            }
        }
    }

    /// Finds out whether a stranger speaks TLS, if he may or may not. `false`: that is not known yet.
    fn decide(&mut self, token: usize) -> bool {
        let Some(tls) = self.tls.as_ref().filter(|_| self.plain != Plain::Refused) else { return true };
        let Some(connection) = self.strangers.remove(&token) else { return true };
        let (connection, is_decided) = connection.decide(tls);
        self.strangers.insert(token, connection);
        is_decided
    }

    fn on_greeting(&mut self, token: usize, body: &[u8]) {
        match Greeting::decode(body) {
            Ok(Greeting::Hello(hello)) if !self.early.contains_key(&token) => self.on_hello(token, hello),
            Err(GreetingError::Version(refused)) => {
                self.refuse(token, None, Refusal::WrongVersion { refuser: VERSION, refused });
            }
            not_due => {
                self.counters.bad_frames += 1;
                self.dismiss(token, &not_due.err().unwrap_or(GreetingError::Malformed));
            }
        }
    }

    /// Directs a server that has proved that it is the one that it says.
    fn on_hello(&mut self, token: usize, hello: Hello) {
        let Some(connection) = self.strangers.get(&token) else { return };
        let is_early = || {
            let is_ahead = self.board.is_ahead(hello.channel, self.local);
            // Where only probes are answered, the server does not run yet.
            (is_ahead || probe::is_probe(self.channel())) && hello.cluster == self.hello.cluster
        };
        match proof::check(&connection.stream, &hello) {
            Ok(()) if probe::is_probe(hello.channel) => self.answer_probe(token, &hello),
            Ok(()) if is_early() => drop(self.early.insert(token, hello)),
            Ok(()) => self.direct(token, hello),
            Err(refusal) => self.refuse(token, Some(hello.server), refusal),
        }
    }

    /// Says who is here, and closes: a probe wants to know no more.
    fn answer_probe(&mut self, token: usize, prober: &Hello) {
        let Some(connection) = self.strangers.get_mut(&token) else { return };
        let answered = check_version(&self.hello, prober).and_then(|()| probe::answer(&self.hello, prober));
        match answered {
            Ok(own) => {
                let own = if prober.levels.is_some() { own } else { own.without_levels() };
                connection.greet(&Greeting::Hello(own)).ok();
                self.dismiss(token, &"a probe was answered");
            }
            Err(refusal) => self.refuse(token, Some(prober.server), refusal),
        }
    }

    /// Moves a connection to the channel that it is for.
    fn direct(&mut self, token: usize, hello: Hello) {
        let Some(mut connection) = self.strangers.remove(&token) else { return };
        if let Err(error) = connection.stream.socket_mut().deregister(&self.registry) {
            return tracing::debug!(%error, "an accepted connection could not be used");
        }
        let directed = self.board.direct(self.local, Box::new(Arrival { connection, hello }));
        let Err((arrival, why)) = directed else { return };
        let Arrival { connection, hello } = *arrival;
        let refusal = match why {
            Misdirected::Crowded => {
                self.counters.strangers_turned_away += 1;
                return;
            }
            Misdirected::NotOpen | Misdirected::OtherAddress => self.not_here(&hello),
        };
        self.strangers.insert(token, connection);
        self.refuse(token, Some(hello.server), refusal);
    }

    /// Why a server has no business here. Another cluster, say, explains it better than the channel.
    fn not_here(&self, hello: &Hello) -> Refusal {
        let is_ours = hello.cluster == self.hello.cluster;
        if let Some(refusal) = self.admission.recognise(hello).err().filter(|_| is_ours) {
            return refusal;
        }
        if probe::is_probe(self.channel()) && is_ours {
            return Refusal::NotOpen { channel: hello.channel };
        }
        check_cluster(&self.hello, hello).err().unwrap_or(Refusal::NotOpen { channel: hello.channel })
    }

    /// Refuses, with the reason. The few bytes reach the kernel before the socket is closed. If the other end
    /// has gone meanwhile, there is nobody to notify.
    fn refuse(&mut self, token: usize, peer: Option<u64>, refusal: Refusal) {
        self.counters.refusals_sent += 1;
        if let Some(connection) = self.strangers.get_mut(&token) {
            connection.greet(&Greeting::Refusal(refusal.clone())).ok();
        }
        self.dismiss(token, &refusal);
        self.events.push(Event::Refused { peer, refusal, by_us: true });
    }

    /// Closes connections that have not said hello in time, and those whose channel has not been opened in time.
    fn expire(&mut self, now: Instant) {
        let late = self.strangers.iter().filter(|(_, connection)| connection.deadline <= now);
        let late: Vec<usize> = late.map(|(token, _)| *token).collect();
        for token in late {
            if let Some(hello) = self.early.remove(&token) {
                self.refuse(token, Some(hello.server), self.not_here(&hello));
                continue;
            }
            self.counters.greeting_timeouts += 1;
            self.dismiss(token, &"no answer in time");
        }
    }

    fn dismiss(&mut self, token: usize, why: &dyn Display) {
        self.early.remove(&token);
        let Some(connection) = self.strangers.remove(&token) else { return };
        // The address is asked for only if somebody wants to know.
        tracing::debug!(
            address = ?connection.stream.socket().peer_addr().ok(),
            %why,
            "an accepted connection was closed"
        );
    }
}
