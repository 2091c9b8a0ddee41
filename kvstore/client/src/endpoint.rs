//! One server over HTTP: a connection for each request, and how far the request got.
//!
//! Whether a write may be sent again depends on how much of it was sent, and general-purpose clients do not
//! tell. This one does: a request that was not sent completely cannot have been executed. It speaks HTTP/1.0,
//! where the end of the connection ends a reply and nothing is chunked.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use niagara_tls::Stream;

use crate::access::Access;
use crate::address::{GREETING_TIMEOUT, HostPort};
use crate::message::{Request, Response, foreign};
use crate::receiving::receive;
use crate::streaming::Streaming;

/// The HTTP port of the first server of a new cluster.
pub const DEFAULT_PORT: u16 = 7000;
/// The address of that server on the same machine.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7000";

/// A server's HTTP address.
///
/// ```no_run
/// use std::time::Duration;
///
/// use niagara_client::{Endpoint, Request};
///
/// let server: Endpoint = "http://127.0.0.1:7000".parse().unwrap();
/// let response = server.send(&Request::get("/healthz"), Duration::from_secs(5)).unwrap();
/// assert_eq!((response.status, response.body.as_slice()), (200, b"ok\n".as_slice()));
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    at: HostPort,
    tls: bool,
    access: Access,
}

/// Two are the same if they have the same address.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Endpoint) -> bool {
        (&self.at, self.tls) == (&other.at, other.tls)
    }
}

impl Eq for Endpoint {}

/// Why there is no reply.
#[derive(Debug)]
pub enum Trouble {
    /// The server never received the whole request, so it has not executed it.
    NotSent(io::Error),
    /// The request was sent, so it may or may not have been executed.
    Lost(io::Error),
}

impl Endpoint {
    /// Sends a request and waits for the reply. `timeout` limits each step of the server.
    pub fn send(&self, request: &Request, timeout: Duration) -> Result<Response, Trouble> {
        self.send_with(self.access.authorization().as_deref(), request, timeout)
    }

    /// Sends a request whose reply has no end of its own, such as `GET /watch`, and waits for the reply's head. `timeout`
    /// limits each step of the server, and so how long nothing may come.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use niagara_client::{Endpoint, Request};
    ///
    /// let server: Endpoint = "http://127.0.0.1:7000".parse().unwrap();
    /// let request = Request::watch(b"user/", "").header("Accept", "application/x-ndjson");
    /// let mut reply = server.open(&request, Duration::from_secs(30)).unwrap();
    /// while let Some(line) = reply.next_line().unwrap() {
    ///     println!("{}", String::from_utf8_lossy(&line));
    /// }
    /// ```
    ///
    /// # Errors
    /// If the server could not be reached, or its reply did not begin.
    pub fn open(&self, request: &Request, timeout: Duration) -> Result<Streaming, Trouble> {
        let mut stream = self.connect(timeout).map_err(Trouble::NotSent)?;
        let head = request.head(&self.at, self.access.authorization().as_deref());
        stream.write_all(head.as_bytes()).map_err(Trouble::NotSent)?;
        Streaming::begin(stream).map_err(Trouble::Lost)
    }

    fn send_with(
        &self,
        authorization: Option<&str>,
        request: &Request,
        timeout: Duration,
    ) -> Result<Response, Trouble> {
        let mut stream = self.connect(timeout).map_err(Trouble::NotSent)?;
        let head = request.head(&self.at, authorization);
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&request.body));
        let reply = receive(&mut stream);
        match sent {
            Ok(()) => reply.map_err(Trouble::Lost),
            // A server that refuses a body (too large) answers and closes before it has read it.
            Err(error) => reply.map_err(|_| Trouble::NotSent(error)),
        }
    }

    /// Sends a harmless request, to learn whether a Niagara server answers HTTP here before anything that
    /// matters is sent, the password included.
    pub fn recognise(&self, timeout: Duration) -> Result<(), Trouble> {
        let response = self.send_with(None, &Request::get("/healthz"), timeout.min(GREETING_TIMEOUT))?;
        match response.is_ours() || (response.status == 200 && response.body == b"ok\n") {
            true => Ok(()),
            false => Err(Trouble::Lost(foreign("an HTTP server that is not Niagara"))),
        }
    }

    /// The same port at another host, for a server that says it listens at all its addresses.
    pub fn or_at_host_of(self, other: &Endpoint) -> Endpoint {
        match self.at.host.as_str() {
            "0.0.0.0" | "[::]" => {
                Endpoint { at: HostPort { host: other.at.host.clone(), port: self.at.port }, ..self }
            }
            _ => self,
        }
    }

    /// The same server, with this password and these certificates.
    pub fn with(self, access: &Access) -> Endpoint {
        Endpoint { access: access.clone(), ..self }
    }

    /// What is shown to the server, and whom this trusts.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether it is spoken to in TLS.
    pub fn is_encrypted(&self) -> bool {
        self.tls
    }

    fn connect(&self, timeout: Duration) -> io::Result<Stream<TcpStream>> {
        self.access.begin(self.at.connect(timeout)?, self.tls, &self.at.host)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "servers speak HTTP, not {scheme}: write http://HOST:PORT or https://HOST:PORT"
                ));
            }
        };
        let parsed = HostPort::parse(rest.strip_suffix('/').unwrap_or(rest));
        let endpoint = parsed.map(|at| Endpoint { at, tls, access: Access::default() });
        endpoint.ok_or_else(|| format!("write http://HOST:PORT, for example {DEFAULT_URL}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}", if self.tls { "s" } else { "" }, self.at)
    }
}

impl Trouble {
    /// Whether something other than a Niagara server's HTTP port has answered, so that the request had no
    /// effect.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Trouble::Lost(error) if error.kind() == ErrorKind::InvalidData)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::NotSent(error) | Trouble::Lost(error)) = self;
        match error.kind() {
            // The system's text for a socket timeout is "Resource temporarily unavailable".
            ErrorKind::WouldBlock | ErrorKind::TimedOut => write!(f, "no answer in time"),
            ErrorKind::ConnectionRefused => write!(f, "nothing listens there"),
            _ => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests;
