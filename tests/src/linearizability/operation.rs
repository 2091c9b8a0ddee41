//! What a client did, as the checker sees it.

use std::fmt::{self, Debug, Display, Formatter};

/// What a client asked of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// To read it.
    Get,
    /// To give it a value.
    Set {
        /// The new value. Its 64 bits are those of the `i64` that a [`Output::Found`] shows.
        value: u64,
        /// When to.
        condition: Condition,
    },
    /// To remove it.
    Delete {
        /// When to.
        condition: Condition,
    },
    /// To add to its value, where an absent key counts as 0.
    Increment {
        /// How much.
        by: i64,
    },
}

/// What must be true of a key for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Anything.
    Always,
    /// It does not exist.
    IfAbsent,
    /// It exists.
    IfPresent,
    /// It exists, and its value comes from the change with this version.
    IfVersion(u64),
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Of a Get: the key exists.
    Found {
        /// Its value.
        value: i64,
        /// The version of the change that the value comes from, if the client was told.
        version: Option<u64>,
    },
    /// Of a Get: the key does not exist.
    Absent,
    /// Of a Set or an Increment: done.
    Written {
        /// Of an Increment: the sum.
        value: Option<i64>,
        /// The version of this change, if the client was told.
        version: Option<u64>,
    },
    /// Of a Set: done, and the client was shown what the key held before.
    Swapped {
        /// The value before; nothing if the key did not exist.
        before: Option<i64>,
    },
    /// Of a Delete: done.
    Deleted {
        /// Whether the key existed.
        existed: bool,
    },
    /// Of a conditional Set or Delete: the condition did not hold, and nothing was done.
    ConditionFailed,
}

/// One operation on one key.
///
/// Times are any numbers that never go back, the same clock for all clients: nanoseconds, or a count of events. One
/// operation precedes another if it ended at a *lower* time than the other began at; at the same time they overlap.
#[derive(Clone, Debug)]
pub struct Operation<K> {
    /// Who asked; only for the reader of a violation.
    pub client: u64,
    /// Of which key.
    pub key: K,
    /// When the client asked.
    pub began: u64,
    /// When it was told, and what. `None` is an unknown outcome: it may have happened at any time from `began` on,
    /// or never. Operations that were refused, and so did not happen, are to be left out of a history.
    pub ended: Option<(u64, Output)>,
    /// What it asked.
    pub input: Input,
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Always => Ok(()),
            Condition::IfAbsent => f.write_str(" if absent"),
            Condition::IfPresent => f.write_str(" if present"),
            Condition::IfVersion(version) => write!(f, " if its version is {version}"),
        }
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Input::Get => f.write_str("get"),
            Input::Set { value, condition } => write!(f, "set {}{condition}", value.cast_signed()),
            Input::Delete { condition } => write!(f, "delete{condition}"),
            Input::Increment { by } => write!(f, "increment by {by}"),
        }
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Output::Found { value, .. } => write!(f, "found {value}")?,
            Output::Absent => f.write_str("absent")?,
            Output::Written { value: Some(sum), .. } => write!(f, "done, the sum is {sum}")?,
            Output::Written { value: None, .. } => f.write_str("done")?,
            Output::Swapped { before: Some(before) } => write!(f, "done, it held {before}")?,
            Output::Deleted { existed: true } => f.write_str("done, it existed")?,
            Output::Swapped { before: None } | Output::Deleted { existed: false } => {
                f.write_str("done, there was nothing")?;
            }
            Output::ConditionFailed => f.write_str("the condition did not hold")?,
        }
        match self {
            Output::Found { version: Some(version), .. } | Output::Written { version: Some(version), .. } => {
                write!(f, " (version {version})")
            }
            _ => Ok(()),
        }
    }
}

/// One line without the key: times, client, question and answer.
impl<K> Display for Operation<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Operation { client, began, input, .. } = self;
        match &self.ended {
            Some((ended, output)) => {
                write!(f, "{began:>8} to {ended:>8}  client {client:<3} {input}: {output}")
            }
            None => write!(f, "{began:>8} to        ?  client {client:<3} {input}: unknown outcome"),
        }
    }
}
