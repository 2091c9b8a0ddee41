//! The head of a request.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, Status};
use memchr::memchr_iter;

use super::head_error::HeadError;
use super::list::{elements, join};
use super::request_line::{self, BARE_LINE_FEED, request_line};
use super::target::is_host;

/// Longest head. A key of 64 KiB takes 192 KiB if each of its bytes is percent-encoded. That leaves as much
/// for everything else as other servers allow.
pub const MAX_HEAD_BYTES: usize = 256 << 10;

/// Most header lines.
const MAX_HEADERS: usize = 64;

/// The parts of a request's head that matter here. All lines of a header that may have several are one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The target as received, percent-encoded.
    pub target: &'a str,
    /// 0 or 1, of HTTP/1.x.
    pub minor: u8,
    /// How the end of the body is known.
    pub body: Body,
    /// Whether the client means to send another request on the same connection.
    pub keep_alive: bool,
    /// Whether the client waits for an interim reply before it sends the body.
    pub expects_continue: bool,
    /// The value of Host.
    pub host: Option<&'a [u8]>,
    /// The value of Origin: the web page whose script sends the request.
    pub origin: Option<&'a [u8]>,
    /// The value of Authorization.
    pub authorization: Option<&'a [u8]>,
    /// Whether a browser asks what a script may do.
    pub is_preflight: bool,
    /// The value of If-Match.
    pub if_match: Option<Cow<'a, [u8]>>,
    /// The value of If-None-Match.
    pub if_none_match: Option<Cow<'a, [u8]>>,
    /// The value of Accept.
    pub accept: Option<Cow<'a, [u8]>>,
    /// The value of Last-Event-ID: what a browser has seen of a stream of events.
    pub last_event_id: Option<&'a [u8]>,
    /// The value of Idempotency-Key.
    pub idempotency_key: Option<&'a [u8]>,
    /// The value of Content-Type.
    pub content_type: Option<Cow<'a, [u8]>>,
    /// The value of Content-Encoding.
    pub content_encoding: Option<Cow<'a, [u8]>>,
    /// Length of the head, in bytes; the body follows.
    pub length: usize,
}

/// How the end of a request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// No header announces a body: there is none.
    Absent,
    /// It has this many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// Headers that ask for something other than the request's first line. A client that sends one would not
/// notice if it was ignored.
const UNHONOURED: [&str; 8] = [
    "Content-Range",
    "If",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Method",
];

/// Parses the head of a request at the start of `input`; `None` if it is incomplete.
///
/// ```
/// use niagara_kvstore::http::{Body, parse};
///
/// let head = parse(b"PUT /kv/a%20b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none").unwrap().unwrap();
/// assert_eq!((head.method, head.target), ("PUT", "/kv/a%20b"));
/// assert_eq!((head.body, head.length, head.keep_alive), (Body::Length(3), 54, true));
/// assert_eq!(parse(b"GET / HT"), Ok(None));
/// ```
pub fn parse(input: &[u8]) -> Result<Option<Head<'_>>, HeadError> {
    // An invalid first line ends the request, however long the rest.
    request_line(input)?;
    match find_end(input, 0)? {
        Some(end) => parse_whole(&input[..end]).map(Some),
        None => Ok(None),
    }
}

/// Where the head ends: after the first empty line. What lies before `searched` has been searched already, so
/// a head that arrives byte by byte costs no more than another.
pub(super) fn find_end(input: &[u8], searched: usize) -> Result<Option<usize>, HeadError> {
    // The empty line may have begun just before.
    let from = searched.saturating_sub(2);
    let head = &input[..input.len().min(MAX_HEAD_BYTES)];
    let end = memchr_iter(b'\n', head.get(from..).unwrap_or_default()).find_map(|at| {
        match &head[from + at + 1..] {
            [b'\n', ..] => Some(from + at + 2),
            [b'\r', b'\n', ..] => Some(from + at + 3),
            _ => None,
        }
    });
    if end.is_none() && input.len() >= MAX_HEAD_BYTES { Err(HeadError::TooLong) } else { Ok(end) }
}

/// Parses a head whose end is known.
pub(super) fn parse_whole(input: &[u8]) -> Result<Head<'_>, HeadError> {
    let line = request_line(input)?.ok_or(HeadError::Malformed("it begins with an empty line"))?;
    let lines = &input[line.length..];
    if memchr_iter(b'\n', lines).any(|at| at == 0 || lines[at - 1] != b'\r') {
        return Err(BARE_LINE_FEED);
    }
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let (length, headers) = match httparse::parse_headers(lines, &mut headers) {
        Ok(Status::Complete(parsed)) => parsed,
        Ok(Status::Partial) => return Err(HeadError::Malformed("it begins with an empty line")),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
        Err(error) => return Err(HeadError::Malformed(describe(error))),
    };
    let mut reading = Reading::of(line, line.length + length);
    headers.iter().try_for_each(|header| reading.take(header))?;
    reading.finish()
}

/// A head while its lines are read.
struct Reading<'a> {
    head: Head<'a>,
    codings: Option<Cow<'a, [u8]>>,
    closes: bool,
}

impl<'a> Reading<'a> {
    fn of(line: request_line::RequestLine<'a>, length: usize) -> Reading<'a> {
        let head = Head {
            method: line.method,
            target: line.target,
            minor: line.minor,
            body: Body::Absent,
            keep_alive: line.minor == 1,
            expects_continue: false,
            host: None,
            origin: None,
            authorization: None,
            is_preflight: false,
            if_match: None,
            if_none_match: None,
            accept: None,
            last_event_id: None,
            idempotency_key: None,
            content_type: None,
            content_encoding: None,
            length,
        };
        Reading { head, codings: None, closes: false }
    }

    /// Reads one header line.
    fn take(&mut self, header: &Header<'a>) -> Result<(), HeadError> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let (head, value) = (&mut self.head, header.value);
        if is("host") {
            if !is_host(value) {
                return Err(HeadError::Malformed("Host is not a host with or without a port"));
            }
            only(&mut head.host, value, ONE_HOST)?;
        } else if is("origin") {
            only(&mut head.origin, value, "Origin is given twice")?;
        } else if is("authorization") {
            only(&mut head.authorization, value, "Authorization is given twice")?;
        } else if is("last-event-id") {
            only(&mut head.last_event_id, value, "Last-Event-ID is given twice")?;
        } else if is("idempotency-key") {
            only(&mut head.idempotency_key, value, "Idempotency-Key is given twice")?;
        } else if is("access-control-request-method") {
            head.is_preflight = true;
        } else if is("content-length") {
            self.set_body(Body::Length(content_length(value)?))?;
        } else if is("transfer-encoding") {
            join(&mut self.codings, value);
        } else if is("connection") {
            for option in elements(value) {
                self.closes |= option.eq_ignore_ascii_case(b"close");
                head.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("expect") {
            if elements(value).any(|expectation| !expectation.eq_ignore_ascii_case(b"100-continue")) {
                return Err(HeadError::UnknownExpectation);
            }
            // An HTTP/1.0 client would take the interim reply for the reply.
            head.expects_continue |= head.minor == 1 && elements(value).next().is_some();
        } else if is("if-match") {
            join(&mut head.if_match, value);
        } else if is("if-none-match") {
            join(&mut head.if_none_match, value);
        } else if is("accept") {
            join(&mut head.accept, value);
        } else if is("content-type") {
            join(&mut head.content_type, value);
        } else if is("content-encoding") {
            join(&mut head.content_encoding, value);
        } else if let Some(name) = UNHONOURED.into_iter().find(|name| is(name)) {
            return Err(HeadError::Unhonoured(name));
        }
        Ok(())
    }

    /// Draws conclusions from all lines together.
    fn finish(mut self) -> Result<Head<'a>, HeadError> {
        if self.head.host.is_none() && self.head.minor == 1 {
            return Err(HeadError::Malformed(ONE_HOST));
        }
        if let Some(codings) = self.codings.take() {
            self.check_codings(&codings)?;
            self.set_body(Body::Chunked)?;
        }
        self.head.keep_alive &= !self.closes;
        Ok(self.head)
    }

    /// Whether `chunked` is the only coding.
    fn check_codings(&self, codings: &[u8]) -> Result<(), HeadError> {
        if self.head.minor == 0 {
            return Err(HeadError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        if elements(codings).any(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
            return Err(HeadError::UnknownCoding);
        }
        match elements(codings).count() {
            1 => Ok(()),
            0 => Err(HeadError::Malformed("Transfer-Encoding names no coding")),
            _ => Err(HeadError::Malformed("Transfer-Encoding names chunked twice")),
        }
    }

    /// Two servers in a row that use different lines for the body's length can be made to see different
    /// requests. So there must be exactly one such line.
    fn set_body(&mut self, body: Body) -> Result<(), HeadError> {
        if self.head.body != Body::Absent {
            return Err(HeadError::Malformed("the length of the body is given twice"));
        }
        self.head.body = body;
        Ok(())
    }
}

const ONE_HOST: &str = "HTTP/1.1 needs exactly one Host";

/// Takes the value of a header that may come once.
fn only<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8], twice: &'static str) -> Result<(), HeadError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Malformed(twice)),
    }
}

fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    std::str::from_utf8(value)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(HeadError::Malformed("Content-Length is not a number"))
}

fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header's name",
        httparse::Error::HeaderValue => "a header's value",
        httparse::Error::NewLine => "the end of a line",
        _ => "a header line",
    }
}

#[cfg(test)]
mod tests;
