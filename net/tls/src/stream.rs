//! A connection, plain or encrypted.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use rustls::Connection;

use crate::shown::Shown;
use crate::{Acceptor, Connector};

/// Bytes that are read from a socket at once.
const CHUNK_BYTES: usize = 16 << 10;

/// rustls takes this much of what has arrived at once, and holds what comes out of it.
const LEAST_CHUNK_BYTES: usize = 4 << 10;

/// Encrypted bytes that may wait for a socket, besides a record or two.
const UNSENT_BYTES: usize = 64 << 10;

/// One end of a connection. `S` is a socket that blocks, or one that does not: then every call may fail with
/// [`WouldBlock`](ErrorKind::WouldBlock), and continues where it was when it is repeated.
#[derive(Debug)]
pub enum Stream<S> {
    /// Not encrypted.
    Plain(S),
    /// Encrypted.
    Tls(Box<TlsStream<S>>),
}

/// See [`Stream::Tls`].
pub struct TlsStream<S> {
    socket: S,
    tls: Connection,
    /// The first byte of the other end.
    first: Option<u8>,
    /// The ends do not understand each other, and one has said so.
    failed: bool,
    /// The socket has ended.
    ended: bool,
    /// The last read has taken all that had arrived.
    emptied: bool,
}

/// The other end does not speak TLS: the error in an [`io::Error`] of a [`Stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end does not speak TLS")]
pub struct NotTls;

impl<S: Read + Write> Stream<S> {
    /// The server's end.
    pub fn accept(socket: S, acceptor: &Acceptor) -> Stream<S> {
        Stream::encrypted(socket, acceptor.connection().into())
    }

    /// The client's end. `host` is the server's name or address, which its certificate must have.
    ///
    /// # Errors
    /// If the host is no name.
    pub fn connect(socket: S, connector: &Connector, host: &str) -> io::Result<Stream<S>> {
        Ok(Stream::encrypted(socket, connector.connection(host)?.into()))
    }

    fn encrypted(socket: S, mut tls: Connection) -> Stream<S> {
        tls.set_buffer_limit(Some(UNSENT_BYTES));
        Stream::Tls(Box::new(TlsStream {
            socket,
            tls,
            first: None,
            failed: false,
            ended: false,
            emptied: false,
        }))
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.socket,
        }
    }

    /// The socket. What is read from it or written to it directly is missing in the connection.
    pub fn socket_mut(&mut self) -> &mut S {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &mut stream.socket,
        }
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Whether the ends have yet to agree on keys.
    pub fn is_handshaking(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.tls.is_handshaking())
    }

    /// Agrees on keys with the other end. A socket that blocks needs this before the first write.
    ///
    /// # Errors
    /// Those of the socket, and what is wrong with the other end.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.shake_hands(),
        }
    }

    /// The certificate that the other end has shown, if it has.
    pub fn shown(&self) -> Option<Shown<'_>> {
        let Stream::Tls(stream) = self else { return None };
        stream.tls.peer_certificates()?.first().map(Shown)
    }

    /// Whether the socket may hold more after a read that has not filled its buffer. What is encrypted comes in records, so
    /// such a read tells nothing by itself.
    pub fn may_hold_more(&self) -> bool {
        matches!(self, Stream::Tls(stream) if !stream.emptied)
    }

    /// Whether bytes that were written wait for the socket.
    pub fn has_unsent(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.tls.wants_write())
    }

    /// Sends what waits for the socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send_unsent(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.send_unsent(),
        }
    }

    /// Tells the other end that nothing more will be written. The socket has yet to be shut down.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn end_writing(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => {
                if !stream.failed && !stream.tls.is_handshaking() {
                    stream.tls.send_close_notify();
                }
                stream.send_unsent()
            }
        }
    }
}

impl<S: Read + Write> TlsStream<S> {
    fn send_unsent(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.send_unsent()?;
            self.read_once(&mut [])?;
            if self.ended {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        self.send_unsent()
    }

    /// Sends what waits, as far as the socket takes it.
    fn send_some(&mut self) -> io::Result<()> {
        match self.send_unsent() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    /// Takes what is decrypted; `None` if that is nothing yet.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // The end of the socket is the end. Requests and replies say by themselves how long they are.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(0)),
            taken => taken.map(Some),
        }
    }

    /// Decrypts what has arrived.
    fn decrypt(&mut self, mut arrived: &[u8], buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !arrived.is_empty() {
            self.tls.read_tls(&mut arrived)?;
            self.process()?;
            while filled < buffer.len() {
                match self.take(&mut buffer[filled..])? {
                    Some(count) if count > 0 => filled += count,
                    _ => break,
                }
            }
        }
        Ok(filled)
    }

    fn process(&mut self) -> io::Result<()> {
        /// What begins a handshake.
        const HANDSHAKE: u8 = 0x16;
        let Err(error) = self.tls.process_new_packets() else { return Ok(()) };
        self.failed = true;
        if self.first.is_some_and(|first| first != HANDSHAKE) && self.tls.is_handshaking() {
            return Err(io::Error::new(ErrorKind::InvalidData, NotTls));
        }
        // The alert says why, if the socket takes it.
        let _ = self.send_unsent();
        Err(io::Error::new(ErrorKind::InvalidData, error))
    }

    fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut chunk = [0; CHUNK_BYTES];
        let most = buffer.len().clamp(LEAST_CHUNK_BYTES, CHUNK_BYTES);
        let count = self.socket.read(&mut chunk[..most])?;
        self.emptied = count < most;
        if count == 0 {
            self.ended = true;
            self.tls.read_tls(&mut io::empty())?;
            self.process()?;
            return Ok(None);
        }
        self.first.get_or_insert(chunk[0]);
        let filled = self.decrypt(&chunk[..count], buffer)?;
        // The handshake's next message, or an answer to a change of keys.
        self.send_some()?;
        Ok(Some(filled).filter(|filled| *filled > 0))
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.send_some()?;
        loop {
            if let Some(taken) = self.take(buffer)? {
                return Ok(taken);
            }
            if let Some(filled) = self.read_once(buffer)? {
                return Ok(filled);
            }
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_unsent()?;
        let count = self.tls.writer().write_vectored(slices)?;
        self.send_some()?;
        if count == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_unsent()?;
        self.socket.flush()
    }
}

impl<S: Read + Write> Read for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write_vectored(slices),
            Stream::Tls(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}
