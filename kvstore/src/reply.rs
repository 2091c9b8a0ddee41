//! The replies to commands. They stay in the process: each server executes the commands of its own clients
//! itself.

use std::borrow::Cow;

use bytes::Bytes;

use crate::command::MalformedCommand;
use crate::{Denied, Life, StoredValue, Version};

/// The reply to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The condition of a set, mset or delete did not hold.
    ConditionFailed {
        /// The key's version, if it exists; for an mset, that of the first existing key.
        current: Option<Version>,
        /// The key's value, if the set asked for it and the key exists.
        old: Option<Bytes>,
    },
    /// A set or mset was executed.
    Stored {
        /// The version of the key; for an mset, that of its last key.
        version: Version,
        /// Whether the key did not exist before; for an mset, its last key.
        created: bool,
        /// The previous value, if the set asked for it and there was one.
        old: Option<Bytes>,
    },
    /// A delete was executed.
    Deleted {
        /// How many of the keys existed.
        removed: u64,
    },
    /// An append was executed.
    Appended {
        /// The length of the value, in bytes.
        length: u64,
        /// The version of the key.
        version: Version,
    },
    /// An increment was executed.
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
        /// The name, which may differ from the proposed one.
        life: Life,
    },
    /// Nothing was executed.
    Failed(CommandError),
    /// The value that a query asked for, if the key exists.
    Value(Option<Bytes>),
    /// All that is stored with the key that a query or a look asked for, if it exists.
    Entry(Option<StoredValue>),
    /// The answer to a call, or to a query that is one.
    Data(Data),
    /// The answer to a script that has called commands which administer the cluster, or has tried to.
    Administered {
        /// The answer.
        data: Data,
        /// What it has called.
        acts: Vec<CalledAct>,
    },
    /// The replies to the commands of a block; `None` if a watched key has changed, so that nothing was executed.
    Block(Option<Vec<Reply>>),
    /// The replies to the commands of a choice.
    Chosen {
        /// Whether all tests hold, so that these are the first commands.
        hold: bool,
        /// The replies, in the order of the commands.
        replies: Vec<Reply>,
    },
    /// A command about time was executed.
    Timed,
    /// The user lacks a right, so nothing was executed.
    Denied(Box<Denied>),
    /// A command with its key was executed before, so nothing was executed now.
    Again {
        /// Where it was.
        position: u64,
        /// What it was answered; `None` if that was too long to be kept.
        reply: Option<Box<Reply>>,
    },
    /// A command with a key was not executed.
    NotOnce(NotOnce),
}

/// Why a command with a key was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotOnce {
    /// Another command has had its key.
    OtherRequest,
    /// It comes too late.
    Late,
    /// There is no room to remember it.
    Full,
}

impl Reply {
    /// About how many bytes it keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Reply::ConditionFailed { old: Some(value), .. }
            | Reply::Stored { old: Some(value), .. }
            | Reply::Value(Some(value)) => value.len(),
            Reply::Entry(Some(stored)) => stored.value().len(),
            Reply::Data(data) => data.bytes(),
            Reply::Administered { data, acts } => {
                data.bytes() + acts.iter().map(CalledAct::bytes).sum::<usize>()
            }
            Reply::Again { reply: Some(reply), .. } => size_of::<Reply>() + reply.bytes(),
            Reply::Block(Some(replies)) | Reply::Chosen { replies, .. } => {
                replies.iter().map(|reply| size_of::<Reply>() + reply.bytes()).sum()
            }
            _ => 0,
        }
    }
}

/// A command that administers the cluster, as a script has called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledAct {
    /// The command, without what may be a secret.
    pub what: String,
    /// Why it was not executed, if it was not.
    pub error: Option<String>,
    /// How often the script has called it with this outcome.
    pub times: u64,
}

impl CalledAct {
    fn bytes(&self) -> usize {
        size_of::<CalledAct>() + self.what.len() + self.error.as_ref().map_or(0, String::len)
    }
}

/// The answer to a command of the Redis protocol, in its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing there.
    Null,
    /// A word, such as OK.
    Word(&'static str),
    /// A line that says how it went.
    Status(Bytes),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Bytes),
    /// Several answers.
    Array(Vec<Data>),
    /// Pairs of names and answers.
    Map(Vec<(Cow<'static, str>, Data)>),
    /// Why nothing was done, with a code as its first word.
    Error(Cow<'static, str>),
}

impl Data {
    /// Done.
    pub(crate) const OK: Data = Data::Word("OK");

    /// One or zero.
    pub(crate) fn flag(is: bool) -> Data {
        Data::Integer(i64::from(is))
    }

    fn bytes(&self) -> usize {
        match self {
            Data::Status(bytes) | Data::Bulk(bytes) => bytes.len(),
            Data::Array(all) => all.iter().map(|one| size_of::<Data>() + one.bytes()).sum(),
            Data::Map(all) => {
                all.iter().map(|(name, one)| size_of::<Data>() + name.len() + one.bytes()).sum()
            }
            Data::Error(text) => text.len(),
            Data::Null | Data::Word(_) | Data::Integer(_) => 0,
        }
    }

    /// A count of keys or bytes.
    pub(crate) fn count(count: usize) -> Data {
        Data::Integer(count as i64)
    }
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The value to increment is not a decimal integer.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// The sum does not fit 64 bits.
    #[error("increment or decrement would overflow")]
    Overflow,
    /// The value would become longer than [`MAX_VALUE_BYTES`](crate::command::MAX_VALUE_BYTES).
    #[error("string exceeds maximum allowed size (16 MiB)")]
    TooLarge,
    /// Keys and values take more than they may, and the command needs more.
    #[error("command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// The log holds bytes that this version cannot decode as a command.
    #[error(transparent)]
    Malformed(MalformedCommand),
}

impl CommandError {
    /// The word that it begins with in the Redis protocol.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            CommandError::OutOfMemory => "OOM",
            _ => "ERR",
        }
    }
}
