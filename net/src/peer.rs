//! State of one other server: whether it is connected, and when it is dialled next.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::config::{Dialling, LinkConfig, Peer};

/// One other server. A connection is identified by its token.
#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) server: u64,
    pub(crate) address: String,
    pub(crate) dial: Dial,
    link: Option<Link>,
    backoff: Backoff,
    /// A connection that lived this long was a good one: the next dial waits the shortest delay.
    steady: Duration,
    /// Attempts that failed since the peer was last up. If its name has several addresses, they take turns.
    failures: usize,
    /// Why the latest of them failed.
    why: String,
    was_up: bool,
    /// Whether the next hello is to be without levels: the peer has just refused one with them.
    pub(crate) knows_no_levels: bool,
}

/// One in so many attempts to connect is long.
const LONG_ATTEMPT: usize = 4;
/// The others are this many times shorter.
const SHORT_ATTEMPT: u32 = 6;

/// Which end dials, and the state of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dial {
    /// The peer dials.
    Theirs,
    /// We dial, at this time.
    At(Instant),
    /// We have dialled: its name is being resolved, the greeting is under way, or it is connected.
    Underway,
}

#[derive(Debug)]
struct Link {
    token: usize,
    since: Instant,
}

impl PeerState {
    pub(crate) fn new(peer: &Peer, config: &LinkConfig, now: Instant) -> PeerState {
        let seed = config.seed ^ peer.server;
        // In one direction only, so that two servers never connect to each other twice.
        let dials = match config.dialling {
            Dialling::HigherId => config.hello.server > peer.server,
            Dialling::Guest => true,
            Dialling::Host { .. } => false,
        };
        PeerState {
            server: peer.server,
            address: peer.address.clone(),
            dial: if dials { Dial::At(now) } else { Dial::Theirs },
            link: None,
            backoff: Backoff::new(config.reconnect_min, config.reconnect_max, seed),
            steady: config.reconnect_max,
            failures: 0,
            why: String::new(),
            was_up: false,
            knows_no_levels: false,
        }
    }

    /// Token of the connection that carries messages.
    pub(crate) fn link(&self) -> Option<usize> {
        self.link.as_ref().map(|link| link.token)
    }

    /// When to dial next; `None` if a dial is under way, or the peer dials.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.dial {
            Dial::At(time) => Some(time),
            _ => None,
        }
    }

    /// The address for the next attempt: the name's addresses that the bound one can reach take turns.
    pub(crate) fn choose(&self, addresses: &[SocketAddr], config: &LinkConfig) -> Option<SocketAddr> {
        let reachable = |address: &&SocketAddr| {
            config.bind_address.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
        };
        let reachable: Vec<_> = addresses.iter().filter(reachable).collect();
        reachable.get(self.failures % reachable.len().max(1)).map(|address| **address)
    }

    /// How long an attempt to connect may take. The system resends a lost packet only after one second,
    /// three, and seven: on a link that comes and goes, the link may be gone each time. So most attempts are
    /// short, and start at times of their own. Each fourth one is long, for slow links.
    pub(crate) fn patience(&self, config: &LinkConfig) -> Duration {
        let is_long = self.failures % LONG_ATTEMPT == LONG_ATTEMPT - 1;
        if is_long { config.hello_timeout } else { config.hello_timeout / SHORT_ATTEMPT }
    }

    /// An attempt to connect has failed. The first one is worth logging, the many that follow it are not.
    pub(crate) fn dial_failed(&mut self, why: &dyn Display, now: Instant) {
        assert_ne!(self.dial, Dial::Theirs, "who does not dial cannot fail to");
        let delay = self.backoff.delay();
        if self.failures == 0 {
            tracing::info!(peer = self.server, address = self.address, %why, "cannot connect; trying again");
        } else {
            tracing::debug!(peer = self.server, address = self.address, %why, ?delay, "cannot connect");
        }
        self.failures += 1;
        self.why = why.to_string();
        self.knows_no_levels = false;
        self.dial = Dial::At(now + delay);
    }

    /// How many attempts have failed since the peer was last up, and why the latest did.
    pub(crate) fn failure(&self) -> Option<(usize, String)> {
        (self.failures > 0).then(|| (self.failures, self.why.clone()))
    }

    /// Sends messages through this connection from now on. Returns whether the peer has been up before.
    pub(crate) fn came_up(&mut self, token: usize, now: Instant) -> bool {
        assert!(self.link.is_none(), "an old connection is closed before a new one takes its place");
        tracing::info!(peer = self.server, attempts = self.failures + 1, "connected");
        self.link = Some(Link { token, since: now });
        self.failures = 0;
        self.knows_no_levels = false;
        if self.dial != Dial::Theirs {
            self.dial = Dial::Underway;
        }
        std::mem::replace(&mut self.was_up, true)
    }

    pub(crate) fn went_down(&mut self, why: &dyn Display, now: Instant) {
        tracing::info!(peer = self.server, %why, "connection lost");
        let since = self.link.take().map(|link| link.since);
        // A connection that breaks as soon as it is up must not be redialled at the highest rate for ever.
        if since.is_some_and(|since| now.saturating_duration_since(since) >= self.steady) {
            self.backoff.reset();
        }
        if self.dial != Dial::Theirs {
            self.dial = Dial::At(now + self.backoff.delay());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::hello::Hello;

    fn config(server: u64) -> LinkConfig {
        let hello = Hello { cluster: 1, server, channel: 0, channels: 1, store: 1, ..Hello::default() };
        LinkConfig::new(hello, SocketAddr::from(([127, 0, 0, 1], 0)), Vec::new())
    }

    fn peer(config: &LinkConfig, server: u64, now: Instant) -> PeerState {
        PeerState::new(&Peer { server, address: "localhost:1".to_owned() }, config, now)
    }

    /// Delay until the next dial.
    fn delay(peer: &PeerState, now: Instant) -> Duration {
        peer.due().expect("a dial is due") - now
    }

    #[test]
    fn of_two_servers_one_dials() {
        let now = Instant::now();
        assert_eq!(peer(&config(2), 1, now).due(), Some(now));
        assert_eq!(peer(&config(1), 2, now).due(), None);
    }

    #[test]
    fn a_guest_dials_whatever_the_ids_and_a_host_never_does() {
        let now = Instant::now();
        let dials = |dialling, server, other| {
            let config = LinkConfig { dialling, ..config(server) };
            peer(&config, other, now).due().is_some()
        };
        for (server, other) in [(1, 2), (2, 1)] {
            assert!(dials(Dialling::Guest, server, other));
            assert!(!dials(Dialling::Host { most: 3 }, server, other));
        }
    }

    #[test]
    fn a_connection_that_breaks_at_once_is_retried_ever_later_and_a_steady_one_at_once() {
        let (config, now) = (config(2), Instant::now());
        let mut peer = peer(&config, 1, now);
        for _ in 0..10 {
            peer.came_up(1, now);
            peer.went_down(&"a test", now);
        }
        assert!(delay(&peer, now) >= config.reconnect_max / 2);
        peer.came_up(1, now);
        let later = now + config.reconnect_max;
        peer.went_down(&"a test", later);
        assert!(delay(&peer, later) <= config.reconnect_min);
    }

    #[test]
    fn most_attempts_are_short_and_some_long_enough_for_a_slow_link() {
        let (config, now) = (config(2), Instant::now());
        let mut peer = peer(&config, 1, now);
        let mut patiences = Vec::new();
        for _ in 0..8 {
            patiences.push(peer.patience(&config));
            peer.dial_failed(&"a test", now);
        }
        let short = config.hello_timeout / 6;
        let four = [short, short, short, config.hello_timeout];
        assert_eq!(patiences, [four, four].concat());
    }

    #[test]
    fn the_addresses_of_a_name_are_tried_in_turn() {
        let now = Instant::now();
        let mut config = config(2);
        let mut peer = peer(&config, 1, now);
        let addresses = ["[::1]:7", "10.0.0.1:7", "10.0.0.2:7"].map(|address| address.parse().unwrap());
        assert_eq!(peer.choose(&addresses, &config), Some(addresses[0]));
        peer.dial_failed(&"a test", now);
        assert_eq!(peer.choose(&addresses, &config), Some(addresses[1]));

        config.bind_address = Some(IpAddr::from([10, 0, 0, 9]));
        assert_eq!(
            peer.choose(&addresses, &config),
            Some(addresses[2]),
            "an IPv4 address reaches no IPv6 address"
        );
        assert_eq!(peer.choose(&addresses[..1], &config), None);
    }
}
