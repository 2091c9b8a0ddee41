//! One client's connection: a socket and a session, and the bytes between them. What comes is in `receiving`, what goes in
//! `sending`, and how long the client may take in `patience`.

pub(super) mod patience;
mod receiving;
mod sending;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use niagara_tls::Stream;

use self::patience::Waits;
use super::addresses::Share;
use super::budget::Budget;
use super::client_session::{ClientSession, either};
use super::limits::Place;
use super::session::{Pumped, Turn};
use super::slot::EngineAnswer;
use super::token::Sequence;
use crate::protocol::{Engine, Input, Output, Unasked, Wire};

/// Most bytes read from one connection in a turn, so that no client delays the others; [fewer](super::portion) where there are
/// many. Also the size of the buffer that a thread lends to the connection it serves.
pub(super) const READ_BYTES: usize = 128 << 10;

/// Most bytes sent to one connection in a turn, for the same reason: a socket may take megabytes at once.
pub(super) const SENT_BYTES: usize = 128 << 10;

/// What happens to a connection after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Serve it again when something happens.
    Wait,
    /// Serve it again in the next turn: there is more to do.
    Again,
    /// Close it.
    Close,
}

/// What the system reports about a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The client will send nothing more.
    pub(super) half_closed: bool,
    pub(super) broken: bool,
}

impl From<&mio::event::Event> for Readiness {
    fn from(event: &mio::event::Event) -> Readiness {
        Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            half_closed: event.is_read_closed(),
            broken: event.is_error(),
        }
    }
}

/// See the [module](self).
pub(super) struct Connection<L> {
    stream: Stream<TcpStream>,
    talk: ClientSession<L>,
    input: Input,
    output: Output,
    pumped: Pumped,
    /// Readiness comes in edges: it holds until a call reports its end.
    readable: bool,
    writable: bool,
    /// The client will send nothing more, though it may wait for replies.
    half_closed: bool,
    ended: bool,
    broken: bool,
    /// The session knows whose certificate the client has shown.
    introduced: bool,
    lingers: Option<Instant>,
    waits: Option<Waits>,
    /// The thread has listed this connection for this turn.
    pub(super) listed: bool,
    /// It waits for the next span of the thread's [`Pace`](super::pace::Pace).
    pub(super) waits_for_pace: bool,
    /// Its place among all connections, and whose it is.
    place: Place,
    address: IpAddr,
    /// What its address holds, if it counts among the address's connections.
    share: Option<Arc<Share>>,
    /// When bytes last moved.
    moved: Instant,
    /// What the budget has counted of [`held`](Connection::held).
    counted: usize,
}

impl<L: Copy> Connection<L> {
    pub(super) fn new(stream: Stream<TcpStream>, talk: ClientSession<L>) -> Self {
        Connection {
            stream,
            talk,
            input: Input::default(),
            output: Output::default(),
            pumped: Pumped::NeedsInput,
            readable: false,
            writable: true,
            half_closed: false,
            ended: false,
            broken: false,
            introduced: false,
            lingers: None,
            waits: None,
            listed: false,
            waits_for_pace: false,
            place: Place::Client,
            address: IpAddr::from([127, 0, 0, 1]),
            share: None,
            moved: Instant::now(),
            counted: 0,
        }
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        self.stream.socket_mut()
    }

    pub(super) fn into_stream(self) -> Stream<TcpStream> {
        self.stream
    }

    pub(super) fn wire(&self) -> Wire {
        match self.talk {
            ClientSession::Redis(_) => Wire::Redis,
            ClientSession::Http(_) => Wire::Http,
        }
    }

    pub(super) fn at(self, place: Place, address: IpAddr, share: Option<Arc<Share>>) -> Self {
        Connection { place, address, share, ..self }
    }

    /// What its address holds, in bytes.
    pub(super) fn held_by_address(&self) -> usize {
        self.share.as_ref().map_or(0, |share| share.held())
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Records what the system reports about the socket.
    pub(super) fn ready(&mut self, now: Readiness) {
        self.readable |= now.readable || now.half_closed;
        self.writable |= now.writable;
        self.half_closed |= now.half_closed;
        self.broken |= now.broken;
    }

    pub(super) fn complete<E: Engine<Lane = L>>(
        &mut self,
        sequence: Sequence,
        answer: EngineAnswer,
        turn: &mut Turn<'_, E>,
    ) {
        either!(&mut self.talk, session => session.complete(sequence, answer, &mut self.output, turn));
    }

    /// Tells the client what it has not asked for. `false`: more than `most` bytes wait although all was sent that the client
    /// takes now, so the connection is to be closed.
    pub(super) fn tell(&mut self, unasked: Unasked<'_>, most: usize, now: Instant) -> bool {
        if self.has_ended() {
            return true;
        }
        either!(&mut self.talk, session => session.tell(unasked, &mut self.output));
        self.takes(most, now)
    }

    /// Tells the client that the one has gone whom it has told instead.
    pub(super) fn lose_redirect(&mut self) {
        if !self.has_ended() {
            either!(&mut self.talk, session => session.tell(Unasked::LostRedirect, &mut self.output));
        }
    }

    /// Whether nothing is printed any more, unless it was begun.
    fn has_ended(&self) -> bool {
        self.broken || self.pumped == Pumped::Over
    }

    /// Whether the client takes what it was not asked about: no more than `most` bytes wait once all was sent that it takes now.
    fn takes(&mut self, most: usize, now: Instant) -> bool {
        if self.output.len() > most {
            self.write(usize::MAX, now);
        }
        let is_slow = self.output.len() > most;
        self.broken |= is_slow;
        !is_slow
    }

    /// Whether its next request waits until clients are not paused any more.
    pub(super) fn is_held_up(&self) -> bool {
        self.pumped == Pumped::HeldUp
    }

    /// Whether others are closed before it when memory is short.
    pub(super) fn is_spared(&self) -> bool {
        either!(&self.talk, session => session.is_spared())
    }

    /// Whether it has a reply without an end of its own.
    pub(super) fn streams(&self) -> bool {
        either!(&self.talk, session => session.streams())
    }

    /// The connection is to be closed, whatever waits.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Reads up to so many bytes, and starts what can be started. Returns how many it has read. `buffer` is the thread's own,
    /// lent for this call.
    pub(super) fn serve<E: Engine<Lane = L>>(
        &mut self,
        turn: &mut Turn<'_, E>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> usize {
        if self.broken {
            return 0;
        }
        if self.lingers.is_some() {
            self.drain(buffer);
            return 0;
        }
        let mut read = 0;
        let lent = self.input.lend(buffer);
        self.pump(turn);
        if self.may_receive(turn.allowance) {
            read = self.receive(most, turn.now);
            self.pump(turn);
        }
        if lent {
            self.input.give_back(buffer);
        }
        read
    }

    fn pump<E: Engine<Lane = L>>(&mut self, turn: &mut Turn<'_, E>) {
        self.pumped =
            either!(&mut self.talk, session => session.pump(&mut self.input, &mut self.output, turn));
    }

    /// Whether this server waits for nothing on behalf of the client.
    pub(super) fn is_quiet(&self) -> bool {
        either!(&self.talk, session => session.is_quiet())
    }

    /// Whether nothing waits to be sent, either.
    pub(super) fn is_idle(&self) -> bool {
        self.is_quiet() && self.output.is_empty() && !self.stream.has_unsent()
    }

    /// Whether the connection has been idle this long, nothing is in progress, and it waits for no messages.
    pub(super) fn is_idle_for(&self, limit: Duration, now: Instant) -> bool {
        let listens = either!(&self.talk, session => session.listens());
        let waits_for_us = listens || self.is_held_up();
        now.saturating_duration_since(self.moved) >= limit && self.is_idle() && !waits_for_us
    }

    /// Bytes of requests that are not finished and of replies that have not been taken.
    pub(super) fn held(&self) -> usize {
        self.input.len() + self.output.len() + either!(&self.talk, session => session.held())
    }

    /// Tells the budget what it holds.
    pub(super) fn settle(&mut self, budget: &Budget) {
        self.count(self.held(), budget);
    }

    /// Tells the budget that it holds nothing more, since it is closed.
    pub(super) fn give_up(&mut self, budget: &Budget) {
        self.count(0, budget);
    }

    fn count(&mut self, held: usize, budget: &Budget) {
        let before = std::mem::replace(&mut self.counted, held);
        budget.settle(before, held);
        if let Some(share) = &self.share {
            share.settle(before, held);
        }
    }

    /// What it holds by the budget.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }
}

#[cfg(test)]
impl<L: Copy> Connection<L> {
    /// Memory that the connection holds for bytes.
    pub(super) fn buffered(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }
}
