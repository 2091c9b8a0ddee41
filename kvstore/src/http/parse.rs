//! The head of a request.

use httparse::{EMPTY_HEADER, Header, Status};
use memchr::memchr_iter;

use crate::front::Foreign;

/// Longest head. A key of 64 KiB takes 192 KiB when each of its bytes is percent-encoded, which leaves as much as other
/// servers allow for everything else.
pub const MAX_HEAD_BYTES: usize = 256 << 10;

/// Most header lines.
const MAX_HEADERS: usize = 64;

/// The parts of a request's head that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The target as it came, percent-encoded.
    pub target: &'a str,
    /// 0 or 1, of HTTP/1.x.
    pub minor: u8,
    /// How the body's end is known.
    pub body: Body,
    /// Whether the client means to send another request on the same connection.
    pub keep_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects_continue: bool,
    /// The value of If-Match.
    pub if_match: Option<&'a [u8]>,
    /// The value of If-None-Match.
    pub if_none_match: Option<&'a [u8]>,
    /// Length of the head, in bytes; the body follows.
    pub length: usize,
}

/// How the end of a request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing is said of a body: there is none.
    Absent,
    /// It has this many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// Why bytes are not the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It does not end within [`MAX_HEAD_BYTES`].
    #[error("the head of the request is longer than 256 KiB")]
    TooLong,
    /// It has more than 64 lines.
    #[error("the request has more than 64 header lines")]
    TooManyHeaders,
    /// The lines break the rules of RFC 9112.
    #[error("the head of the request is malformed: {0}")]
    Malformed(&'static str),
    /// The body comes in an encoding other than chunks.
    #[error("the body has a transfer coding other than chunked")]
    UnknownCoding,
    /// It begins as no request does.
    #[error(transparent)]
    Foreign(#[from] Foreign),
}

/// Parses the head of a request at the start of `input`; `None` if it is not all there.
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
    match find_end(input, 0)? {
        Some(end) => parse_whole(&input[..end]).map(Some),
        None => Ok(None),
    }
}

/// Where the head ends: behind the first empty line. What lies before `searched` has been searched before, so that a
/// head that comes byte by byte costs no more than another.
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

/// Parses a head whose end was found.
pub(super) fn parse_whole(input: &[u8]) -> Result<Head<'_>, HeadError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(input) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Err(HeadError::Malformed("an empty line is in its place")),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
        Err(error) => return Err(HeadError::Malformed(describe(error))),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed("its first line is incomplete"));
    };
    let mut head = Head {
        method,
        target,
        minor,
        body: Body::Absent,
        keep_alive: minor == 1,
        expects_continue: false,
        if_match: None,
        if_none_match: None,
        length,
    };
    let mut hosts = 0;
    for header in request.headers.iter() {
        hosts += usize::from(header.name.eq_ignore_ascii_case("host"));
        head.take(header)?;
    }
    if hosts > 1 || (hosts == 0 && minor == 1) {
        return Err(HeadError::Malformed("HTTP/1.1 needs exactly one Host"));
    }
    Ok(head)
}

impl<'a> Head<'a> {
    /// Takes what one header line says.
    fn take(&mut self, header: &Header<'a>) -> Result<(), HeadError> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value;
        if is("content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or(HeadError::Malformed("Content-Length is no number"))?;
            self.set_body(Body::Length(length))?;
        } else if is("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") || self.minor == 0 {
                return Err(HeadError::UnknownCoding);
            }
            self.set_body(Body::Chunked)?;
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    self.keep_alive = false;
                } else if option.eq_ignore_ascii_case(b"keep-alive") && self.minor == 0 {
                    self.keep_alive = true;
                }
            }
        } else if is("expect") {
            self.expects_continue = self.minor == 1 && value.eq_ignore_ascii_case(b"100-continue");
        } else if is("if-match") {
            once(&mut self.if_match, value)?;
        } else if is("if-none-match") {
            once(&mut self.if_none_match, value)?;
        }
        Ok(())
    }

    /// Two servers in a row that take different lines for the body's length can be made to see different requests: so
    /// there must be one such line.
    fn set_body(&mut self, body: Body) -> Result<(), HeadError> {
        if self.body != Body::Absent {
            return Err(HeadError::Malformed("the length of the body is given twice"));
        }
        self.body = body;
        Ok(())
    }
}

fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), HeadError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Malformed("a condition is given in two lines")),
    }
}

fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header's name",
        httparse::Error::HeaderValue => "a header's value",
        httparse::Error::NewLine => "the end of a line",
        httparse::Error::Token => "the method",
        httparse::Error::Version => "the version; this server speaks HTTP/1.1 and 1.0",
        _ => "its first line",
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn body_of(headers: &str) -> Result<Body, HeadError> {
        let head = format!("PUT / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        parse(head.as_bytes()).map(|head| head.expect("the head is complete").body)
    }

    #[test]
    fn the_length_of_a_body_is_said_once_and_plainly() {
        assert_eq!(body_of(""), Ok(Body::Absent));
        assert_eq!(body_of("content-length: 12\r\n"), Ok(Body::Length(12)));
        assert_eq!(body_of("Transfer-Encoding: Chunked\r\n"), Ok(Body::Chunked));
        assert_eq!(body_of("Transfer-Encoding: gzip, chunked\r\n"), Err(HeadError::UnknownCoding));
        for bad in
            ["Content-Length: -1\r\n", "Content-Length: +1\r\n", "Content-Length: 99999999999999999999\r\n"]
        {
            assert_eq!(body_of(bad), Err(HeadError::Malformed("Content-Length is no number")), "{bad}");
        }
        for twice in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(
                body_of(twice),
                Err(HeadError::Malformed("the length of the body is given twice")),
                "{twice}"
            );
        }
    }

    #[test]
    fn connections_stay_or_close_by_version() {
        for (version, line, stays) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{line}\r\n");
            assert_eq!(parse(head.as_bytes()).unwrap().unwrap().keep_alive, stays, "{head}");
        }
    }

    #[test]
    fn long_and_strange_heads_are_refused() {
        let endless = format!("GET /{} HTTP/1.1\r\n", "k".repeat(MAX_HEAD_BYTES));
        assert_eq!(parse(endless.as_bytes()), Err(HeadError::TooLong));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS));
        assert_eq!(parse(many.as_bytes()), Err(HeadError::TooManyHeaders));
        for strange in [
            "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "G=T\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ] {
            assert!(matches!(parse(strange.as_bytes()), Err(HeadError::Malformed(_))), "{strange}");
        }
    }

    proptest! {
        /// However a head is cut, its end is found in the same place.
        #[test]
        fn any_split_gives_the_same_end(
            lines in vec("[a-z]{0,3}", 1..8),
            ends in vec(prop_oneof![Just("\r\n"), Just("\n")], 8),
            step in 1usize..6,
        ) {
            let stream: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), *end]).collect();
            let whole = find_end(stream.as_bytes(), 0);
            let mut searched = 0;
            let mut found = Ok(None);
            for end in (step..stream.len()).step_by(step).chain([stream.len()]) {
                found = find_end(&stream.as_bytes()[..end], searched);
                searched = end;
                if found != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn random_bytes_do_no_harm(bytes in vec(prop_oneof![Just(b'\n'), Just(b' '), any::<u8>()], 0..100)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"GET / HTTP/1.1\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat());
        }
    }
}
