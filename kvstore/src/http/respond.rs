//! Prints replies.

use std::fmt::Display;
use std::io::Write as _;

use super::site::Site;
use crate::protocol::Output;
use crate::{Description, Tag, Value};

/// What of a request decides the framing of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// 0 or 1, of HTTP/1.x.
    pub(super) minor: u8,
    pub(super) keep_alive: bool,
    /// The request was a HEAD, so the reply ends with its head.
    pub(super) head_only: bool,
    /// The web page whose script may read the reply: the number of its origin.
    pub(super) page: Option<u16>,
}

/// Headers of replies that scripts of other origins may read.
const EXPOSED: &str = "ETag, Idempotency-Replayed, Niagara-Position, Niagara-Expires-At, Retry-After";

/// The head of one reply while it is printed: [`begin`](ResponseHead::begin), headers, then one of the ends.
pub(super) struct ResponseHead<'o> {
    output: &'o mut Output,
    head_only: bool,
}

impl<'o> ResponseHead<'o> {
    pub(super) fn begin(
        output: &'o mut Output,
        status: u16,
        framing: Framing,
        site: &Site,
    ) -> ResponseHead<'o> {
        let out = output.text();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(status).as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(&site.clock.text());
        out.extend_from_slice(b"\r\n");
        match (framing.minor, framing.keep_alive) {
            (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
            (0, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (_, true) => {}
        }
        if let Some(page) = framing.page {
            out.extend_from_slice(b"Access-Control-Allow-Origin: ");
            out.extend_from_slice(site.names.origin_text(page).as_bytes());
            out.extend_from_slice(b"\r\nAccess-Control-Expose-Headers: ");
            out.extend_from_slice(EXPOSED.as_bytes());
            out.extend_from_slice(b"\r\nVary: Origin\r\n");
        }
        ResponseHead { output, head_only: framing.head_only }
    }

    pub(super) fn header(self, name: &str, value: impl Display) -> Self {
        write!(self.output.text(), "{name}: {value}\r\n").expect("writing to a buffer never fails");
        self
    }

    pub(super) fn number(self, name: &str, value: u64) -> Self {
        let out = self.output.text();
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.extend_from_slice(b"\r\n");
        self
    }

    /// The tag of a key, if the state can give one.
    pub(super) fn tag(self, tag: Option<Tag>) -> Self {
        match tag {
            Some(tag) => self.header("ETag", format_args!("\"{tag}\"")),
            None => self,
        }
    }

    /// When a key expires, in milliseconds since 1970, if it does.
    pub(super) fn expires(self, deadline: Option<u64>) -> Self {
        match deadline {
            Some(deadline) => self.number("Niagara-Expires-At", deadline),
            None => self,
        }
    }

    /// Whether it repeats the answer to a request that was executed before.
    pub(super) fn again(self, is_again: bool) -> Self {
        if is_again { self.raw(b"Idempotency-Replayed: true\r\n") } else { self }
    }

    /// Caches must ask this server before they use the reply again.
    pub(super) fn no_cache(self) -> Self {
        self.raw(b"Cache-Control: no-cache\r\n")
    }

    fn raw(self, lines: &[u8]) -> Self {
        self.output.text().extend_from_slice(lines);
        self
    }

    fn raw_header(self, name: &[u8], value: &[u8]) -> Self {
        self.raw(name).raw(b": ").raw(value).raw(b"\r\n")
    }

    /// Ends a reply that has no body and must not announce one (304).
    pub(super) fn end(self) {
        self.output.text().extend_from_slice(b"\r\n");
    }

    pub(super) fn end_empty(self) {
        self.number("Content-Length", 0).end();
    }

    pub(super) fn end_with(self, content_type: &str, body: &[u8]) {
        let this = self.header("Content-Type", content_type).number("Content-Length", body.len() as u64);
        let out = this.output.text();
        out.extend_from_slice(b"\r\n");
        if !this.head_only {
            out.extend_from_slice(body);
        }
    }

    /// Ends the head of a reply whose body follows bit by bit. Says whether it comes in chunks.
    pub(super) fn end_with_stream(self, content_type: &str, minor: u8) -> bool {
        let chunked = minor > 0;
        let this = self.header("Content-Type", content_type);
        let this = if chunked { this.raw(b"Transfer-Encoding: chunked\r\n") } else { this };
        this.end();
        chunked
    }

    /// Ends with a value of the store. A large one is not copied. A value may come from anybody who can
    /// write, so browsers must take it for its declared type, and run nothing in it.
    pub(super) fn end_with_value(self, value: Value<'_>, description: Description<'_>) {
        let Description { content_type, content_encoding } = description;
        let this = if content_type.is_empty() {
            self.raw(b"Content-Type: application/octet-stream\r\nX-Content-Type-Options: nosniff\r\n")
        } else {
            self.raw_header(b"Content-Type", content_type)
                .raw(b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n")
        };
        let this = if content_encoding.is_empty() {
            this
        } else {
            this.raw_header(b"Content-Encoding", content_encoding)
        };
        let this = this.number("Content-Length", value.len() as u64);
        this.output.text().extend_from_slice(b"\r\n");
        if !this.head_only {
            this.output.value(value);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        507 => "Insufficient Storage",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
