//! HTTP/1.1, from a client's side: requests as bytes, and responses out of bytes.

use niagara_engine::Consistency;

use super::operation::{Done, Operation, Outcome, Trouble, Verb};
use super::parsed::{Malformed, Parsed};

/// Headers that a response may have.
const MAX_HEADERS: usize = 32;
/// A head is not longer than this.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The client's side of the protocol, for one server.
#[derive(Clone, Debug)]
pub(super) struct Http {
    /// `Host`.
    pub host: String,
    /// Whether the connection serves further requests.
    pub keep_alive: bool,
    /// Who asks, as the header `Authorization` says it.
    pub authorization: Option<String>,
}

impl Http {
    /// Appends a request.
    pub fn encode(&self, operation: &Operation, out: &mut Vec<u8>) {
        let Operation { verb, key, value } = operation;
        let method: &[u8] = match verb {
            Verb::Set => b"PUT /kv/",
            Verb::Get(_) => b"GET /kv/",
            Verb::Increment => unreachable!("the options refuse that: the protocol has no increment"),
        };
        out.extend_from_slice(method);
        // The keys that the workloads make need no escapes.
        out.extend_from_slice(key);
        match verb {
            Verb::Get(Consistency::Weak) => out.extend_from_slice(b"?read=weak"),
            Verb::Get(Consistency::AtLeast(position)) => {
                out.extend_from_slice(b"?read=at-least:");
                out.extend_from_slice(itoa::Buffer::new().format(position.get()).as_bytes());
            }
            _ => {}
        }
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.host.as_bytes());
        if let Some(authorization) = &self.authorization {
            out.extend_from_slice(b"\r\nAuthorization: ");
            out.extend_from_slice(authorization.as_bytes());
        }
        if !self.keep_alive {
            out.extend_from_slice(b"\r\nConnection: close");
        }
        if *verb == Verb::Set {
            out.extend_from_slice(b"\r\nContent-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(value.len()).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(value);
        } else {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    /// The response at the front of what has arrived, if all of it is there.
    pub fn parse(input: &[u8]) -> Result<Option<Parsed<'_>>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(input) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if input.len() > MAX_HEAD_BYTES => {
                return Err(Malformed("the head of a response does not end"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed("a response is not HTTP/1.x: is this an HTTP server?")),
        };
        let status = response.code.unwrap_or(0);
        let (mut length, mut position, mut closes) = (None, 0, response.version == Some(0));
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                length = Some(number(header.value).ok_or(Malformed("Content-Length is no number"))?);
            } else if header.name.eq_ignore_ascii_case("niagara-position") {
                position = number(header.value).ok_or(Malformed("Niagara-Position is no number"))?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                closes = !header.value.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        let length = match length {
            _ if status == 204 || status == 304 => 0,
            Some(length) => usize::try_from(length).map_err(|_| Malformed("a body is too long"))?,
            None => return Err(Malformed("a response does not say how long its body is")),
        };
        let bytes = head.checked_add(length).ok_or(Malformed("a body is too long"))?;
        let Some(body) = input.get(head..bytes) else { return Ok(None) };
        let outcome = match status {
            200..=299 => Outcome::Done(Done { position, value: Some(body) }),
            404 => Outcome::Done(Done { position, value: None }),
            429 => Outcome::Failed(Trouble::Overloaded, body),
            503 if has_word(body, b"no_quorum") || has_word(body, b"no_leader") => {
                Outcome::Failed(Trouble::NoQuorum, body)
            }
            503 | 507 => Outcome::Failed(Trouble::Refused, body),
            500 | 502 | 504 => Outcome::Failed(Trouble::Unknown, body),
            _ => Outcome::Failed(Trouble::Rejected, body),
        };
        Ok(Some(Parsed { outcome, bytes, closes }))
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether the fixed word of an error is this one.
fn has_word(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

#[cfg(test)]
mod tests {
    use niagara_engine::GlobalPosition;

    use super::*;

    fn encoded(keep_alive: bool, verb: Verb) -> String {
        let http = Http { host: "h:1".into(), keep_alive, authorization: None };
        let mut out = Vec::new();
        http.encode(&Operation { verb, key: b"key".to_vec(), value: b"value".to_vec() }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_say_all_that_is_asked_for() {
        assert_eq!(
            encoded(true, Verb::Set),
            "PUT /kv/key HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nvalue"
        );
        assert_eq!(
            encoded(true, Verb::Get(Consistency::Strong)),
            "GET /kv/key HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
        assert_eq!(
            encoded(false, Verb::Get(Consistency::Weak)),
            "GET /kv/key?read=weak HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"
        );
        let at_least = Verb::Get(Consistency::AtLeast(GlobalPosition::new(17)));
        assert!(encoded(true, at_least).starts_with("GET /kv/key?read=at-least:17 HTTP/1.1\r\n"));
    }

    #[test]
    fn responses_are_read_however_they_are_cut() {
        let stream = b"HTTP/1.1 201 Created\r\nDate: x\r\nNiagara-Position: 9\r\nContent-Length: 0\r\n\r\n\
            HTTP/1.1 200 OK\r\nNiagara-Position: 12\r\nContent-Length: 6\r\n\r\na\r\n\r\nb\
            HTTP/1.1 404 Not Found\r\nNiagara-Position: 12\r\ncontent-length: 2\r\n\r\n{}\
            HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}\
            HTTP/1.1 503 Service Unavailable\r\nContent-Length: 19\r\n\r\n{\"error\":\"no_lead\"}\
            HTTP/1.1 503 Service Unavailable\r\nContent-Length: 21\r\n\r\n{\"error\":\"no_leader\"}\
            HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let done = |position, value| Outcome::Done(Done { position, value });
        let failed = |trouble, body: &'static [u8]| Outcome::Failed(trouble, body);
        let expected = [
            (done(9, Some(b"".as_slice())), false),
            (done(12, Some(b"a\r\n\r\nb")), false),
            (done(12, None), false),
            (failed(Trouble::Overloaded, b"{}"), false),
            (failed(Trouble::Refused, b"{\"error\":\"no_lead\"}"), false),
            (failed(Trouble::NoQuorum, b"{\"error\":\"no_leader\"}"), false),
            (failed(Trouble::Unknown, b"{}"), true),
        ];
        for cut in 0..=stream.len() {
            let (mut at, mut seen) = (0, Vec::new());
            for arrived in [&stream[..cut], &stream[..]] {
                while let Some(parsed) = Http::parse(&arrived[at..]).unwrap() {
                    seen.push((parsed.outcome, parsed.closes));
                    at += parsed.bytes;
                }
            }
            assert_eq!((at, seen.as_slice()), (stream.len(), expected.as_slice()), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bytes in [
            "-ERR max number of clients reached\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        ] {
            assert!(Http::parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
