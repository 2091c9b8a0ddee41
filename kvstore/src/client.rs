//! One HTTP request on a connection of its own, by a client that knows what it has sent.
//!
//! Whether a write may be sent again depends on how far it got, and general clients do not say. This one does: a
//! request that was not handed over completely cannot have been executed. It speaks HTTP/1.0, with which the end of
//! the connection ends a reply and nothing arrives in chunks.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;

/// The HTTP port of the first server of a new cluster.
pub const DEFAULT_PORT: u16 = 7000;
/// Where that server is found on the same machine.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7000";

/// Servers are near: one that takes longer to accept a connection is as good as gone, and the next one is asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest head of a reply; the servers' own are far shorter.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 64;
/// Longest body of a reply: several times the longest value. What is no server of ours may send without end.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// A server says at once that it lives, however busy it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// All bytes of a key are escaped, but those that RFC 3986 never gives a meaning.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A server's HTTP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// A request, ready to be sent to any server.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, like 200.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// What a server says in the body of an error reply: what happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Trouble {
    /// The server never had the whole request, so it has not executed it.
    NotSent(io::Error),
    /// The request was sent: it may or may not have been executed.
    Lost(io::Error),
}

impl Request {
    /// Reads a resource.
    pub fn get(target: impl Into<String>) -> Self {
        Request { method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Asks for something to be done.
    pub fn post(target: impl Into<String>) -> Self {
        Request { method: "POST", ..Request::get(target) }
    }

    /// A request about a key, with a query or without.
    pub fn on_key(method: &'static str, key: &[u8], query: &str) -> Self {
        let target = format!("/kv/{}{query}", percent_encode(key, ESCAPED));
        Request { method, target, headers: Vec::new(), body: Vec::new() }
    }

    /// With a body.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn head(&self, endpoint: &Endpoint) -> String {
        let Request { method, target, headers, body } = self;
        let mut head = format!("{method} {target} HTTP/1.0\r\nHost: {}\r\n", endpoint.authority());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        head
    }
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1.as_str())
    }

    /// Whether a Niagara server has sent this reply to a request about a key: it names a position, or explains an error as they do.
    pub fn is_ours(&self) -> bool {
        self.header("Niagara-Position").is_some() || serde_json::from_slice::<ErrorBody>(&self.body).is_ok()
    }
}

impl Endpoint {
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Sends a request and waits for the reply, at most `timeout` for each step that the server makes.
    pub fn send(&self, request: &Request, timeout: Duration) -> Result<Response, Trouble> {
        let mut stream = self.connect(timeout).map_err(Trouble::NotSent)?;
        let sent =
            stream.write_all(request.head(self).as_bytes()).and_then(|()| stream.write_all(&request.body));
        let reply = receive(&mut stream);
        match sent {
            Ok(()) => reply.map_err(Trouble::Lost),
            // A server that refuses a body (too large) answers, and closes, before it has read it.
            Err(error) => reply.map_err(|_| Trouble::NotSent(error)),
        }
    }

    /// Asks something harmless, to learn before anything is sent that matters whether a Niagara server answers HTTP here.
    pub fn recognise(&self, timeout: Duration) -> Result<(), Trouble> {
        let response = self.send(&Request::get("/healthz"), timeout.min(GREETING_TIMEOUT))?;
        match response.is_ours() || (response.status == 200 && response.body == b"ok\n") {
            true => Ok(()),
            false => Err(Trouble::Lost(foreign("an HTTP server that is no Niagara server"))),
        }
    }

    /// The same port of another host, where a server says that it listens at all addresses of its own.
    pub fn or_at_host_of(self, other: &Endpoint) -> Endpoint {
        match self.host.as_str() {
            "0.0.0.0" | "[::]" => Endpoint { host: other.host.clone(), port: self.port },
            _ => self,
        }
    }

    fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT.min(timeout)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!("servers speak plain HTTP, not {scheme}: write http://HOST:PORT"));
            }
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let parts = authority.rsplit_once(':').filter(|(host, _)| is_host(host));
        let parsed =
            parts.and_then(|(host, port)| Some((host, port.parse().ok().filter(|port| *port != 0)?)));
        match parsed {
            Some((host, port)) => Ok(Endpoint { host: host.to_owned(), port }),
            None => Err(format!("write http://HOST:PORT, for example {DEFAULT_URL}")),
        }
    }
}

/// Whether the text can be a host's name or address; an IPv6 address stands in brackets, as in URLs.
pub fn is_host(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !text.is_empty() && text.bytes().all(allowed)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl Trouble {
    /// Whether something has answered that is no Niagara server's HTTP port, so that no request had an effect.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Trouble::Lost(error) if error.kind() == ErrorKind::InvalidData)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::NotSent(error) | Trouble::Lost(error)) = self;
        match error.kind() {
            // What the system says of a socket's time limit is "Resource temporarily unavailable".
            ErrorKind::WouldBlock | ErrorKind::TimedOut => write!(f, "no answer in time"),
            ErrorKind::ConnectionRefused => write!(f, "nothing listens there"),
            _ => write!(f, "{error}"),
        }
    }
}

fn receive(stream: &mut TcpStream) -> io::Result<Response> {
    let mut input = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((mut response, body_start, length)) = parse_head(&input)? {
            let here = (input.len() - body_start) as u64;
            if length.is_some_and(|length| length > MAX_BODY_BYTES) {
                return Err(foreign("a server whose reply is larger than any of Niagara's"));
            }
            let most = length.unwrap_or(MAX_BODY_BYTES + 1).saturating_sub(here);
            stream.take(most).read_to_end(&mut input)?;
            response.body = input.split_off(body_start);
            let Some(length) = length else {
                let is_endless = response.body.len() as u64 > MAX_BODY_BYTES;
                return if is_endless {
                    Err(foreign("a server whose reply has no end"))
                } else {
                    Ok(response)
                };
            };
            if (response.body.len() as u64) < length {
                return Err(cut_short());
            }
            response.body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            return Ok(response);
        }
        if input.len() > MAX_HEAD_BYTES {
            return Err(foreign("a server whose reply has a head without end"));
        }
        match stream.read(&mut chunk) {
            Ok(0) if input.is_empty() => return Err(without_a_word()),
            Ok(0) => return Err(cut_short()),
            Ok(read) => input.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset && input.is_empty() => {
                return Err(without_a_word());
            }
            Err(error) => return Err(error),
        }
    }
}

fn cut_short() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection before its reply was complete")
}

/// So does a server that dies, and one that was called at a port for other servers.
fn without_a_word() -> io::Error {
    let what = "it closed the connection without a word, as a port does at which servers talk to each other: is this its HTTP port?";
    io::Error::new(ErrorKind::UnexpectedEof, what)
}

/// What answers is something else than what was looked for.
fn foreign(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("this is not a Niagara server's HTTP port, but {what}"))
}

/// What speaks like this, if it is not HTTP.
fn speaker(input: &[u8]) -> &'static str {
    match input {
        [b'-' | b'+' | b':' | b'$' | b'*', ..] => "one for the Redis protocol",
        [0x15 | 0x16, 0x03, ..] => "one for TLS",
        [b'S', b'S', b'H', b'-', ..] => "one for SSH",
        _ => "one that does not speak HTTP",
    }
}

/// The reply's head if it is complete, where the body starts, and how long that is if the head says it.
fn parse_head(input: &[u8]) -> io::Result<Option<(Response, usize, Option<u64>)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let body_start = match head.parse(input).map_err(|_| foreign(speaker(input)))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head.headers.iter().map(|field| (field.name.to_owned(), text(field.value))).collect();
    let status = head.code.ok_or_else(|| foreign("one whose replies have no status"))?;
    let response = Response { status, body: Vec::new(), headers };
    let length = match response.header("content-length") {
        None => None,
        Some(length) => {
            Some(length.parse().map_err(|_| foreign("one whose replies have a length that is no number"))?)
        }
    };
    Ok(Some((response, body_start, length)))
}

#[cfg(test)]
mod tests;
