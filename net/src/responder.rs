//! Answers probes for a server that does not run yet.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use crate::admission::AdmitAll;
use crate::config::{LinkConfig, OpenError};
use crate::hello::Hello;
use crate::probe::{PROBE_CHANNEL, hello};
use crate::tcp::TcpTransport;
use crate::transport::Transport;
use crate::waker::Waker;

/// Answers probes at the addresses of a server that does not run yet. Servers that dial it for more wait until it runs, or
/// dial again.
#[derive(Debug)]
pub struct Responder(TcpTransport);

impl Responder {
    /// One that says what `config` says, and listens at these sockets. They may be duplicates of sockets that are used
    /// afterwards.
    ///
    /// # Errors
    ///
    /// If the system refuses an epoll, or a socket does not listen.
    pub fn new(
        config: &LinkConfig,
        listeners: impl IntoIterator<Item = TcpListener>,
    ) -> Result<Responder, OpenError> {
        let mut transport = TcpTransport::new()?;
        for (number, listener) in (0..).zip(listeners) {
            let hello = Hello { channel: PROBE_CHANNEL - number, ..hello(&config.hello) };
            let listen = local(&listener, config.listen)?;
            let config = LinkConfig { hello, listen, peers: Vec::new(), ..config.clone() };
            transport.open(config, Some(listener), Arc::new(AdmitAll))?;
        }
        Ok(Responder(transport))
    }

    /// Wakes the thread that [runs](Self::run) it, so that it notices that it is over.
    pub fn waker(&self) -> Waker {
        self.0.waker()
    }

    /// Answers until it is over.
    ///
    /// # Errors
    ///
    /// If the system cannot wait for sockets.
    pub fn run(&mut self, is_over: &AtomicBool) -> io::Result<()> {
        let mut events = Vec::new();
        while !is_over.load(SeqCst) {
            self.0.turn(Instant::now(), None, &mut || !is_over.load(SeqCst), &mut events)?;
            events.clear();
        }
        Ok(())
    }
}

fn local(listener: &TcpListener, configured: SocketAddr) -> Result<SocketAddr, OpenError> {
    listener.local_addr().map_err(|source| OpenError::Listen { address: configured, source })
}
