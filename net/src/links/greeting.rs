//! From a connected socket to a link that carries messages: the three steps of the greeting, on both ends.

use std::time::Instant;

use super::Links;
use crate::admission::{check_dialled, check_dialler, check_guest, check_version};
use crate::config::{Dialling, Peer};
use crate::connection::Phase;
use crate::event::{DownReason, Event};
use crate::hello::{Greeting, GreetingError, Hello, LEVELS_VERSION, VERSION};
use crate::peer::PeerState;
use crate::refusal::Refusal;

impl Links {
    /// Handles a message on a connection that is not up.
    pub(super) fn on_greeting(&mut self, token: usize, body: &[u8], now: Instant) {
        let Some(phase) = self.phase(token) else { return };
        match (phase, Greeting::decode(body)) {
            (Phase::AwaitHello { peer }, Ok(Greeting::Hello(hello))) => {
                self.on_dialled(token, peer, &hello, now);
            }
            (Phase::AwaitHello { peer }, Ok(Greeting::Refusal(refusal))) if of_levels(&refusal) => {
                self.abandon(token, &"it knows of no levels", now);
                self.peers[peer].knows_no_levels = true;
            }
            (Phase::AwaitHello { peer } | Phase::AwaitWelcome { peer }, Ok(Greeting::Refusal(refusal))) => {
                self.counters.refusals_received += 1;
                self.admission.refused(&refusal);
                self.abandon(token, &refusal, now);
                let peer = Some(self.peers[peer].server);
                self.events.push(Event::Refused { peer, refusal, by_us: false });
            }
            (Phase::AwaitWelcome { peer }, Ok(Greeting::Welcome)) => self.come_up(token, peer, now),
            (phase, Err(GreetingError::Version(refused))) => {
                let server = self.dialled_server(phase);
                self.refuse(token, server, Refusal::WrongVersion { refuser: VERSION, refused }, now);
            }
            (_, not_due) => {
                self.counters.bad_frames += 1;
                let error = not_due.err().unwrap_or(GreetingError::Malformed);
                self.abandon(token, &error, now);
            }
        }
    }

    /// An accepted connection has sent its hello.
    pub(super) fn on_dialler(&mut self, token: usize, hello: &Hello, now: Instant) {
        let own = self.config.hello.clone();
        let admitted = check_version(&own, hello).and_then(|()| match self.config.dialling {
            Dialling::Host { most } => self.admit_guest(hello, most, now),
            Dialling::HigherId | Dialling::Guest => {
                let peer = self.peers.iter().position(|peer| peer.server == hello.server);
                let checked = check_dialler(&own, hello, peer);
                checked.and_then(|peer| self.admission.admit(hello).map(|()| peer))
            }
        });
        match admitted {
            Ok(peer) => {
                let own = if hello.levels.is_some() { own } else { own.without_levels() };
                self.answer(token, &Greeting::Hello(own), Phase::AwaitWelcome { peer }, now);
            }
            Err(refusal) => self.refuse(token, Some(hello.server), refusal, now),
        }
    }

    /// The index of a guest among the peers, whether it has been here before or takes the place of one that has left.
    fn admit_guest(&mut self, hello: &Hello, most: usize, now: Instant) -> Result<usize, Refusal> {
        check_guest(&self.config.hello, hello)?;
        self.admission.admit(hello)?;
        let known = self.peers.iter().position(|peer| peer.server == hello.server);
        let place = known.or_else(|| (0..self.peers.len()).find(|peer| self.has_left(*peer)));
        if place.is_none() && self.peers.len() >= most {
            return Err(Refusal::Full { most: most as u64 });
        }
        let place = place.unwrap_or(self.peers.len());
        if known.is_none() {
            let guest = Peer { server: hello.server, address: String::new() };
            let guest = PeerState::new(&guest, &self.config, now);
            match self.peers.get_mut(place) {
                Some(left) => *left = guest,
                None => self.peers.push(guest),
            }
        }
        Ok(place)
    }

    /// Whether a guest has neither a connection nor one that is about to be.
    fn has_left(&self, guest: usize) -> bool {
        let comes = |peer: &Phase| matches!(peer, Phase::AwaitWelcome { peer } if *peer == guest);
        let comes = self.connections.values().any(|connection| comes(&connection.phase));
        self.peers[guest].link().is_none() && !comes
    }

    /// A dialled server has sent its hello.
    fn on_dialled(&mut self, token: usize, peer: usize, hello: &Hello, now: Instant) {
        let server = self.peers[peer].server;
        let checked = check_dialled(&self.config.hello, hello, server);
        match checked.and_then(|()| self.admission.admit(hello)) {
            Ok(()) => {
                self.answer(token, &Greeting::Welcome, Phase::AwaitHello { peer }, now);
                self.come_up(token, peer, now);
            }
            Err(refusal) => self.refuse(token, Some(server), refusal, now),
        }
    }

    fn answer(&mut self, token: usize, greeting: &Greeting, next: Phase, now: Instant) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        connection.phase = next;
        if let Err(error) = connection.greet(greeting) {
            self.abandon(token, &error, now);
        }
    }

    /// Refuses, with the reason. The few bytes reach the kernel before the socket is closed. If the other end
    /// has gone meanwhile, there is nobody to notify.
    fn refuse(&mut self, token: usize, peer: Option<u64>, refusal: Refusal, now: Instant) {
        self.counters.refusals_sent += 1;
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.greet(&Greeting::Refusal(refusal.clone())).ok();
        }
        self.abandon(token, &refusal, now);
        self.events.push(Event::Refused { peer, refusal, by_us: true });
    }

    /// Both ends agree. An earlier connection of the peer is half dead at best, since otherwise the peer
    /// would not have dialled again.
    fn come_up(&mut self, token: usize, peer: usize, now: Instant) {
        if let Some(old) = self.peers[peer].link() {
            self.close(old, DownReason::Replaced, now);
        }
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if matches!(connection.phase, Phase::AwaitWelcome { .. }) {
            self.strangers -= 1;
        }
        connection.come_up(peer, self.peers[peer].server, &self.config);
        let again = self.peers[peer].came_up(token, now);
        self.counters.connects += 1;
        self.counters.reconnects += u64::from(again);
        self.events.push(Event::Up { peer: self.peers[peer].server });
    }

    fn dialled_server(&self, phase: Phase) -> Option<u64> {
        match phase {
            Phase::AwaitHello { peer } | Phase::AwaitWelcome { peer } => Some(self.peers[peer].server),
            _ => None,
        }
    }
}

/// Whether the other end has refused a hello because it had levels.
fn of_levels(refusal: &Refusal) -> bool {
    *refusal == Refusal::WrongVersion { refuser: VERSION, refused: LEVELS_VERSION }
}
