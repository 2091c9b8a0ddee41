//! One operation on a shared key: what a client may ask over each protocol, and how it reads the answer.

use std::io;
use std::time::Duration;

use niagara_kvstore::{Life, Tag, Version};

use crate::linearizability::{Condition, Input, Output};
use crate::{Endpoint, Http, Resp, Response, Value};

use niagara_testing::parts::chance::Chance;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was executed, and this is its answer.
    Done(Output),
    /// It was not executed and never will be.
    Refused,
    /// Nobody knows.
    Unknown,
    /// An answer that no correct server gives.
    Wrong(String),
}

/// Clients give up on a server that is silent for so long; its requests may be executed later,
pub(super) const PATIENCE: Duration = Duration::from_millis(1500);
/// but some wait longer than a server's own deadline of 5 seconds, to hear what it says then.
pub(super) const LONG_PATIENCE: Duration = Duration::from_millis(6500);

/// A client of one server, over one of the protocols.
pub(super) enum Connection {
    /// With the life of the cluster's state, once a tag has told it.
    Http(Http, Option<Life>),
    Redis(Resp),
}

/// What is asked of a single key. `seen` is the version that the client has just seen it in, if it has.
pub(super) fn choose(connection: &Connection, value: u64, seen: Option<u64>, random: &mut Chance) -> Input {
    let set = |condition| Input::Set { value, condition };
    if let (Connection::Http(..), Some(version)) = (connection, seen) {
        let condition = Condition::IfVersion(version);
        return if random.percent(70) { set(condition) } else { Input::Delete { condition } };
    }
    match (connection, random.below(100)) {
        (_, 0..40) => Input::Get,
        (_, 40..60) | (Connection::Http(..), 82..95) => set(Condition::Always),
        (_, 60..67) => set(Condition::IfAbsent),
        (_, 67..72) => set(Condition::IfPresent),
        (_, 72..82) => Input::Delete { condition: Condition::Always },
        (Connection::Redis(_), _) => Input::Increment { by: random.between(1, 9) as i64 - 4 },
        (Connection::Http(..), _) => Input::Delete { condition: Condition::IfPresent },
    }
}

impl Connection {
    /// A client of one server, which gives up after `patience`.
    pub(super) fn new(endpoint: &Endpoint, is_http: bool, patience: Duration) -> Connection {
        if is_http {
            Connection::Http(Http::with_timeout(endpoint.http, patience), None)
        } else {
            Connection::Redis(Resp::with_timeout(endpoint.redis, patience))
        }
    }

    /// The same client, now of another server of the cluster.
    pub(super) fn moved(&self, endpoint: &Endpoint, patience: Duration) -> Connection {
        let mut moved = Connection::new(endpoint, matches!(self, Connection::Http(..)), patience);
        if let (Connection::Http(_, known), Connection::Http(_, life)) = (self, &mut moved) {
            *life = *known;
        }
        moved
    }

    /// Asks it of a single key.
    pub(super) fn ask(&mut self, key: &str, input: &Input) -> Outcome {
        match self {
            Connection::Http(http, life) => ask_http(http, life, key, input),
            Connection::Redis(redis) => ask_redis(redis, key, input),
        }
    }

    /// Asks it of a pair of keys, as if they were one: that they are is what is tested. Only sets and gets.
    pub(super) fn ask_pair(&mut self, key: &str, input: &Input) -> Outcome {
        let Connection::Redis(redis) = self else {
            unreachable!("several keys have only the Redis protocol")
        };
        let (left, right) = (format!("{key}-left"), format!("{key}-right"));
        match input {
            Input::Set { value, .. } => {
                let value = value.to_string();
                redis_outcome(redis.command(&["MSET", &left, &value, &right, &value]), |reply| match reply {
                    Value::Simple(word) if word == "OK" => {
                        Some(Output::Written { value: None, version: None })
                    }
                    _ => None,
                })
            }
            _ => redis_outcome(redis.command(&["MGET", &left, &right]), |reply| match reply {
                Value::Array(values) if values.len() == 2 && values[0] == values[1] => found(&values[0]),
                // Anything else, two different values above all, is half an MSET.
                _ => None,
            }),
        }
    }
}

fn ask_http(http: &mut Http, life: &mut Option<Life>, key: &str, input: &Input) -> Outcome {
    let target = format!("/kv/{key}");
    let known = *life;
    let mut version_of = |response: &Response| {
        let (told, version) = version_of(response)?;
        // A state has one life, whatever server is asked.
        (*life.get_or_insert(told) == told).then_some(version)
    };
    let mut send = |method, condition: Condition, body: &str| {
        let tag;
        let header = match condition {
            Condition::Always => None,
            Condition::IfAbsent => Some(("If-None-Match", "*")),
            Condition::IfPresent => Some(("If-Match", "*")),
            Condition::IfVersion(version) => {
                let life = known.expect("a version was seen in a tag");
                tag = tag_of(life, version);
                Some(("If-Match", tag.as_str()))
            }
        };
        http.request(method, &target, header.as_slice(), body.as_bytes())
    };
    match input {
        Input::Get => http_outcome(send("GET", Condition::Always, ""), |response| match response.status {
            200 => {
                let version = Some(version_of(response)?);
                Some(Output::Found { value: response.text().parse().ok()?, version })
            }
            404 => Some(Output::Absent),
            _ => None,
        }),
        Input::Set { value, condition } => {
            http_outcome(send("PUT", *condition, &value.to_string()), |response| match response.status {
                200 | 201 => Some(Output::Written { value: None, version: Some(version_of(response)?) }),
                412 => Some(Output::ConditionFailed),
                _ => None,
            })
        }
        Input::Delete { condition } => {
            http_outcome(send("DELETE", *condition, ""), |response| match response.status {
                200 => Some(Output::Deleted { existed: true }),
                404 if *condition == Condition::Always => Some(Output::Deleted { existed: false }),
                // Of a key that is not there, HTTP says so rather than that the condition does not hold.
                404 | 412 => Some(Output::ConditionFailed),
                _ => None,
            })
        }
        Input::Increment { .. } => unreachable!("HTTP has no increments"),
    }
}

fn ask_redis(redis: &mut Resp, key: &str, input: &Input) -> Outcome {
    match input {
        Input::Get => redis_outcome(redis.command(&["GET", key]), found),
        Input::Set { value, condition } => {
            let value = value.to_string();
            let mut words = vec!["SET", key, &value];
            match condition {
                Condition::IfAbsent => words.push("NX"),
                Condition::IfPresent => words.push("XX"),
                Condition::Always | Condition::IfVersion(_) => {}
            }
            redis_outcome(redis.command(&words), |reply| match reply {
                Value::Simple(word) if word == "OK" => Some(Output::Written { value: None, version: None }),
                Value::Null => Some(Output::ConditionFailed),
                _ => None,
            })
        }
        Input::Delete { .. } => redis_outcome(redis.command(&["DEL", key]), |reply| match reply {
            Value::Integer(count @ 0..=1) => Some(Output::Deleted { existed: *count == 1 }),
            _ => None,
        }),
        Input::Increment { by } => {
            redis_outcome(redis.command(&["INCRBY", key, &by.to_string()]), |reply| match reply {
                Value::Integer(sum) => Some(Output::Written { value: Some(*sum), version: None }),
                _ => None,
            })
        }
    }
}

fn found(reply: &Value) -> Option<Output> {
    match reply {
        Value::Bulk(bytes) => {
            let value = std::str::from_utf8(bytes).ok()?.parse().ok()?;
            Some(Output::Found { value, version: None })
        }
        Value::Null => Some(Output::Absent),
        _ => None,
    }
}

/// 503, 507 and 429 say that a request was not executed; 504 that nobody knows.
fn http_outcome(answer: io::Result<Response>, mut done: impl FnMut(&Response) -> Option<Output>) -> Outcome {
    match answer {
        Ok(Response { status: 429 | 503 | 507, .. }) => Outcome::Refused,
        Ok(Response { status: 504, .. }) => Outcome::Unknown,
        Ok(response) => match done(&response) {
            Some(output) => Outcome::Done(output),
            None => Outcome::Wrong(format!(
                "HTTP status {}, {:?}: {}",
                response.status,
                response.headers,
                response.text()
            )),
        },
        Err(error) => no_answer(&error),
    }
}

/// The first word of an error says the same.
fn redis_outcome(answer: io::Result<Value>, done: impl Fn(&Value) -> Option<Output>) -> Outcome {
    match answer {
        Ok(Value::Error(text)) => match text.split(' ').next() {
            Some("OVERLOADED" | "NOQUORUM" | "READONLY" | "LOADING") => Outcome::Refused,
            Some("UNKNOWN") => Outcome::Unknown,
            _ => Outcome::Wrong(format!("-{text}")),
        },
        Ok(reply) => match done(&reply) {
            Some(output) => Outcome::Done(output),
            None => Outcome::Wrong(format!("{reply:?}")),
        },
        Err(error) => no_answer(&error),
    }
}

fn no_answer(error: &io::Error) -> Outcome {
    match error.kind() {
        // Nobody listens, so nobody has read the request.
        io::ErrorKind::ConnectionRefused => Outcome::Refused,
        io::ErrorKind::InvalidData => Outcome::Wrong(format!("it does not speak its protocol: {error}")),
        _ => Outcome::Unknown,
    }
}

/// Bits of a version that count further changes at the same position.
const FURTHER_BITS: u32 = 20;

/// The number that stands for a version in histories, another one for each version, and the life that its tag names.
fn version_of(response: &Response) -> Option<(Life, u64)> {
    let tag = response.header("etag")?.strip_prefix('"')?.strip_suffix('"')?;
    let Tag { life, version: Version { position, further } } = tag.parse().ok()?;
    let further = u64::from(further);
    (position >> (64 - FURTHER_BITS) == 0 && further >> FURTHER_BITS == 0)
        .then_some((life, (position << FURTHER_BITS) | further))
}

/// The version that a number stands for, as HTTP writes it.
fn tag_of(life: Life, version: u64) -> String {
    let further = u32::try_from(version & ((1 << FURTHER_BITS) - 1)).expect("it has so few bits");
    let version = Version { position: version >> FURTHER_BITS, further };
    format!("\"{}\"", Tag { life, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(tag: &str) -> Response {
        Response { status: 200, headers: vec![("ETag".into(), tag.into())], body: b"7".to_vec() }
    }

    #[test]
    fn versions_come_and_go_the_same() {
        let tag = |version: &str| format!("\"00000000000000ab-{version}\"");
        for version in ["1", "17", "17.2", "99999999.1000"] {
            let (life, number) = version_of(&response(&tag(version))).unwrap();
            assert_eq!(tag_of(life, number), tag(version));
        }
        for version in ["x", "99999999999999999", "1.1048576"] {
            assert_eq!(version_of(&response(&tag(version))), None, "{version}");
        }
        for tag in ["17", "\"17\"", "\"x-17\""] {
            assert_eq!(version_of(&response(tag)), None, "{tag}");
        }
    }

    #[test]
    fn what_no_correct_server_answers_is_wrong() {
        let wrong = |reply| matches!(redis_outcome(Ok(reply), found), Outcome::Wrong(_));
        assert!(wrong(Value::Integer(1)));
        assert!(wrong(Value::Bulk(b"seven".to_vec())));
        assert!(wrong(Value::Error("ERR what".into())));
        assert!(!wrong(Value::Error("UNKNOWN outcome".into())));
        assert!(!wrong(Value::Null));
    }
}
