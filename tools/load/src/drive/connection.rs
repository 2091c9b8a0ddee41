//! One connection to one server at a time.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use niagara_client::Access;
use niagara_tls::Stream;

use super::codec::Codec;
use super::operation::{Kind, Operation, Outcome, Trouble};
use super::parsed::Malformed;
use super::transport::Event;

/// A buffer that a large burst has grown beyond this is given back.
const KEPT_BYTES: usize = 1 << 20;
/// After every server has failed once, the next round begins after this pause.
const PAUSE_NANOS: u64 = 100_000_000;
/// The place of what a connection says for itself.
const GREETING: usize = usize::MAX;

/// A connection, and what is in flight on it.
pub(super) struct Connection {
    number: usize,
    /// The server's number among the addresses.
    server: usize,
    state: State,
    /// Servers that failed, one after the other, since the last reply.
    failures: usize,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// The beginning of a reply.
    input: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    /// The server is better left, as soon as nothing is in flight.
    leaving: bool,
}

enum State {
    /// Between two requests, where each has a connection of its own.
    Idle,
    /// Every server has failed: none is tried before this time.
    Pausing {
        until: u64,
    },
    Connecting {
        stream: TcpStream,
        since: u64,
    },
    Open {
        stream: Stream<TcpStream>,
    },
}

struct InFlight {
    place: usize,
    kind: Kind,
    sent_at: u64,
}

/// What a connection needs of its thread.
pub(super) struct Turn<'t, H> {
    pub now: u64,
    pub addresses: &'t [SocketAddr],
    pub codecs: &'t [Codec],
    /// The hosts of the servers that speak TLS.
    pub encrypted: &'t [Option<String>],
    pub access: &'t Access,
    pub registry: &'t Registry,
    /// Where bytes arrive, for all connections.
    pub buffer: &'t mut [u8],
    pub timeout: u64,
    pub heard: H,
}

impl<H: FnMut(u64, Event<'_>)> Turn<'_, H> {
    fn tell(&mut self, event: Event<'_>) {
        (self.heard)(self.now, event);
    }

    fn tell_outcome(&mut self, place: usize, outcome: Outcome<'_>) {
        if place != GREETING {
            self.tell(Event::Outcome { place, outcome });
        }
    }
}

impl Connection {
    /// Not connected yet; begins with this server.
    pub fn new(number: usize, server: usize) -> Connection {
        Connection {
            number,
            server,
            state: State::Idle,
            failures: 0,
            out: Vec::new(),
            sent: 0,
            input: Vec::new(),
            in_flight: VecDeque::new(),
            leaving: false,
        }
    }

    /// Whether an operation can be staged.
    pub fn takes(&self, codecs: &[Codec]) -> bool {
        match &self.state {
            State::Open { .. } => !self.leaving && !codecs[self.server].is_for_one(),
            State::Idle => codecs[self.server].is_for_one(),
            _ => false,
        }
    }

    /// Stages an operation. `true`: it is the first since the last [`flush`](Self::flush).
    pub fn stage(&mut self, now: u64, place: usize, operation: &Operation, codecs: &[Codec]) -> bool {
        let first = self.out.is_empty();
        codecs[self.server].encode(operation, &mut self.out);
        self.in_flight.push_back(InFlight { place, kind: operation.verb.kind(), sent_at: now });
        first
    }

    /// Sends what is staged, if the connection is open, and opens one that is to be.
    pub fn flush(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        if let State::Idle = self.state {
            return self.open(turn);
        }
        let State::Open { stream } = &mut self.state else { return };
        match stream.send_unsent() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return self.fail(Trouble::Lost, b"", turn),
        }
        while self.sent < self.out.len() {
            match stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.fail(Trouble::Lost, b"", turn),
            }
        }
        self.sent = 0;
        self.out.clear();
        if self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
    }

    /// Its socket has something to say.
    pub fn ready(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        if let State::Connecting { stream, .. } = &self.state {
            match connected(stream) {
                Ok(false) => return,
                Ok(true) => self.opened(turn),
                Err(error) => return self.unreachable(&error, turn),
            }
        }
        let waits = |state: &State| matches!(state, State::Open { stream } if stream.is_encrypted());
        if self.sent < self.out.len() || waits(&self.state) {
            self.flush(turn);
        }
        self.read(turn);
        if waits(&self.state) {
            // A handshake that has just ended lets more be sent.
            self.flush(turn);
        }
    }

    /// What time alone brings: the next try, and giving up on what takes too long.
    pub fn look_at_clock(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        match &self.state {
            State::Pausing { until } if *until <= turn.now => self.begin(turn),
            State::Connecting { since, .. } if since + turn.timeout <= turn.now => {
                self.unreachable(&io::ErrorKind::TimedOut.into(), turn);
            }
            State::Open { .. } => {
                let latest = turn.now.saturating_sub(turn.timeout);
                let mut late = false;
                while let Some(flight) = self.in_flight.pop_front_if(|flight| flight.sent_at <= latest) {
                    turn.tell_outcome(flight.place, Outcome::Failed(Trouble::Timeout, b""));
                    late = true;
                }
                if late {
                    self.fail(Trouble::Lost, b"", turn);
                }
            }
            _ => {}
        }
    }

    /// Connects, or says that it will for the next operation, where each has a connection of its own.
    pub fn begin(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        if turn.codecs[self.server].is_for_one() {
            self.state = State::Idle;
            turn.tell(Event::Opened { connection: self.number });
        } else {
            self.open(turn);
        }
    }

    fn open(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        let begun = TcpStream::connect(turn.addresses[self.server]).and_then(|mut stream| {
            stream.set_nodelay(true)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            turn.registry.register(&mut stream, Token(self.number), interest)?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => self.state = State::Connecting { stream, since: turn.now },
            Err(error) => self.unreachable(&error, turn),
        }
    }

    fn opened(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        let State::Connecting { stream, .. } = mem::replace(&mut self.state, State::Idle) else { return };
        let stream = match (&turn.encrypted[self.server], turn.access.connector()) {
            (Some(host), Some(connector)) => match Stream::connect(stream, connector, host) {
                Ok(stream) => stream,
                Err(error) => return self.unreachable(&error, turn),
            },
            _ => Stream::Plain(stream),
        };
        self.state = State::Open { stream };
        let codec = &turn.codecs[self.server];
        for greeting in codec.greetings() {
            self.out.extend_from_slice(greeting);
            let greeting = InFlight { place: GREETING, kind: Kind::Read, sent_at: turn.now };
            self.in_flight.push_back(greeting);
        }
        if !codec.is_for_one() {
            turn.tell(Event::Opened { connection: self.number });
        }
        self.flush(turn);
    }

    fn read(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        while let State::Open { stream } = &mut self.state {
            match stream.read(turn.buffer) {
                Ok(0) => return self.ended(turn),
                Ok(count) => {
                    self.take(count, turn);
                    // What comes after a read that does not fill its buffer raises the next event.
                    // In TLS, only the socket knows.
                    let is_all = count < turn.buffer.len();
                    if is_all && matches!(&self.state, State::Open { stream: Stream::Plain(_) }) {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.fail(Trouble::Lost, b"", turn),
            }
        }
    }

    /// Takes the replies out of so many bytes that have arrived.
    fn take(&mut self, count: usize, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        // Whole replies are read where they have arrived; what is left of one waits in a buffer of the connection's own.
        let mut kept = mem::take(&mut self.input);
        let buffer = mem::take(&mut turn.buffer);
        let is_new = kept.is_empty();
        if !is_new {
            kept.extend_from_slice(&buffer[..count]);
        }
        let taken = self.take_replies(if is_new { &buffer[..count] } else { &kept }, turn);
        if let Ok(taken) = taken {
            if is_new {
                kept.extend_from_slice(&buffer[taken..count]);
            } else {
                kept.drain(..taken);
            }
            self.input = kept;
        }
        turn.buffer = buffer;
        match taken {
            Ok(_) if self.leaving && self.in_flight.is_empty() => self.ended(turn),
            Ok(_) => {}
            Err(Over::InOrder) => self.ended(turn),
            Err(Over::Malformed(malformed)) => {
                let why = format!("{}: {malformed}", turn.addresses[self.server]);
                self.fail(Trouble::Malformed, why.as_bytes(), turn);
            }
        }
    }

    /// Hands out the outcomes of the replies at the front of what has arrived, and says how long those were.
    fn take_replies(
        &mut self,
        arrived: &[u8],
        turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>,
    ) -> Result<usize, Over> {
        let codecs = turn.codecs;
        let codec = &codecs[self.server];
        let mut at = 0;
        while at < arrived.len() {
            // What nobody has asked for is a server's last word before it closes the connection, such as that it is full.
            let kind = self.in_flight.front().map_or(Kind::Read, |flight| flight.kind);
            let Some(parsed) = codec.parse(kind, &arrived[at..]).map_err(Over::Malformed)? else { break };
            at += parsed.bytes;
            let useful = self.answer(parsed.outcome, turn);
            if parsed.closes || codec.is_for_one() || !useful {
                return Err(Over::InOrder);
            }
        }
        Ok(at)
    }

    /// A reply for the oldest operation. `false`: the connection is of no use.
    fn answer(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) -> bool {
        match &outcome {
            Outcome::Failed(trouble, _) if trouble.is_local() => self.leaving = true,
            _ => self.failures = 0,
        }
        match (self.in_flight.pop_front(), outcome) {
            (Some(InFlight { place: GREETING, .. }), Outcome::Done(_)) => {}
            (Some(InFlight { place: GREETING, .. }) | None, outcome) => {
                let said = if let Outcome::Failed(_, said) = outcome { said } else { b"an unasked reply" };
                turn.tell(Event::Unreachable { why: String::from_utf8_lossy(said).into_owned() });
                return false;
            }
            (Some(flight), outcome) => turn.tell_outcome(flight.place, outcome),
        }
        true
    }

    /// The server has ended the connection, or this side does: in order if nothing is in flight.
    fn ended(&mut self, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        if turn.codecs[self.server].is_for_one() && self.in_flight.is_empty() && !self.leaving {
            self.reset();
            self.state = State::Idle;
        } else {
            self.fail(Trouble::Lost, b"", turn);
        }
    }

    /// There is no connection. What waited for it has not been sent.
    fn unreachable(&mut self, error: &io::Error, turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        let why = format!("{}: {error}", turn.addresses[self.server]);
        turn.tell(Event::Unreachable { why });
        self.fail(Trouble::Refused, b"no connection", turn);
    }

    /// The connection is over for what is in flight on it, and the next server's turn comes.
    fn fail(&mut self, trouble: Trouble, said: &[u8], turn: &mut Turn<'_, impl FnMut(u64, Event<'_>)>) {
        while let Some(flight) = self.in_flight.pop_front() {
            turn.tell_outcome(flight.place, Outcome::Failed(trouble, said));
        }
        self.reset();
        self.server = (self.server + 1) % turn.addresses.len();
        self.failures += 1;
        if self.failures.is_multiple_of(turn.addresses.len()) {
            self.state = State::Pausing { until: turn.now + PAUSE_NANOS };
        } else {
            self.begin(turn);
        }
    }

    fn reset(&mut self) {
        self.leaving = false;
        self.out.clear();
        self.sent = 0;
        self.input.clear();
    }
}

/// Why a connection is over.
enum Over {
    /// The server said so, or what it said makes it useless.
    InOrder,
    Malformed(Malformed),
}

/// Whether a connection that is being opened is open.
fn connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
