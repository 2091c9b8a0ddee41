//! What a simulated client asks for, as a Redis command and as a command of the log.

use bytes::Bytes;
use niagara_kvstore::{Version, command};

use super::sizes::text;
use crate::invariants::FIFO;
use crate::linearizability::{Condition, Input};
use crate::resp;

/// Two keys that are only ever set together.
pub const PAIR: [&str; 2] = ["pair-a", "pair-b"];

/// Keys with long values that everybody works on.
pub const LONG_KEYS: [u8; 2] = [100, 101];

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// An operation on one of the keys that everybody works on; a get is strong.
    Key {
        /// Which of the keys.
        key: u8,
        /// What is asked.
        input: Input,
    },
    /// Both keys of the pair get this value.
    SetPair(u64),
    /// Both keys of the pair are read.
    GetPair,
    /// The connection's own key gets this number, one above that of the write before.
    Fifo {
        /// The connection.
        connection: u32,
        /// The number.
        number: u64,
    },
    /// A key is read as soon as this position is executed.
    AtLeast {
        /// Which of the keys.
        key: u8,
        /// The position.
        position: u64,
    },
    /// A key is read at once.
    Weak {
        /// Which of the keys.
        key: u8,
    },
}

/// The name of one of the keys that everybody works on.
pub fn name(key: u8) -> String {
    format!("k{key}")
}

/// A version as one number.
pub fn number_of(version: Version) -> u64 {
    version.position << 16 | u64::from(version.further)
}

fn version_of(number: u64) -> Version {
    Version { position: number >> 16, further: number as u32 & 0xffff }
}

impl Request {
    /// The Redis command; a condition on a version cannot be said.
    pub fn redis(&self) -> Vec<u8> {
        let words: Vec<Vec<u8>> = match self {
            Request::Key { key, input } => redis_words(&name(*key), input),
            Request::SetPair(value) => {
                let pairs = PAIR.iter().flat_map(|key| [(*key).into(), value.to_string().into()]);
                [b"MSET".to_vec()].into_iter().chain(pairs).collect()
            }
            Request::GetPair => ["MGET", PAIR[0], PAIR[1]].map(Vec::from).into(),
            Request::Fifo { connection, number } => {
                vec![b"SET".to_vec(), fifo_key(*connection).into(), number.to_string().into()]
            }
            Request::AtLeast { .. } | Request::Weak { .. } => unreachable!("asked of the engine itself only"),
        };
        resp::encode(&words)
    }

    /// The command of the log; nothing for a read.
    pub fn command(&self) -> Option<Bytes> {
        let mut bytes = Vec::new();
        match self {
            Request::Key { key, input } => encode(name(*key).as_bytes(), input, &mut bytes)?,
            Request::SetPair(value) => {
                let value = value.to_string();
                let pairs = PAIR.iter().map(|key| (key.as_bytes(), value.as_bytes()));
                command::encode_mset(&mut bytes, pairs, false);
            }
            Request::Fifo { connection, number } => {
                let key = fifo_key(*connection);
                command::encode_set_head(&mut bytes, key.as_bytes(), &command::Condition::Always, false);
                bytes.extend_from_slice(number.to_string().as_bytes());
            }
            Request::GetPair | Request::AtLeast { .. } | Request::Weak { .. } => return None,
        }
        Some(bytes.into())
    }

    /// Whether it is about a key with long values.
    pub fn is_long(&self) -> bool {
        matches!(self, Request::Key { key, .. } if LONG_KEYS.contains(key))
    }

    /// Whether no other request has the same command.
    pub fn is_unlike_others(&self) -> bool {
        matches!(
            self,
            Request::Key { input: Input::Set { .. }, .. } | Request::SetPair(_) | Request::Fifo { .. }
        )
    }
}

fn fifo_key(connection: u32) -> String {
    format!("{}{connection}", String::from_utf8_lossy(FIFO))
}

fn redis_words(key: &str, input: &Input) -> Vec<Vec<u8>> {
    let key = key.into();
    match input {
        Input::Get => vec!["GET".into(), key],
        Input::Set { value, condition } => {
            let mut words = vec!["SET".into(), key, text(*value)];
            match condition {
                Condition::Always => {}
                Condition::IfAbsent => words.push("NX".into()),
                Condition::IfPresent => words.push("XX".into()),
                Condition::IfVersion(_) => unreachable!("Redis clients do not know versions"),
            }
            words
        }
        Input::Delete { .. } => vec!["DEL".into(), key],
        Input::Increment { by } => vec!["INCRBY".into(), key, by.to_string().into()],
    }
}

fn encode(key: &[u8], input: &Input, bytes: &mut Vec<u8>) -> Option<()> {
    match input {
        Input::Get => return None,
        Input::Set { value, condition } => {
            command::encode_set_head(bytes, key, &condition_of(*condition), false);
            bytes.extend_from_slice(&text(*value));
        }
        Input::Delete { condition } => {
            command::encode_delete(bytes, [key].into_iter(), &condition_of(*condition));
        }
        Input::Increment { by } => command::encode_incr_by(bytes, key, *by),
    }
    Some(())
}

fn condition_of(condition: Condition) -> command::Condition {
    match condition {
        Condition::Always => command::Condition::Always,
        Condition::IfAbsent => command::Condition::IfAbsent,
        Condition::IfPresent => command::Condition::IfPresent,
        Condition::IfVersion(number) => command::Condition::IfAnyVersion(vec![version_of(number)]),
    }
}
