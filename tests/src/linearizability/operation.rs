//! What a client did, as the checker sees it.

use std::fmt::{self, Debug, Display, Formatter};

/// What a client asked of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Reads it.
    Get,
    /// Sets its value.
    Set {
        /// The new value. Its 64 bits are those of the `i64` in [`Output::Found`].
        value: u64,
        /// Condition for the write.
        condition: Condition,
    },
    /// Removes it.
    Delete {
        /// Condition for the removal.
        condition: Condition,
    },
    /// Adds to its value; an absent key counts as 0.
    Increment {
        /// Number to add.
        by: i64,
    },
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No condition.
    Always,
    /// The key does not exist.
    IfAbsent,
    /// The key exists.
    IfPresent,
    /// The key exists, and its value comes from the change with this version.
    IfVersion(u64),
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For a Get: the key exists.
    Found {
        /// Its value.
        value: i64,
        /// The version of the change that the value comes from, if the client was told.
        version: Option<u64>,
    },
    /// For a Get: the key does not exist.
    Absent,
    /// For a Set or an Increment: done.
    Written {
        /// For an Increment: the sum.
        value: Option<i64>,
        /// The version of this change, if the client was told.
        version: Option<u64>,
    },
    /// For a Set: done, and the client was shown the old value.
    Swapped {
        /// The old value; `None` if the key did not exist.
        before: Option<i64>,
    },
    /// For a Delete: done.
    Deleted {
        /// Whether the key existed.
        existed: bool,
    },
    /// For a conditional Set or Delete: the condition did not hold, and nothing was done.
    ConditionFailed,
}

/// One operation on one key.
///
/// Times are any numbers that never fall, from one clock for all clients: nanoseconds, or a count of events.
/// One operation precedes another if it ended at a *lower* time than the other began at; at equal times they
/// overlap.
#[derive(Clone, Debug)]
pub struct Operation<K> {
    /// Number of the client; only for the reader of a violation.
    pub client: u64,
    /// The key that it concerns.
    pub key: K,
    /// When the client asked.
    pub began: u64,
    /// When the client was told, and what. `None` is an unknown outcome: it may have happened at any time
    /// from `began` on, or never. Leave out operations that were refused, and so did not happen.
    pub ended: Option<(u64, Output)>,
    /// What the client asked.
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
