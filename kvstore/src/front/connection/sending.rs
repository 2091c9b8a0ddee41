//! What waits for a client: to its socket, until the client has taken the last reply.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::time::Instant;

use super::{Connection, Fate};
use crate::front::allowance::Allowance;
use crate::front::client_session::either;
use crate::front::session::Pumped;

/// Most buffers that one `writev` gathers.
const GATHERED: usize = 64;

impl<L: Copy> Connection<L> {
    /// Sends what waits, up to so many bytes, and decides what happens to the connection.
    pub(in crate::front) fn send(&mut self, most: usize, allowance: Allowance, now: Instant) -> Fate {
        // Whoever has a reply may rely on others knowing of it.
        either!(&self.talk, session => session.publish());
        self.write(most, now);
        let fate = self.fate(allowance, now);
        let requests = self.held() - self.output.len();
        either!(&self.talk, session => session.publish_bytes(requests, self.output.len()));
        fate
    }

    pub(super) fn write(&mut self, most: usize, now: Instant) {
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
}
