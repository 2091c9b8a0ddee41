//! The Redis protocol, from a client's side: requests as bytes, and replies out of bytes.

use niagara_client::redis::{self, Reply, encode};
use niagara_engine::Consistency;

use super::operation::{Done, Kind, Operation, Outcome, Trouble, Verb};
use super::parsed::{Malformed, Parsed};

/// How long `WAIT` may take on the server.
const WAIT_MILLIS: &[u8] = b"1000";

/// The client's side of the protocol.
#[derive(Clone, Debug)]
pub(super) struct Redis {
    /// What is said once per connection: user and password, and that reads need not be fresh.
    pub greetings: Vec<Vec<u8>>,
    /// After each write, `WAIT` for so many replicas.
    pub wait: Option<u32>,
}

impl Redis {
    /// `weak`: reads need not be fresh.
    pub fn new(weak: bool, wait: Option<u32>, credentials: Option<(&str, &str)>) -> Redis {
        let mut greetings = Vec::new();
        let mut greet = |words: &[&[u8]]| {
            let mut greeting = Vec::new();
            encode(words, &mut greeting);
            greetings.push(greeting);
        };
        if let Some((user, password)) = credentials {
            greet(&[b"AUTH", user.as_bytes(), password.as_bytes()]);
        }
        if weak {
            greet(&[b"READONLY"]);
        }
        Redis { greetings, wait }
    }

    /// Appends a request.
    pub fn encode(&self, operation: &Operation, out: &mut Vec<u8>) {
        let Operation { verb, key, value } = operation;
        match verb {
            Verb::Set => {
                encode(&[b"SET", key, value], out);
                if let Some(replicas) = self.wait {
                    let mut number = itoa::Buffer::new();
                    encode(&[b"WAIT", number.format(replicas).as_bytes(), WAIT_MILLIS], out);
                }
            }
            Verb::Get(consistency) => {
                debug_assert!(
                    !matches!(consistency, Consistency::AtLeast(_)),
                    "the options refuse that: the protocol has no positions"
                );
                encode(&[b"GET", key], out);
            }
            Verb::Increment => encode(&[b"INCRBY", key, b"1"], out),
        }
    }

    /// The reply to an operation of this kind at the front of what has arrived, if all of it is there.
    pub fn parse<'i>(&self, kind: Kind, input: &'i [u8]) -> Result<Option<Parsed<'i>>, Malformed> {
        let Some((reply, mut bytes)) = redis::parse(input)? else { return Ok(None) };
        let mut outcome = outcome(reply);
        if let (Kind::Write, Some(replicas)) = (kind, self.wait) {
            let Some((waited, more)) = redis::parse(&input[bytes..])? else { return Ok(None) };
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

fn outcome(reply: Reply<'_>) -> Outcome<'_> {
    match reply {
        Reply::Simple(_) | Reply::Integer(_) | Reply::Bulk(None) => Outcome::Done(Done::default()),
        Reply::Bulk(Some(value)) => Outcome::Done(Done { value: Some(value), ..Done::default() }),
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

    const PLAIN: Redis = Redis { greetings: Vec::new(), wait: None };

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
        let waiting = Redis::new(false, Some(2), None);
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
        let redis = Redis::new(false, Some(2), None);
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
