//! From a peer that is due for dialling to a connected socket.

use std::fmt::Display;
use std::io;
use std::time::Instant;

use super::Links;
use crate::connection::Phase;
use crate::hello::Greeting;
use crate::peer::Dial;
use crate::resolve::Answer;
use crate::socket;

impl Links {
    /// Starts to dial each peer that is due.
    pub(crate) fn dial_due(&mut self, now: Instant) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].due().is_some_and(|time| time <= now) {
                self.peers[peer].dial = Dial::Underway;
                if let Some(answer) = self.resolver.resolve(peer, &self.peers[peer].address) {
                    self.on_answer(&answer, now);
                }
            }
        }
    }

    /// Dials the peers whose names have been resolved. Returns whether there were any.
    pub(crate) fn dial_resolved(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(answer) = self.resolver.answer() {
            self.on_answer(&answer, now);
            any = true;
        }
        any
    }

    fn on_answer(&mut self, answer: &Answer, now: Instant) {
        if let Err(error) = self.dial(answer).and_then(|stream| self.insert(stream, answer.peer, now)) {
            self.dial_failed(answer.peer, &error, now);
        }
    }

    fn dial(&self, answer: &Answer) -> io::Result<mio::net::TcpStream> {
        let addresses = answer
            .addresses
            .as_ref()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot resolve the address: {error}")))?;
        match self.peers[answer.peer].choose(addresses, &self.config) {
            Some(address) => socket::dial(address, &self.config),
            None => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "the name has no address that bind_address can reach",
            )),
        }
    }

    pub(super) fn dial_failed(&mut self, peer: usize, why: &dyn Display, now: Instant) {
        self.counters.dial_failures += 1;
        self.peers[peer].dial_failed(why, now);
    }

    /// The socket of an attempt has become ready: it has connected, or never will.
    pub(super) fn on_connect(&mut self, token: usize, peer: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let connected = connection.connected();
        connection.phase = Phase::AwaitHello { peer };
        connection.deadline = now + self.config.hello_timeout;
        let own = &self.config.hello;
        let hello = if self.peers[peer].knows_no_levels { own.without_levels() } else { own.clone() };
        let hello = Greeting::Hello(hello);
        if let Err(error) = connected.and_then(|()| connection.greet(&hello)) {
            self.abandon(token, &error, now);
        }
    }
}
