//! What other threads tell a front-end thread: that there is something to do, and who has come.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Poll, Token};
use niagara_engine::Wake;
use parking_lot::Mutex;

use super::addresses::Share;
use super::limits::Place;
use crate::protocol::Wire;

/// An accepted connection on its way to another thread.
pub(super) struct Newcomer {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) port: Port,
    pub(super) place: Place,
    /// What its address holds, if it counts among the address's connections.
    pub(super) share: Option<Arc<Share>>,
}

/// What is spoken at a listener.
#[derive(Clone, Copy)]
pub(super) struct Port {
    pub(super) wire: Wire,
    pub(super) tls: bool,
}

/// Where a thread's poll reports that somebody has woken it.
pub(super) const WAKER: Token = Token(0);

/// See the [module](self).
pub(super) struct Mailbox {
    waker: mio::Waker,
    newcomers: Mutex<Vec<Newcomer>>,
}

impl Mailbox {
    pub(super) fn new(poll: &Poll) -> io::Result<Mailbox> {
        Ok(Mailbox { waker: mio::Waker::new(poll.registry(), WAKER)?, newcomers: Mutex::default() })
    }

    pub(super) fn send(&self, newcomer: Newcomer) {
        self.newcomers.lock().push(newcomer);
        self.wake();
    }

    /// Those who have come since the last time.
    pub(super) fn take(&self) -> Vec<Newcomer> {
        std::mem::take(&mut *self.newcomers.lock())
    }
}

impl Wake for Mailbox {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a front-end thread; it resumes at its next timeout");
        }
    }
}
