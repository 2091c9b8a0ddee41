//! What a simulated client asks for, and the command of the log that it becomes.

use bytes::Bytes;
use niagara_kvstore::{Life, Tag, Version, command};

use crate::invariants::FIFO;
use crate::linearizability::{Condition, Input};
use crate::sim::sizes::text;

/// Two keys that are only ever set together.
pub const PAIR: [&str; 2] = ["pair-a", "pair-b"];

/// Keys that are only ever there together: set, deleted and read by one command.
pub const GROUP: [&str; 3] = ["group-a", "group-b", "group-c"];

/// Keys that everybody works on.
pub const KEYS: u8 = 5;

/// A key that is never there.
pub const NEVER: &str = "never";

/// A key that is only ever appended to.
pub const APPENDED: &str = "appended";

/// What the group is called where it counts as one key.
const GROUP_KEY: &str = "group";

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
    /// Such a key gets a value, and the value before is asked for.
    Swap {
        /// Which of the keys.
        key: u8,
        /// Its new value.
        value: u64,
    },
    /// A strong read of such a key, unless it is still as the client has seen it.
    Refresh {
        /// Which of the keys.
        key: u8,
        /// What the client has seen.
        seen: Seen,
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
    /// Both keys of the pair get this value.
    SetPair(u64),
    /// Both keys of the pair are read.
    GetPair,
    /// An operation on the group, as if it were one key. To set it if it is absent sets a stray key, too.
    Group(Input),
    /// The stray key of such a set, which was not done, is read.
    Stray(u64),
    /// This number is appended.
    Append(u64),
    /// What was appended is read.
    Appended,
    /// Its length is.
    AppendedLength,
    /// A page of a scan.
    Scan {
        /// Where it goes on.
        cursor: u64,
        /// How many keys it should have.
        count: u64,
    },
    /// The connection's own key gets this number, one above that of the write before.
    Fifo {
        /// The connection.
        connection: u32,
        /// The number.
        number: u64,
    },
    /// Everything is removed.
    FlushAll,
    /// The page that says that the server runs.
    Health,
}

/// What a client has seen of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version, as one number.
    pub version: u64,
    /// The value.
    pub value: i64,
}

/// The name of one of the keys that everybody works on.
pub fn name(key: u8) -> String {
    format!("k{key}")
}

/// The key that a connection alone writes to.
pub fn fifo_key(connection: u32) -> String {
    format!("{}{connection}", String::from_utf8_lossy(FIFO))
}

/// The key that only one mset names: that which sets the group to this value if it is absent.
pub fn stray_key(value: u64) -> String {
    format!("stray-{value}")
}

/// What is appended for a number.
pub fn appended(number: u64) -> Vec<u8> {
    format!("{number};").into_bytes()
}

/// A version as one number.
pub fn number_of(version: Version) -> u64 {
    version.position << 16 | u64::from(version.further)
}

/// The version that a number stands for.
pub fn version_of(number: u64) -> Version {
    Version { position: number >> 16, further: number as u32 & 0xffff }
}

impl Request {
    /// The operation that it is in the history that all clients share, and the key there; nothing if it is checked otherwise.
    pub fn operation(&self) -> Option<(String, Input)> {
        Some(match self {
            Request::Key { key, input } => (name(*key), input.clone()),
            Request::Swap { key, value } => {
                (name(*key), Input::Set { value: *value, condition: Condition::Always })
            }
            Request::Refresh { key, .. } => (name(*key), Input::Get),
            Request::Group(input) => (GROUP_KEY.into(), input.clone()),
            _ => return None,
        })
    }

    /// What a flush does to the keys of that history.
    pub fn flushed() -> impl Iterator<Item = (String, Input)> {
        let keys = (0..KEYS).chain(LONG_KEYS).map(name).chain([GROUP_KEY.into()]);
        keys.map(|key| (key, Input::Delete { condition: Condition::Always }))
    }

    /// The command of the log; nothing for a read. Over HTTP a version is named together with the life of the state.
    pub fn command(&self, life: Option<Life>) -> Option<Bytes> {
        let mut bytes = Vec::new();
        match self {
            Request::Key { key, input } => encode(name(*key).as_bytes(), input, life, &mut bytes)?,
            Request::Swap { key, value } => {
                let key = name(*key);
                command::encode_set_head(&mut bytes, key.as_bytes(), &command::Condition::Always, true);
                bytes.extend_from_slice(&text(*value));
            }
            Request::SetPair(value) => encode_mset(&PAIR, *value, false, &mut bytes),
            Request::Group(Input::Set { value, condition: Condition::IfAbsent }) => {
                let [a, b, c] = GROUP;
                encode_mset(&[&stray_key(*value), a, b, c], *value, true, &mut bytes);
            }
            Request::Group(Input::Set { value, .. }) => encode_mset(&GROUP, *value, false, &mut bytes),
            Request::Group(Input::Delete { .. }) => {
                let keys = deleted_with_group().map(str::as_bytes);
                command::encode_delete(&mut bytes, keys.into_iter(), &command::Condition::Always);
            }
            Request::FlushAll => command::encode_flush_all(&mut bytes),
            Request::Append(number) => {
                command::encode_append(&mut bytes, APPENDED.as_bytes(), &appended(*number));
            }
            Request::Fifo { connection, number } => {
                let key = fifo_key(*connection);
                command::encode_set_head(&mut bytes, key.as_bytes(), &command::Condition::Always, false);
                bytes.extend_from_slice(number.to_string().as_bytes());
            }
            _ => return None,
        }
        Some(bytes.into())
    }

    /// Whether it is about a key with long values.
    pub fn is_long(&self) -> bool {
        match self {
            Request::Key { key, .. } | Request::Swap { key, .. } => LONG_KEYS.contains(key),
            _ => false,
        }
    }

    /// Whether no other request has the same command.
    pub fn is_unlike_others(&self) -> bool {
        matches!(
            self,
            Request::Key { input: Input::Set { .. }, .. }
                | Request::Swap { .. }
                | Request::SetPair(_)
                | Request::Group(Input::Set { .. })
                | Request::Append(_)
                | Request::Fifo { .. }
        )
    }
}

/// What a delete of the group names: one key that is not there, and one twice, which changes nothing.
pub fn deleted_with_group() -> [&'static str; 5] {
    let [a, b, c] = GROUP;
    [a, NEVER, b, c, a]
}

fn encode_mset(keys: &[&str], value: u64, if_absent: bool, bytes: &mut Vec<u8>) {
    let value = value.to_string();
    let pairs = keys.iter().map(|key| (key.as_bytes(), value.as_bytes()));
    command::encode_mset(bytes, pairs, if_absent);
}

fn encode(key: &[u8], input: &Input, life: Option<Life>, bytes: &mut Vec<u8>) -> Option<()> {
    match input {
        Input::Get => return None,
        Input::Set { value, condition } => {
            command::encode_set_head(bytes, key, &condition_of(*condition, life), false);
            bytes.extend_from_slice(&text(*value));
        }
        Input::Delete { condition } => {
            command::encode_delete(bytes, [key].into_iter(), &condition_of(*condition, life));
        }
        Input::Increment { by } => command::encode_incr_by(bytes, key, *by),
    }
    Some(())
}

fn condition_of(condition: Condition, life: Option<Life>) -> command::Condition {
    match (condition, life) {
        (Condition::Always, _) => command::Condition::Always,
        (Condition::IfAbsent, _) => command::Condition::IfAbsent,
        (Condition::IfPresent, _) => command::Condition::IfPresent,
        (Condition::IfVersion(number), None) => command::Condition::IfAnyVersion(vec![version_of(number)]),
        (Condition::IfVersion(number), Some(life)) => {
            command::Condition::IfAnyTag(vec![Tag { life, version: version_of(number) }])
        }
    }
}
