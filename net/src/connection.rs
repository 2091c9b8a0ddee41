//! One TCP connection: its socket, the partly received next frame, and the frames to be written.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mio::event::Event as Readiness;
use mio::net::TcpStream;
use niagara_tls::{Mutual, Stream};

use crate::config::LinkConfig;
use crate::counters::Counters;
use crate::event::{DownReason, Event};
use crate::frame::{Frame, HEAD_BYTES};
use crate::hello::{Greeting, MAX_GREETING_BYTES};
use crate::outbox::Outbox;
use crate::proof;
use crate::reader::FrameReader;

/// Slices per write call. A frame takes a slice for its head and one for each part, so a hundred small
/// messages fit into one call. With a quarter of this they took a third more CPU time.
const SLICES_PER_WRITE: usize = 256;

/// State of a connection. `peer` is an index into the transport's peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Dialled, and the outcome is still unknown.
    Connecting { peer: usize },
    /// Dialled, and our hello has been sent.
    AwaitHello { peer: usize },
    /// Accepted, and nothing is known of the other end.
    Stranger,
    /// Accepted, and our hello has been sent.
    AwaitWelcome { peer: usize },
    /// Both ends agree: messages flow.
    Up { peer: usize, server: u64 },
}

/// Why [`Connection::receive`] stopped.
#[derive(Debug)]
pub(crate) enum Received {
    /// This body must be handled as a greeting before reading resumes.
    Greeting(Bytes),
    /// The socket is empty.
    Dry,
    /// The budget is spent, and the socket may hold more.
    Spent,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream<TcpStream>,
    /// It may turn out to be encrypted.
    undecided: bool,
    pub(crate) phase: Phase,
    /// By when the connection must be up.
    pub(crate) deadline: Instant,
    /// Whether it is in the transport's list of sockets to read.
    pub(crate) listed: bool,
    reader: FrameReader,
    outbox: Outbox,
    /// The socket may hold bytes: no short read since the last readiness event.
    readable: bool,
    /// The other end has closed or failed. A short read then does not mean that the socket is empty: the end
    /// of the stream must still be read, and no further event will announce it.
    ending: bool,
    /// The socket may take bytes: no short write since the last readiness event.
    writable: bool,
}

impl Connection {
    /// A connection that has yet to greet, with only the memory that this takes.
    pub(crate) fn new(stream: Stream<TcpStream>, phase: Phase, deadline: Instant) -> Connection {
        Connection {
            stream,
            undecided: false,
            phase,
            deadline,
            listed: false,
            reader: FrameReader::new(HEAD_BYTES + MAX_GREETING_BYTES, MAX_GREETING_BYTES),
            outbox: Outbox::new(0),
            readable: false,
            ending: false,
            writable: true,
        }
    }

    /// An accepted connection that may or may not be encrypted.
    pub(crate) fn undecided(self) -> Connection {
        Connection { undecided: true, ..self }
    }

    /// Makes it an encrypted connection if that is how it begins. `false`: too little has arrived to tell.
    pub(crate) fn decide(self, tls: &Arc<Mutual>) -> (Connection, bool) {
        let Connection { stream, undecided, .. } = self;
        let (stream, listed, undecided) = match stream {
            Stream::Plain(socket) if undecided => match proof::begins_encrypted(&socket) {
                None => (Stream::Plain(socket), false, true),
                Some(false) => (Stream::Plain(socket), true, false),
                Some(true) => (tls.accept(socket), true, false),
            },
            stream => (stream, true, false),
        };
        (Connection { stream, listed, undecided, ..self }, !undecided)
    }

    /// Switches from greetings to messages.
    pub(crate) fn come_up(&mut self, peer: usize, server: u64, config: &LinkConfig) {
        assert!(self.outbox.is_empty(), "nothing is queued for a connection that is not up");
        self.phase = Phase::Up { peer, server };
        self.reader.resize(config.read_buffer_bytes, config.max_frame_bytes);
        self.outbox = Outbox::new(config.send_queue_bytes);
    }

    /// Handles a readiness event. Returns whether the connection is to be listed among those to read, where it is
    /// not yet.
    pub(crate) fn on_ready(&mut self, event: &Readiness) -> bool {
        let ending = event.is_read_closed() || event.is_write_closed() || event.is_error();
        self.writable |= event.is_writable();
        self.ending |= ending;
        if !(event.is_readable() || ending) {
            return false;
        }
        self.readable = true;
        !std::mem::replace(&mut self.listed, true)
    }

    /// Whether the attempt to connect succeeded. A socket that is still connecting does not become ready, so
    /// readiness means that the outcome is known.
    pub(crate) fn connected(&self) -> io::Result<()> {
        match self.stream.socket().take_error()? {
            Some(error) => Err(error),
            None => self.stream.socket().peer_addr().map(drop),
        }
    }

    /// Reads until the socket is empty or `budget` bytes have been read. Bodies that arrive while the
    /// connection is up become events; greetings are returned one at a time, since each decides what follows.
    ///
    /// One read call fills the buffer with many frames, and a short read ends the reading: the next call
    /// would find nothing.
    pub(crate) fn receive(
        &mut self,
        budget: &mut usize,
        events: &mut Vec<Event>,
        counters: &mut Counters,
    ) -> Result<Received, DownReason> {
        loop {
            while let Some(body) = self.reader.next_body()? {
                let bytes = self.reader.count();
                let Phase::Up { server, .. } = self.phase else { return Ok(Received::Greeting(body)) };
                counters.frames_received += 1;
                counters.bytes_received += bytes;
                events.push(Event::Frame { from: server, body });
            }
            if !self.readable {
                return Ok(Received::Dry);
            }
            if *budget == 0 {
                return Ok(Received::Spent);
            }
            let room = self.reader.room();
            counters.read_calls += 1;
            match self.stream.read(room) {
                Ok(0) => {
                    proof::report(&self.stream, &ErrorKind::UnexpectedEof.into());
                    return Err(DownReason::Closed);
                }
                Ok(count) => {
                    self.readable = count == room.len() || self.ending || self.stream.may_hold_more();
                    *budget = budget.saturating_sub(count);
                    self.reader.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if proof::report(&self.stream, &error) => {
                    if proof::is_plain(&error) {
                        self.refuse_plain();
                    }
                    return Err(DownReason::Untrusted);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells the other end, which does not speak TLS, that this one does.
    fn refuse_plain(&mut self) {
        let frame = Greeting::Refusal(proof::plain()).frame();
        let wire = frame.slices().collect::<Vec<_>>().concat();
        // If the socket does not take it, the closed connection still tells.
        let _ = self.stream.socket_mut().write(&wire);
    }

    /// Queues a frame; returns `false` if the queue is full.
    pub(crate) fn send(&mut self, frame: Frame) -> bool {
        self.outbox.push(frame)
    }

    /// Writes what is queued, many frames per call, until all is written or the socket takes no more.
    pub(crate) fn flush(&mut self, counters: &mut Counters) -> io::Result<()> {
        self.send_encrypted()?;
        while self.writable && !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
            let gathered = self.outbox.gather(&mut slices);
            counters.write_calls += 1;
            match self.stream.write_vectored(&slices[..gathered.slices]) {
                Ok(count) => {
                    // What is encrypted is taken in pieces, and waits here for a socket that takes no more.
                    self.writable = if self.stream.is_encrypted() {
                        !self.stream.has_unsent()
                    } else {
                        count == gathered.bytes
                    };
                    counters.bytes_sent += count as u64;
                    counters.frames_sent += self.outbox.advance(count) as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what was encrypted before.
    fn send_encrypted(&mut self) -> io::Result<()> {
        if self.writable && self.stream.has_unsent() {
            match self.stream.send_unsent() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                sent => return sent,
            }
        }
        Ok(())
    }

    /// Bytes in the queue.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Frames that would be lost if the connection ended now.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.frames()
    }

    /// Writes a greeting. The few bytes always fit into a socket that has only greeted so far; if they do
    /// not, the other end is not worth waiting for.
    pub(crate) fn greet(&mut self, greeting: &Greeting) -> io::Result<()> {
        let frame = greeting.frame();
        let wire = frame.slices().collect::<Vec<_>>().concat();
        match self.stream.write(&wire)? {
            count if count == wire.len() => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }
}
