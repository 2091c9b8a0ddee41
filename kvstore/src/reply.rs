//! What a command answers. Replies stay in the process: each server executes the commands of its own clients itself.

use bytes::Bytes;

use crate::command::MalformedCommand;
use crate::{Life, Version};

/// The reply to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A set, mset, or a delete with a condition was not done, because its condition did not hold.
    ConditionFailed {
        /// The key's version, if it exists; of an mset, that of the first key that exists.
        current: Option<Version>,
        /// The key's value, if the set asked for it and there is one.
        old: Option<Bytes>,
    },
    /// A set or mset was done.
    Stored {
        /// The version of the key; of an mset, that of its last key.
        version: Version,
        /// Whether the key did not exist before; of an mset, its last key.
        created: bool,
        /// The value before, if the set asked for it and there was one.
        old: Option<Bytes>,
    },
    /// A delete was done.
    Deleted {
        /// How many of the keys existed.
        removed: u64,
    },
    /// An append was done.
    Appended {
        /// The length of the value, in bytes.
        length: u64,
        /// The version of the key.
        version: Version,
    },
    /// An increment was done.
    Counted {
        /// The value.
        value: i64,
        /// The version of the key.
        version: Version,
    },
    /// Every key was removed.
    Flushed,
    /// The life of the state has a name.
    Named {
        /// The name, which may be another one than was proposed.
        life: Life,
    },
    /// Nothing was done.
    Failed(CommandError),
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The value to increment is no decimal integer.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// The sum does not fit 64 bits.
    #[error("increment or decrement would overflow")]
    Overflow,
    /// The value would become longer than [`MAX_VALUE_BYTES`](crate::command::MAX_VALUE_BYTES).
    #[error("string exceeds maximum allowed size (16 MiB)")]
    TooLarge,
    /// The log holds bytes that this version cannot read as a command.
    #[error(transparent)]
    Malformed(MalformedCommand),
}
