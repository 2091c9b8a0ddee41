//! What a client sends: from its socket into the input.

use std::error::Error;
use std::io::{self, Read};
use std::time::Instant;

use mio::net::TcpStream;
use niagara_tls::{NotTls, Stream};

use super::Connection;
use crate::front::allowance::Allowance;
use crate::front::client_session::either;
use crate::front::limits::Place;
use crate::front::listener::tell_plain;
use crate::front::session::Pumped;
use crate::protocol::Foreign;

impl<L: Copy> Connection<L> {
    /// Whether there may be bytes of its client that have not been read.
    pub(in crate::front) fn may_have_unread(&self) -> bool {
        self.readable && !self.ended
    }

    /// Whether a read can bring something that may be held.
    pub(super) fn may_receive(&self, allowance: Allowance) -> bool {
        let wanted = match self.pumped {
            Pumped::NeedsInput => true,
            Pumped::NeedsOutput => self.input.len() < allowance.ahead,
            Pumped::NeedsCompletion | Pumped::HeldUp | Pumped::Over => false,
        };
        let may_read = allowance.may_read() || self.place == Place::Pages;
        wanted && may_read && self.readable && !self.ended
    }

    /// One read, into the input or directly into the command that waits for the bytes. Returns how many have come.
    pub(super) fn receive(&mut self, most: usize, now: Instant) -> usize {
        let sink = either!(&mut self.talk, session => session.sink()).filter(|_| self.input.is_empty());
        let received = match sink {
            Some((command, missing)) => read_into(&mut self.stream, command, missing.min(most)),
            None => {
                let space = self.input.space(most);
                let most = space.len();
                let received = self.stream.read(space).map(|count| (count, count == most));
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
                return count;
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
        0
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
    pub(super) fn drain(&mut self, buffer: &mut [u8]) {
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
