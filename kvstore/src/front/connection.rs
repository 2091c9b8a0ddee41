//! One client's connection: a socket and a session, and the bytes between them.

use std::error::Error;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use niagara_tls::{NotTls, Stream};

use super::addresses::Share;
use super::allowance::Allowance;
use super::budget::Budget;
use super::client_session::{ClientSession, either};
use super::limits::Place;
use super::listener::tell_plain;
use super::session::{Pumped, Turn};
use super::slot::EngineAnswer;
use super::token::Sequence;
use crate::protocol::{Engine, Foreign, Input, Output, Unasked, Wire};

/// Most bytes read from one connection in a turn, so that no client delays the others; [fewer](super::portion) where there are
/// many. Also the size of the buffer that a thread lends to the connection it serves.
pub(super) const READ_BYTES: usize = 128 << 10;

/// Most bytes sent to one connection in a turn, for the same reason: a socket may take megabytes at once.
pub(super) const SENT_BYTES: usize = 128 << 10;

/// Most buffers that one `writev` gathers.
const GATHERED: usize = 64;

/// A client in the middle of a request, or one that does not take its replies, must move this many bytes
/// within [`PATIENCE`]. A slow link can; a client that wants to hold memory and a connection for nothing is
/// closed.
pub(super) const PATIENCE_BYTES: usize = 16 << 10;
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The same while requests are refused, since there is no memory for them.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take to agree on keys.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection that the server has ended waits for the client to end it, too. Closing a socket with
/// unread bytes would discard the last reply if the client has not read it yet (RFC 9112, section 9.6).
pub(super) const LINGER: Duration = Duration::from_secs(2);

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

/// What waits for a client that does not take its replies, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untaken {
    pub(super) replies: usize,
    /// Requests that are not finished.
    pub(super) requests: usize,
}

/// What a client has not done in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Everything is said, but it has not closed its end.
    Over,
    /// It has not taken its replies.
    SlowReader,
    /// It has not finished its request.
    SlowWriter,
    /// It has not agreed on keys.
    Handshake,
}

/// How much the client has moved, and since when, while it is the client's turn.
#[derive(Clone, Copy)]
struct Waits {
    since: Instant,
    moved: usize,
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

    /// Whether there may be bytes of its client that have not been read.
    pub(super) fn may_have_unread(&self) -> bool {
        self.readable && !self.ended
    }

    /// Reads up to so many bytes, and starts what can be started. `buffer` is the thread's own, lent for this call.
    pub(super) fn serve<E: Engine<Lane = L>>(
        &mut self,
        turn: &mut Turn<'_, E>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) {
        if self.broken {
            return;
        }
        if self.lingers.is_some() {
            self.drain(buffer);
            return;
        }
        let lent = self.input.lend(buffer);
        self.pump(turn);
        if self.may_receive(turn.allowance) {
            self.receive(most, turn.now);
            self.pump(turn);
        }
        if lent {
            self.input.give_back(buffer);
        }
    }

    fn pump<E: Engine<Lane = L>>(&mut self, turn: &mut Turn<'_, E>) {
        self.pumped =
            either!(&mut self.talk, session => session.pump(&mut self.input, &mut self.output, turn));
    }

    /// Whether a read can bring something that may be held.
    fn may_receive(&self, allowance: Allowance) -> bool {
        let wanted = match self.pumped {
            Pumped::NeedsInput => true,
            Pumped::NeedsOutput => self.input.len() < allowance.ahead,
            Pumped::NeedsCompletion | Pumped::HeldUp | Pumped::Over => false,
        };
        let may_read = allowance.may_read() || self.place == Place::Pages;
        wanted && may_read && self.readable && !self.ended
    }

    /// One read, into the input or directly into the command that waits for the bytes.
    fn receive(&mut self, most: usize, now: Instant) {
        let sink = either!(&mut self.talk, session => session.sink()).filter(|_| self.input.is_empty());
        let received = match sink {
            Some((command, missing)) => read_into(&mut self.stream, command, missing.min(most)),
            None => {
                let space = self.input.space();
                let most = space.len().min(most);
                let received = self.stream.read(&mut space[..most]).map(|count| (count, count == most));
                if let Ok((count, _)) = received {
                    self.input.filled(count);
                }
                received
            }
        };
        match received {
            Ok((count, filled)) => {
                // A short read has emptied the socket, unless the stream ended there, or is encrypted.
                self.readable = filled || self.half_closed || self.stream.is_encrypted();
                self.ended = count == 0;
                self.moved(count, now);
                self.introduce();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.broken = true;
                if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<NotTls>) {
                    Foreign::Plain.report(self.wire(), self.stream.socket().peer_addr().ok());
                    tell_plain(self.wire(), self.stream.socket_mut());
                }
            }
        }
    }

    /// Tells the session whose certificate the client has shown, once: by the first bytes that it says, it has.
    fn introduce(&mut self) {
        if std::mem::replace(&mut self.introduced, true) {
            return;
        }
        if let Some(name) = self.stream.shown().and_then(|shown| shown.common_name()) {
            either!(&mut self.talk, session => session.introduce(&name));
        }
    }

    /// Reads and drops what a client still sends after it was told of the end.
    fn drain(&mut self, buffer: &mut [u8]) {
        if self.readable {
            match self.stream.socket_mut().read(buffer) {
                Ok(0) => self.broken = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
        }
    }

    /// Sends what waits, up to so many bytes, and decides what happens to the connection.
    pub(super) fn send(&mut self, most: usize, allowance: Allowance, now: Instant) -> Fate {
        // Whoever has a reply may rely on others knowing of it.
        either!(&self.talk, session => session.publish());
        self.write(most, now);
        let fate = self.fate(allowance, now);
        let requests = self.held() - self.output.len();
        either!(&self.talk, session => session.publish_bytes(requests, self.output.len()));
        fate
    }

    fn write(&mut self, most: usize, now: Instant) {
        self.send_encrypted();
        let mut left = most;
        while self.writable && !self.output.is_empty() && !self.broken && left > 0 {
            let mut slices = [IoSlice::new(&[]); GATHERED];
            let count = self.output.gather(&mut slices, left);
            let gathered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            match self.stream.write_vectored(&slices[..count]) {
                Ok(sent) => {
                    self.output.advance(sent);
                    left -= sent;
                    // What is encrypted is taken in pieces, and waits here for a socket that takes no more.
                    self.writable =
                        if self.stream.is_encrypted() { !self.stream.has_unsent() } else { sent == gathered };
                    self.moved(sent, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
        }
    }

    /// Sends what was encrypted before.
    fn send_encrypted(&mut self) {
        if self.writable && self.stream.has_unsent() && !self.broken {
            match self.stream.send_unsent() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(_) => self.broken = true,
            }
        }
    }

    fn fate(&mut self, allowance: Allowance, now: Instant) -> Fate {
        if self.broken {
            return Fate::Close;
        }
        if !self.output.is_empty() || self.stream.has_unsent() {
            self.wait(now);
            // Sending continues when the client takes more, and that may require reading to the end of its
            // requests.
            return if self.writable || self.may_receive(allowance) { Fate::Again } else { Fate::Wait };
        }
        match self.pumped {
            Pumped::Over => {
                self.report_foreign();
                self.end(now)
            }
            Pumped::NeedsOutput => Fate::Again,
            Pumped::NeedsCompletion | Pumped::HeldUp => {
                self.waits = None;
                Fate::Wait
            }
            Pumped::NeedsInput if self.ended => {
                if self.is_quiet() {
                    Fate::Close
                } else {
                    Fate::Wait
                }
            }
            Pumped::NeedsInput => {
                if either!(&self.talk, session => session.is_amid_request(&self.input)) {
                    self.wait(now);
                } else {
                    self.waits = None;
                    self.input.release();
                }
                if self.may_receive(allowance) { Fate::Again } else { Fate::Wait }
            }
        }
    }

    fn report_foreign(&mut self) {
        if let Some(foreign) = either!(&mut self.talk, session => session.take_foreign()) {
            foreign.report(self.wire(), self.stream.socket().peer_addr().ok());
        }
    }

    /// The last reply is sent: waits for the client to close first.
    fn end(&mut self, now: Instant) -> Fate {
        if self.lingers.is_none() {
            if self.ended {
                return Fate::Close;
            }
            match self.stream.end_writing() {
                Ok(()) if self.stream.socket().shutdown(Shutdown::Write).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                _ => return Fate::Close,
            }
            self.lingers = Some(now);
        }
        if self.readable { Fate::Again } else { Fate::Wait }
    }

    fn wait(&mut self, now: Instant) {
        self.waits.get_or_insert(Waits { since: now, moved: 0 });
    }

    fn moved(&mut self, bytes: usize, now: Instant) {
        self.moved = now;
        if let Some(waits) = &mut self.waits {
            waits.moved += bytes;
            if waits.moved >= PATIENCE_BYTES {
                *waits = Waits { since: now, moved: 0 };
            }
        }
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

    /// How much waits for the client.
    pub(super) fn untaken(&self) -> Untaken {
        Untaken { replies: self.output.len(), requests: self.held() - self.output.len() }
    }

    /// Whether the client's time is up, and what it has failed to do. `patience` is for its part in a request.
    pub(super) fn overdue(&self, now: Instant, patience: Duration) -> Option<Overdue> {
        let passed = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        if self.lingers.is_some_and(|since| passed(since, LINGER)) {
            Some(Overdue::Over)
        } else if self.waits.is_some_and(|waits| passed(waits.since, patience)) {
            let has_replies = !self.output.is_empty() || self.stream.has_unsent();
            Some(if has_replies { Overdue::SlowReader } else { Overdue::SlowWriter })
        } else {
            // Nothing moves before the handshake is over.
            let is_late = self.stream.is_handshaking() && passed(self.moved, HANDSHAKE_PATIENCE);
            is_late.then_some(Overdue::Handshake)
        }
    }
}

#[cfg(test)]
impl<L: Copy> Connection<L> {
    /// Memory that the connection holds for bytes.
    pub(super) fn buffered(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }
}

/// Reads up to `most` bytes to the end of `buffer`. Returns how many, and whether there may be more.
fn read_into(stream: &mut Stream<TcpStream>, buffer: &mut Vec<u8>, most: usize) -> io::Result<(usize, bool)> {
    let before = buffer.len();
    buffer.reserve(most);
    let result = stream.take(most as u64).read_to_end(buffer);
    let count = buffer.len() - before;
    match result {
        // What came before the error counts. The next read reports any other error again.
        Err(error) if count > 0 => Ok((count, error.kind() != io::ErrorKind::WouldBlock)),
        Err(error) => Err(error),
        // The next read finds the end of the stream again if it came after some bytes.
        Ok(_) => Ok((count, true)),
    }
}
