//! Hosts and ports, as users type them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Servers are near: one that takes longer to accept a connection is treated as down, and the next one is
/// asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A server answers a health check at once, however busy it is.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// A host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// Parses `HOST:PORT`.
    pub fn parse(authority: &str) -> Option<HostPort> {
        let (host, port) = authority.rsplit_once(':').filter(|(host, _)| is_host(host))?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(HostPort { host: host.to_owned(), port })
    }

    /// All addresses of the host.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        Ok((host, self.port).to_socket_addrs()?.collect())
    }

    /// Connects to the first address that accepts the connection.
    pub fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.resolve()? {
            match connect(address, timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// Connects. `timeout` limits each step of the server.
pub(crate) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT.min(timeout))?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether the text can be a host's name or address. An IPv6 address has brackets, as in URLs.
///
/// ```
/// use niagara_client::is_host;
///
/// assert!(is_host("db-1.example.org") && is_host("[::1]"));
/// assert!(!is_host("::1") && !is_host("http://db"));
/// ```
pub fn is_host(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !text.is_empty() && text.bytes().all(allowed)
        }
    }
}
