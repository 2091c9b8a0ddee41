//! All connections of one channel, and which of them leads to which peer.
//!
//! Two other files take a connection from its first packet to its welcome: `dialling` and `greeting`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::admission::Admission;
use crate::config::{Dialling, LinkConfig};
use crate::connection::{Connection, Phase, Received};
use crate::counters::Counters;
use crate::event::{DownReason, Event};
use crate::frame::Frame;
use crate::peer::PeerState;
use crate::proof::{self, Plain};
use crate::resolve::Resolver;
use crate::socket;
use crate::switchboard::{Arrival, Arrivals};
use crate::transport::Sent;

mod dialling;
mod greeting;

/// Bytes that one connection may read per turn. A peer that sends without pause must not keep the others, and
/// the owner of the transport, waiting.
const READ_BYTES_PER_TURN: usize = 1 << 20;

/// The connections, the peers, and their events.
pub(crate) struct Links {
    config: LinkConfig,
    admission: Arc<dyn Admission>,
    registry: Registry,
    resolver: Resolver,
    arrivals: Arrivals,
    peers: Vec<PeerState>,
    /// By token. Tokens are never reused, so an event for a closed connection finds nothing.
    connections: BTreeMap<usize, Connection>,
    next_token: usize,
    /// Number of accepted connections that are not up.
    strangers: usize,
    /// Tokens of connections whose socket may hold bytes.
    readable: VecDeque<usize>,
    pub(crate) events: Vec<Event>,
    pub(crate) counters: Counters,
}

impl Links {
    /// Starts without connections. New ones get `first_token` and the tokens above it.
    pub(crate) fn new(
        config: LinkConfig,
        admission: Arc<dyn Admission>,
        registry: Registry,
        resolver: Resolver,
        arrivals: Arrivals,
        first_token: usize,
    ) -> Links {
        let now = Instant::now();
        Links {
            peers: config.peers.iter().map(|peer| PeerState::new(peer, &config, now)).collect(),
            config,
            admission,
            registry,
            resolver,
            arrivals,
            connections: BTreeMap::new(),
            next_token: first_token,
            strangers: 0,
            readable: VecDeque::new(),
            events: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Whether others may dial this server here.
    pub(crate) fn listens(&self) -> bool {
        self.config.dialling != Dialling::Guest
    }

    pub(crate) fn send(&mut self, to: u64, frame: Frame) -> Sent {
        let token = self.peers.iter().find(|peer| peer.server == to).and_then(PeerState::link);
        let Some(connection) = token.and_then(|token| self.connections.get_mut(&token)) else {
            self.counters.dropped_not_connected += 1;
            return Sent::Dropped;
        };
        if frame.len() > self.config.max_frame_bytes {
            self.counters.dropped_too_long += 1;
            tracing::warn!(
                to,
                bytes = frame.len(),
                "a message is longer than max_frame_bytes and was dropped"
            );
            return Sent::Dropped;
        }
        if !connection.send(frame) {
            self.counters.dropped_queue_full += 1;
            return Sent::Dropped;
        }
        Sent::Queued
    }

    /// Writes what is queued for all peers.
    pub(crate) fn flush(&mut self) {
        for peer in 0..self.peers.len() {
            if let Some(token) = self.peers[peer].link() {
                self.flush_one(token);
            }
        }
    }

    /// Ends the connection to a server. The next turn reports it.
    pub(crate) fn disconnect(&mut self, server: u64) {
        let token = self.peers.iter().find(|peer| peer.server == server).and_then(PeerState::link);
        if let Some(token) = token {
            self.close(token, DownReason::Misbehaved, Instant::now());
        }
    }

    fn flush_one(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if let Err(error) = connection.flush(&mut self.counters) {
            self.close(token, error.into(), Instant::now());
        }
    }

    pub(crate) fn queued_bytes(&self, server: u64) -> Option<usize> {
        let token = self.peers.iter().find(|peer| peer.server == server)?.link()?;
        self.connections.get(&token).map(Connection::queued_bytes)
    }

    /// How many attempts to connect to a peer have failed since it was last up, and why the latest did.
    pub(crate) fn failure(&self, server: u64) -> Option<(usize, String)> {
        self.peers.iter().find(|peer| peer.server == server)?.failure()
    }

    /// Whether there is work that no socket will announce.
    pub(crate) fn is_busy(&self) -> bool {
        !self.readable.is_empty() || !self.events.is_empty()
    }

    /// When there will be work even if no socket becomes ready.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let dials = self.peers.iter().filter_map(PeerState::due);
        dials.chain(self.greeting_connections().map(|(_, connection)| connection.deadline)).min()
    }

    /// The connections that are not up.
    fn greeting_connections(&self) -> impl Iterator<Item = (usize, &Connection)> {
        let all = self.connections.iter().map(|(token, connection)| (*token, connection));
        all.filter(|(_, connection)| !matches!(connection.phase, Phase::Up { .. }))
    }

    /// Takes over the connections that have arrived. Returns whether there were any.
    pub(crate) fn welcome_arrivals(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(arrival) = self.arrivals.next() {
            self.welcome(*arrival, now);
            any = true;
        }
        any
    }

    /// Takes over a connection that has said hello, unless too many others are not up yet.
    fn welcome(&mut self, Arrival { mut connection, hello }: Arrival, now: Instant) {
        if self.strangers >= self.config.max_pending_connections {
            self.counters.strangers_turned_away += 1;
            return;
        }
        let token = self.next_token;
        let ready = Interest::READABLE | Interest::WRITABLE;
        let tuned = socket::tune(&SockRef::from(connection.stream.socket()));
        let register = |()| connection.stream.socket_mut().register(&self.registry, Token(token), ready);
        if let Err(error) = tuned.and_then(register) {
            return tracing::debug!(%error, "an accepted connection could not be used");
        }
        self.next_token += 1;
        self.strangers += 1;
        // It may have brought more than its hello.
        connection.listed = true;
        self.readable.push_back(token);
        self.connections.insert(token, connection);
        self.on_dialler(token, &hello, now);
    }

    fn insert(&mut self, mut stream: mio::net::TcpStream, peer: usize, now: Instant) -> io::Result<()> {
        let token = self.next_token;
        stream.register(&self.registry, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        self.next_token += 1;
        let LinkConfig { tls, plain, hello, .. } = &self.config;
        let tls = tls.as_ref().filter(|_| *plain != Plain::Dialled);
        let stream = proof::dial(stream, tls, (hello.cluster, self.peers[peer].server))?;
        let deadline = now + self.peers[peer].patience(&self.config);
        self.connections.insert(token, Connection::new(stream, Phase::Connecting { peer }, deadline));
        Ok(())
    }

    /// Handles a socket's readiness event. Reading is left to [`read`](Links::read), so that all sockets get
    /// their turn.
    pub(crate) fn on_ready(&mut self, event: &mio::event::Event, now: Instant) {
        let token = event.token().0;
        if let Some(Phase::Connecting { peer }) = self.phase(token) {
            self.on_connect(token, peer, now);
        }
        // The same event may report that the other end has closed again, so continue after it has connected.
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if connection.on_ready(event) {
            self.readable.push_back(token);
        }
        if event.is_writable() {
            self.flush_one(token);
        }
    }

    fn phase(&self, token: usize) -> Option<Phase> {
        self.connections.get(&token).map(|connection| connection.phase)
    }

    /// Reads from each socket that may hold bytes. Those that exceed their budget stay listed.
    pub(crate) fn read(&mut self, now: Instant) {
        for _ in 0..self.readable.len() {
            let Some(token) = self.readable.pop_front() else { break };
            self.read_one(token, now);
        }
    }

    fn read_one(&mut self, token: usize, now: Instant) {
        let mut budget = READ_BYTES_PER_TURN;
        while let Some(connection) = self.connections.get_mut(&token) {
            match connection.receive(&mut budget, &mut self.events, &mut self.counters) {
                Ok(Received::Greeting(body)) => self.on_greeting(token, &body, now),
                Ok(Received::Dry) => {
                    connection.listed = false;
                    return;
                }
                Ok(Received::Spent) => return self.readable.push_back(token),
                Err(reason) => return self.close(token, reason, now),
            }
        }
    }

    /// Closes connections that have not come up in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        let late = self.greeting_connections().filter(|(_, connection)| connection.deadline <= now);
        let late: Vec<usize> = late.map(|(token, _)| token).collect();
        for token in late {
            self.counters.greeting_timeouts += 1;
            self.abandon(token, &"no answer in time", now);
        }
    }

    /// Removes a connection that has ended on its own.
    fn close(&mut self, token: usize, reason: DownReason, now: Instant) {
        if matches!(reason, DownReason::BadFrame(_)) {
            self.counters.bad_frames += 1;
        }
        let Some(Phase::Up { peer, .. }) = self.phase(token) else {
            return self.abandon(token, &reason, now);
        };
        let peer = &mut self.peers[peer];
        assert_eq!(peer.link(), Some(token), "a connection that is up is its peer's only one");
        peer.went_down(&reason, now);
        self.events.push(Event::Down { peer: peer.server, reason });
        if let Some(connection) = self.connections.remove(&token) {
            self.counters.dropped_not_connected += connection.unsent() as u64;
        }
    }

    /// Drops a connection that never came up.
    fn abandon(&mut self, token: usize, why: &dyn Display, now: Instant) {
        let Some(connection) = self.connections.remove(&token) else { return };
        match connection.phase {
            Phase::Connecting { peer } | Phase::AwaitHello { peer } => self.dial_failed(peer, why, now),
            Phase::Stranger | Phase::AwaitWelcome { .. } => {
                self.strangers -= 1;
                let address = connection.stream.socket().peer_addr().ok();
                tracing::debug!(?address, %why, "an accepted connection was closed");
            }
            Phase::Up { .. } => unreachable!("a connection that is up is closed, not abandoned"),
        }
    }
}
