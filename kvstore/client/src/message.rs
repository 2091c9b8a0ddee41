//! HTTP requests and replies, as bytes.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;

use crate::address::HostPort;
use crate::outcome::Outcome;

const MAX_HEADERS: usize = 64;
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Escapes all bytes of a key except those that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request that can be sent to any server.
///
/// ```
/// use niagara_client::Request;
///
/// // Creates the key, or does nothing if it exists.
/// let create = Request::on_key("PUT", b"a key", "").header("If-None-Match", "*").body(b"value".to_vec());
/// let read_anything = Request::on_key("GET", b"a key", "?read=weak");
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code, such as 200.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// The body of an error reply.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Request {
    /// A GET request.
    pub fn get(target: impl Into<String>) -> Self {
        Request { method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A POST request.
    pub fn post(target: impl Into<String>) -> Self {
        Request { method: "POST", ..Request::get(target) }
    }

    /// A request for a key. `query` is empty or begins with `?`.
    pub fn on_key(method: &'static str, key: &[u8], query: &str) -> Self {
        let target = format!("/kv/{}{query}", percent_encode(key, ESCAPED));
        Request { method, target, headers: Vec::new(), body: Vec::new() }
    }

    /// A request for a page of the keys with a prefix. `query` is empty or begins with `&`.
    ///
    /// ```
    /// use niagara_client::Request;
    ///
    /// let first = Request::list(b"user/", "&limit=10&values=true");
    /// ```
    pub fn list(prefix: &[u8], query: &str) -> Self {
        Request::get(format!("/kv?prefix={}{query}", percent_encode(prefix, ESCAPED)))
    }

    /// A request for the changes of the keys with a prefix. `query` is empty or begins with `&`.
    pub fn watch(prefix: &[u8], query: &str) -> Self {
        Request::get(format!("/watch?prefix={}{query}", percent_encode(prefix, ESCAPED)))
    }

    /// Sets the body.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds an Idempotency-Key that no other request has: servers execute it once, however often it is sent.
    ///
    /// # Panics
    /// If the system has no random numbers.
    #[must_use]
    pub fn with_key(self) -> Self {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system has random numbers");
        let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// Whether it has an Idempotency-Key.
    pub(crate) fn has_key(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY))
    }

    /// Its head for this server. `authorization` says who asks.
    pub(crate) fn head(&self, server: &HostPort, authorization: Option<&str>) -> String {
        let Request { method, target, headers, body } = self;
        let mut head = format!("{method} {target} HTTP/1.0\r\nHost: {server}\r\n");
        if let Some(authorization) = authorization {
            let _ = write!(head, "Authorization: {authorization}\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        head
    }
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1.as_str())
    }

    /// The position in the global log that the reply names: of the write, or of the state that was read.
    pub fn position(&self) -> Option<u64> {
        self.header("Niagara-Position")?.parse().ok()
    }

    /// The key's version now, as conditions take it but without quotes, or `None` if the key does not exist.
    pub fn version(&self) -> Option<&str> {
        self.header("ETag").map(|tag| tag.trim_matches('"'))
    }

    /// The server's explanation, if the reply is an error.
    pub fn explanation(&self) -> Option<ErrorBody> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The outcome of the request.
    pub fn outcome(&self) -> Outcome {
        Outcome::of_status(self.status)
    }

    /// What happened, in the server's words if it explains it.
    pub(crate) fn what_happened(&self) -> String {
        let unexplained = || format!("the answer was HTTP status {} without an explanation", self.status);
        self.explanation().map_or_else(unexplained, |explained| explained.message)
    }

    /// Whether the servers have yet to compare their clocks, which takes them a moment at their start.
    pub(crate) fn is_early(&self) -> bool {
        #[derive(Deserialize)]
        struct Word {
            error: String,
        }
        serde_json::from_slice::<Word>(&self.body).is_ok_and(|word| word.error == "no_clock")
    }

    /// Whether a Niagara server sent this reply to a request for a key: it names a position, or explains an
    /// error as Niagara does.
    pub fn is_ours(&self) -> bool {
        self.header("Niagara-Position").is_some() || self.explanation().is_some()
    }
}

/// The reply's head if it is complete, where the body starts, and the body's length if the head gives it.
pub(crate) fn parse_head(input: &[u8]) -> io::Result<Option<(Response, usize, Option<u64>)>> {
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
            Some(length.parse().map_err(|_| foreign("one whose replies have an invalid Content-Length"))?)
        }
    };
    Ok(Some((response, body_start, length)))
}

/// Something else answers than the server we looked for.
pub(crate) fn foreign(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("this is not a Niagara server's HTTP port, but {what}"))
}

/// The protocol of something that answers like this, if it is not HTTP.
fn speaker(input: &[u8]) -> &'static str {
    match input {
        [b'-' | b'+' | b':' | b'$' | b'*', ..] => "one for the Redis protocol",
        [0x15 | 0x16, 0x03, ..] => "one for TLS",
        [b'S', b'S', b'H', b'-', ..] => "one for SSH",
        _ => "one that does not speak HTTP",
    }
}
