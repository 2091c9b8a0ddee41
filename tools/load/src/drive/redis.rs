//! The Redis protocol, from a client's side: requests as bytes, and replies out of bytes.

use memchr::memchr;
use niagara_engine::Consistency;

use super::codec::{Malformed, Parsed};
use super::operation::{Done, Kind, Operation, Outcome, Trouble, Verb};

/// How long `WAIT` may take on the server.
const WAIT_MILLIS: u64 = 1000;

/// The client's side of the protocol.
#[derive(Clone, Debug)]
pub(super) struct Redis {
    /// Reads need not be fresh: said once per connection.
    pub weak: bool,
    /// After each write, `WAIT` for so many replicas.
    pub wait: Option<u32>,
}

impl Redis {
    /// What is said when a connection is open, before anything else; it is answered like a read.
    pub fn greeting(&self) -> Option<&'static [u8]> {
        self.weak.then_some(b"*1\r\n$8\r\nREADONLY\r\n")
    }

    /// Appends a request.
    pub fn encode(&self, operation: &Operation, out: &mut Vec<u8>) {
        let Operation { verb, key, value } = operation;
        match verb {
            Verb::Set => {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                bulk(out, key);
                bulk(out, value);
                if let Some(replicas) = self.wait {
                    out.extend_from_slice(b"*3\r\n$4\r\nWAIT\r\n");
                    bulk(out, itoa::Buffer::new().format(replicas).as_bytes());
                    bulk(out, itoa::Buffer::new().format(WAIT_MILLIS).as_bytes());
                }
            }
            Verb::Get(consistency) => {
                debug_assert!(
                    !matches!(consistency, Consistency::AtLeast(_)),
                    "the options refuse that: the protocol has no positions"
                );
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                bulk(out, key);
            }
            Verb::Increment => {
                out.extend_from_slice(b"*3\r\n$6\r\nINCRBY\r\n");
                bulk(out, key);
                out.extend_from_slice(b"$1\r\n1\r\n");
            }
        }
    }

    /// The reply to an operation of this kind at the front of what has arrived, if all of it is there.
    pub fn parse<'i>(&self, kind: Kind, input: &'i [u8]) -> Result<Option<Parsed<'i>>, Malformed> {
        let Some((reply, mut bytes)) = reply(input)? else { return Ok(None) };
        let mut outcome = outcome(reply);
        if let (Kind::Write, Some(replicas)) = (kind, self.wait) {
            let Some((waited, more)) = self::reply(&input[bytes..])? else { return Ok(None) };
            bytes += more;
            if let Outcome::Done(_) = outcome {
                outcome = match waited {
                    Reply::Integer(have) if have >= i64::from(replicas) => outcome,
                    Reply::Error(text) => Outcome::Failed(Trouble::NotReplicated, text),
                    _ => Outcome::Failed(Trouble::NotReplicated, b"WAIT returned fewer replicas"),
                };
            }
        }
        Ok(Some(Parsed { outcome, bytes, closes: false }))
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply<'i> {
    Simple,
    Error(&'i [u8]),
    Integer(i64),
    Bulk(&'i [u8]),
    Null,
}

/// The reply at the front, and its length.
fn reply(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(end) = memchr(b'\n', input) else {
        // No line of a reply to these requests is longer.
        return if input.len() > 1 << 16 {
            Err(Malformed("a line of a reply does not end"))
        } else {
            Ok(None)
        };
    };
    let line = input[..end].strip_suffix(b"\r").ok_or(Malformed("a line of a reply ends without CR"))?;
    let (&kind, rest) = line.split_first().ok_or(Malformed("a line of a reply is empty"))?;
    let reply = match kind {
        b'+' => Reply::Simple,
        b'-' => Reply::Error(rest),
        b':' => Reply::Integer(integer(rest)?),
        b'$' if rest == b"-1" => Reply::Null,
        b'_' if rest.is_empty() => Reply::Null,
        b'$' => {
            let length = usize::try_from(integer(rest)?).map_err(|_| Malformed("a length is below zero"))?;
            let all = end + 1 + length + 2;
            if input.len() < all {
                return Ok(None);
            }
            if &input[all - 2..all] != b"\r\n" {
                return Err(Malformed("a bulk string has another length than it says"));
            }
            return Ok(Some((Reply::Bulk(&input[end + 1..all - 2]), all)));
        }
        _ => return Err(Malformed("a reply is of a type that none of the commands has: is this Redis?")),
    };
    Ok(Some((reply, end + 1)))
}

fn integer(digits: &[u8]) -> Result<i64, Malformed> {
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    parsed.ok_or(Malformed("a number in a reply is none"))
}

fn outcome(reply: Reply<'_>) -> Outcome<'_> {
    match reply {
        Reply::Simple | Reply::Integer(_) | Reply::Null => Outcome::Done(Done::default()),
        Reply::Bulk(value) => Outcome::Done(Done { value: Some(value), ..Done::default() }),
        Reply::Error(text) => Outcome::Failed(trouble(text), text),
    }
}

/// What an error means, by its first word. The later ones are Redis' own, of a server that another one should be asked instead.
fn trouble(error: &[u8]) -> Trouble {
    match error.split(|byte| *byte == b' ').next().unwrap_or_default() {
        b"UNKNOWN" => Trouble::Unknown,
        b"OVERLOADED" => Trouble::Overloaded,
        b"NOQUORUM" | b"CLUSTERDOWN" | b"MASTERDOWN" | b"NOREPLICAS" => Trouble::NoQuorum,
        b"STOPPING" | b"LOADING" | b"READONLY" => Trouble::Refused,
        b"ERR" if error.starts_with(b"ERR max number of clients") => Trouble::Refused,
        _ => Trouble::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Redis = Redis { weak: false, wait: None };

    fn operation(verb: Verb) -> Operation {
        Operation { verb, key: b"key".to_vec(), value: b"va\r\nlue".to_vec() }
    }

    fn encoded(redis: &Redis, verb: Verb) -> String {
        let mut out = Vec::new();
        redis.encode(&operation(verb), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_arrays_of_bulk_strings() {
        assert_eq!(encoded(&PLAIN, Verb::Set), "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$7\r\nva\r\nlue\r\n");
        assert_eq!(encoded(&PLAIN, Verb::Get(Consistency::Strong)), "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
        assert_eq!(encoded(&PLAIN, Verb::Increment), "*3\r\n$6\r\nINCRBY\r\n$3\r\nkey\r\n$1\r\n1\r\n");
        let waiting = Redis { weak: false, wait: Some(2) };
        assert!(encoded(&waiting, Verb::Set).ends_with("*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$4\r\n1000\r\n"));
        assert!(!encoded(&waiting, Verb::Get(Consistency::Strong)).contains("WAIT"));
    }

    /// Parses a stream of replies that arrives in two parts, for every cut.
    #[test]
    fn replies_are_read_however_they_are_cut() {
        let done = |value| Outcome::Done(Done { position: 0, value });
        let failed = |trouble, text: &'static str| Outcome::Failed(trouble, text.as_bytes());
        let stream = b"+OK\r\n$5\r\na\r\nbc\r\n$-1\r\n:17\r\n$0\r\n\r\n-OVERLOADED wait\r\n-UNKNOWN outcome\r\n-STOPPING x\r\n_\r\n";
        let expected = [
            done(None),
            done(Some(b"a\r\nbc".as_slice())),
            done(None),
            done(None),
            done(Some(b"")),
            failed(Trouble::Overloaded, "OVERLOADED wait"),
            failed(Trouble::Unknown, "UNKNOWN outcome"),
            failed(Trouble::Refused, "STOPPING x"),
            done(None),
        ];
        for cut in 0..=stream.len() {
            let (mut at, mut seen) = (0, Vec::new());
            for arrived in [&stream[..cut], &stream[..]] {
                while let Some(parsed) = PLAIN.parse(Kind::Read, &arrived[at..]).unwrap() {
                    seen.push(parsed.outcome);
                    at += parsed.bytes;
                }
            }
            assert_eq!((at, seen.as_slice()), (stream.len(), expected.as_slice()), "cut at {cut}");
        }
    }

    #[test]
    fn a_write_that_waits_has_two_replies() {
        let redis = Redis { weak: false, wait: Some(2) };
        for (stream, expected) in [
            ("+OK\r\n:2\r\n", None),
            ("+OK\r\n:1\r\n", Some(Trouble::NotReplicated)),
            ("+OK\r\n-ERR no WAIT here\r\n", Some(Trouble::NotReplicated)),
            ("-OOM no\r\n:2\r\n", Some(Trouble::Rejected)),
        ] {
            for cut in 0..stream.len() {
                assert_eq!(redis.parse(Kind::Write, &stream.as_bytes()[..cut]), Ok(None), "{stream:?} {cut}");
            }
            let parsed = redis.parse(Kind::Write, stream.as_bytes()).unwrap().unwrap();
            let trouble = match parsed.outcome {
                Outcome::Done(_) => None,
                Outcome::Failed(trouble, _) => Some(trouble),
            };
            assert_eq!((parsed.bytes, trouble), (stream.len(), expected), "{stream:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for bytes in
            ["HTTP/1.1 400 Bad Request\r\n", "$2\r\nabcd", ":x\r\n", "\r\n", "$-2\r\n", "+OK\n", "*1\r\n"]
        {
            assert!(PLAIN.parse(Kind::Read, bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
