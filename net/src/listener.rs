//! Accepts connections, and pauses when the system cannot.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};

/// How long to leave connections in the backlog after accepting has failed. Without file descriptors or
/// memory the next call fails as well, and retrying without pause would use up the CPU, too.
const PAUSE: Duration = Duration::from_millis(100);

/// The listening socket, and what is known of its backlog.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// There may be connections to accept: the backlog has not been found empty since the last readiness
    /// event.
    ready: bool,
    /// Accepting has failed, and is retried at this time.
    paused_until: Option<Instant>,
    /// Number of accept calls that failed.
    pub(crate) errors: u64,
}

impl Listener {
    pub(crate) fn new(socket: TcpListener) -> Listener {
        Listener { socket, ready: false, paused_until: None, errors: 0 }
    }

    pub(crate) fn now_ready(&mut self) {
        self.ready = true;
    }

    /// Whether connections may wait that no further event will announce.
    pub(crate) fn is_busy(&self) -> bool {
        self.ready && self.paused_until.is_none()
    }

    /// When to retry even if the socket does not become ready.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.paused_until
    }

    /// The next connection, or `None` when the backlog is empty or accepting is paused.
    pub(crate) fn accept(&mut self, now: Instant) -> Option<TcpStream> {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        while self.is_busy() {
            match self.socket.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.ready = false,
                    // It closed while it waited, or a signal came: neither says anything about the next one.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => {
                        self.errors += 1;
                        tracing::warn!(%error, "cannot accept connections; trying again");
                        self.paused_until = Some(now + PAUSE);
                    }
                },
            }
        }
        None
    }
}
