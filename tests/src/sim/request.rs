//! What a simulated client asks for, and the command of the log that it becomes.

use bytes::Bytes;
use niagara_kvstore::{Life, Tag, Version, command};

use crate::invariants::FIFO;
use crate::linearizability::{Condition, Input};
use crate::sim::sizes::text;

/// Two keys that are only ever set together.
pub const PAIR: [&str; 2] = ["pair-a", "pair-b"];

/// Keys that only exist together: set, deleted and read by one command.
pub const GROUP: [&str; 3] = ["group-a", "group-b", "group-c"];

/// Number of keys that all clients share.
pub const KEYS: u8 = 5;

/// A key that never exists.
pub const NEVER: &str = "never";

/// A key that is only ever appended to.
pub const APPENDED: &str = "appended";

/// Name of the group where it counts as one key.
const GROUP_KEY: &str = "group";

/// Shared keys with long values.
pub const LONG_KEYS: [u8; 2] = [100, 101];

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// An operation on one of the shared keys; a get is strong.
    Key {
        /// Number of the shared key.
        key: u8,
        /// The operation.
        input: Input,
    },
    /// Sets such a key, and returns its old value.
    Swap {
        /// Number of the shared key.
        key: u8,
        /// Its new value.
        value: u64,
    },
    /// A strong read of such a key, unless it is still as the client has seen it.
    Refresh {
        /// Number of the shared key.
        key: u8,
        /// What the client has seen.
        seen: Seen,
    },
    /// Reads a key as soon as this position is executed.
    AtLeast {
        /// Number of the shared key.
        key: u8,
        /// Position in the global log.
        position: u64,
    },
    /// Reads a key at once.
    Weak {
        /// Number of the shared key.
        key: u8,
    },
    /// Sets both keys of the pair to this value.
    SetPair(u64),
    /// Reads both keys of the pair.
    GetPair,
    /// An operation on the group, as if it were one key. Setting it if absent also sets a stray key.
    Group(Input),
    /// Reads the stray key of such a set which was not done.
    Stray(u64),
    /// Appends this number.
    Append(u64),
    /// Reads what was appended.
    Appended,
    /// Reads the length of what was appended.
    AppendedLength,
    /// Reads a page of a scan.
    Scan {
        /// Where the page starts.
        cursor: u64,
        /// How many keys it should have.
        count: u64,
    },
    /// Sets the connection's own key to this number, one above that of the previous write.
    Fifo {
        /// Number of the connection.
        connection: u32,
        /// The number written.
        number: u64,
    },
    /// Reads the connection's own key, behind its write of this number and before the next.
    OwnWrite {
        /// Number of the connection.
        connection: u32,
        /// The last number written before.
        number: u64,
        /// Whether a state that is not fresh will do: in its place it still shows that write.
        weak: bool,
    },
    /// Sets a key of this number, which nobody else sets, to expire after so many milliseconds.
    Expiring {
        /// Number of the key.
        key: u64,
        /// How long it lasts.
        lasts: u64,
    },
    /// Reads such a key.
    LookAtExpiring(u64),
    /// Gives a user of this number the right to set its key, or takes it away.
    Grant {
        /// Number of the user.
        user: u64,
        /// Whether it is given.
        may: bool,
    },
    /// Becomes this user for the next request.
    Become(u64),
    /// Sets the user's key.
    SetAsUser {
        /// Number of the user.
        user: u64,
        /// The value.
        value: u64,
    },
    /// Creates the key of this number, which nobody else names, as a request that is executed once, however often it is sent.
    Once(u64),
    /// Is nobody in particular again.
    BecomeNobody,
    /// Does something in other databases than the first one, or to a setting of the state. What it is follows from the number.
    Elsewhere(u64),
    /// Limits the memory of keys that expire, or sets or reads one of those that may be evicted. What it is follows from the number.
    Cache(u64),
    /// Removes everything.
    FlushAll,
    /// Gets the page that says whether the server runs.
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

/// Name of a shared key.
pub fn name(key: u8) -> String {
    format!("k{key}")
}

/// The key that only this connection writes to.
pub fn fifo_key(connection: u32) -> String {
    format!("{}{connection}", String::from_utf8_lossy(FIFO))
}

/// The key that only one mset names: the one that sets the group to this value if it is absent.
pub fn stray_key(value: u64) -> String {
    format!("stray-{value}")
}

/// A key that expires.
pub fn expiring_key(number: u64) -> String {
    format!("due-{number}")
}

/// A key that is created by a request that is executed once.
pub fn once_key(number: u64) -> String {
    format!("once-{number}")
}

/// The bytes appended for a number.
pub fn appended(number: u64) -> Vec<u8> {
    format!("{number};").into_bytes()
}

/// A version as one number.
pub fn number_of(version: Version) -> u64 {
    version.position << 16 | u64::from(version.further)
}

/// Inverse of [`number_of`].
pub fn version_of(number: u64) -> Version {
    Version { position: number >> 16, further: number as u32 & 0xffff }
}

impl Request {
    /// The operation, and its key, in the history that all clients share; `None` if it is checked otherwise.
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

    /// The command of the log; `None` for a read. Over HTTP a version comes with the life of the state.
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

    /// Whether it concerns a key with long values.
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

/// Keys that a delete of the group names: one that does not exist, and one twice, which changes nothing.
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
