//! Accepts clients.
//!
//! One thread accepts for all and hands the connections out in turn. The alternative, a listener per thread
//! on a shared port (SO_REUSEPORT), would save the hand-over, once per connection. But the system then
//! spreads a few hundred connections unevenly, and a second server on the same port would start without an
//! error and take half of the first one's clients.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};

use super::limits::{KEEPALIVE_INTERVAL, KEEPALIVE_QUESTIONS};
use super::metrics::Crowd;
use crate::protocol::{Foreign, SHORT, Wire};

/// Connections accepted in one turn, so that a flood of them does not delay others: accepting one and seeing it off takes some
/// tens of microseconds.
const ACCEPTED_AT_ONCE: usize = 16;

/// What the system takes of replies besides what is in flight. Without this, a client that takes nothing makes it hold megabytes,
/// which count nowhere, and everybody waits while they are copied.
const UNSENT_BYTES: u32 = 128 << 10;

/// How long to wait before the next try when the process is out of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that clients connect to.
pub(super) struct Listener {
    pub(super) wire: Wire,
    /// Whether its clients speak TLS.
    pub(super) tls: bool,
    listener: TcpListener,
    ready: bool,
    paused_until: Option<Instant>,
}

/// What a listener did in a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// No client waits any more.
    All,
    /// More may wait.
    Some,
    /// The process is out of a resource: try again at this time.
    Paused(Instant),
}

impl Listener {
    /// Listens at all these addresses, which belong to one name: clients use any of them. A machine without
    /// IPv6 may still resolve its name to such an address, so an address that does not exist is skipped
    /// unless it is the only one. For port 0, all get the port that the first one gets.
    pub(super) fn bind_all(
        addresses: &[SocketAddr],
        (wire, tls): (Wire, bool),
        keepalive: Duration,
    ) -> io::Result<Vec<Listener>> {
        let mut listeners: Vec<Listener> = Vec::new();
        let mut failed = None;
        for &(mut address) in addresses {
            if let (0, Some(first)) = (address.port(), listeners.first()) {
                address.set_port(first.address()?.port());
            }
            match TcpListener::bind(address) {
                Ok(listener) => {
                    tune(&SockRef::from(&listener), keepalive)?;
                    listeners.push(Listener { wire, tls, listener, ready: false, paused_until: None });
                }
                Err(error) => {
                    let named = io::Error::new(error.kind(), format!("{address}: {error}"));
                    if !is_absent(&error) {
                        return Err(named);
                    }
                    tracing::warn!(%address, %error, "skipping an address that this machine does not have");
                    failed = Some(named);
                }
            }
        }
        match failed {
            Some(error) if listeners.is_empty() => Err(error),
            _ => Ok(listeners),
        }
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.listener, token, Interest::READABLE)
    }

    /// Clients wait.
    pub(super) fn ready(&mut self) {
        self.ready = true;
    }

    /// Accepts waiting clients, up to a number.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        mut welcome: impl FnMut(TcpStream, SocketAddr),
    ) -> Accepted {
        if !self.ready {
            return Accepted::All;
        }
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Accepted::Paused(until);
        }
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, peer)) => welcome(stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    self.paused_until = None;
                    return Accepted::All;
                }
                Err(error) if is_exhaustion(&error) => {
                    let until = now + PAUSE;
                    if self.paused_until.replace(until).is_none() {
                        tracing::warn!(%error, "cannot accept clients: raise the limit of open files, or lower max_connections");
                    }
                    return Accepted::Paused(until);
                }
                // The client has already gone, or a signal has arrived: there may be another client.
                Err(_) => {}
            }
        }
        Accepted::Some
    }
}

/// Sets what accepted sockets inherit, so that nobody has to set it for each of them: replies leave at once, few of them wait in the
/// system, and it asks idle clients whether they are still there.
fn tune(listener: &SockRef<'_>, keepalive: Duration) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    listener.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    if keepalive.is_zero() {
        return Ok(());
    }
    let questions = TcpKeepalive::new()
        .with_time(keepalive)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_QUESTIONS);
    listener.set_tcp_keepalive(&questions)
}

/// Whether the machine does not have this address.
fn is_absent(error: &io::Error) -> bool {
    let absences = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
    Errno::from_io_error(error).is_some_and(|errno| absences.contains(&errno))
}

fn is_exhaustion(error: &io::Error) -> bool {
    let exhaustions = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| exhaustions.contains(&errno))
}

/// Tells a client that there is no room, if its socket takes that at once, and closes.
pub(super) fn turn_away(mut stream: TcpStream, wire: Wire, why: Crowd) {
    let words = match (wire, why) {
        (Wire::Redis, Crowd::Server) => "-ERR max number of clients reached\r\n".into(),
        (Wire::Redis, Crowd::Address) => {
            "-ERR max number of clients of this address reached: close some, or raise max_connections_per_address\r\n"
                .into()
        }
        (Wire::Redis, Crowd::Memory) => format!("-TRYAGAIN {SHORT}\r\n"),
        (Wire::Http, _) => {
            let body = "{\"error\":\"too_many_connections\",\"message\":\"the server has reached its limit of connections, or this client's address its own\",\
                        \"hint\":\"close some, or use another server\"}\n";
            format!(
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    // If the socket does not take it, the closed connection still tells the client.
    let _ = stream.write(words.as_bytes());
}

/// Tells a client that does not speak TLS what is spoken here, if its socket takes that at once.
pub(super) fn tell_plain(wire: Wire, socket: &mut TcpStream) {
    let words = match wire {
        Wire::Redis => format!("-ERR {}\r\n", Foreign::Plain),
        Wire::Http => {
            let body = format!(
                "{{\"error\":\"bad_request\",\"message\":\"{}\",\"hint\":\"use https://\"}}\n",
                Foreign::Plain
            );
            format!(
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    let _ = socket.write(words.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn accepted_sockets_have_what_is_set_for_their_listener() {
        for keepalive in [Duration::from_secs(60), Duration::ZERO] {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut listeners = Listener::bind_all(&[any], (Wire::Redis, false), keepalive).unwrap();
            let address = listeners[0].address().unwrap();
            let _client = std::net::TcpStream::connect(address).unwrap();
            let mut accepted = None;
            while accepted.is_none() {
                listeners[0].ready();
                listeners[0].accept(Instant::now(), |stream, _| accepted = Some(stream));
            }
            let accepted = accepted.unwrap();
            let socket = SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
            assert_eq!(socket.keepalive().unwrap(), !keepalive.is_zero());
            if !keepalive.is_zero() {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), keepalive);
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_QUESTIONS);
            }
        }
    }
}
