//! How much is held for clients that ask for more than they take.

use super::budget::Level;
use crate::protocol::{Input, Output};

/// While this many bytes of replies wait for the client, its requests are read ahead but not executed: a
/// client may write everything it has to ask before it reads the first reply.
pub(super) const PLENTY_OF_OUTPUT_BYTES: usize = 1 << 20;

/// Requests are read ahead up to this many bytes; a single request of any length fits. Beyond that they are
/// executed until the limit of waiting replies is reached.
pub(super) const READ_AHEAD_BYTES: usize = 32 << 20;

/// How much may wait for a client that does not take its replies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Most bytes of its requests that are read ahead.
    pub(super) ahead: usize,
    /// No request is executed while this many bytes of replies wait.
    pub(super) output: usize,
    /// How much of the memory for all clients is taken.
    pub(super) level: Level,
    /// Most bytes that are read now of those who hold much, together; `None` for others.
    pub(super) left: Option<usize>,
}

impl Allowance {
    /// What a client is allowed at this level, if one may have `output_limit` bytes of replies that wait.
    pub(super) fn at(level: Level, output_limit: usize) -> Allowance {
        match level {
            Level::Plenty => Allowance { ahead: READ_AHEAD_BYTES, output: output_limit, level, left: None },
            _ => Allowance { level, ..Allowance::SCANT },
        }
    }

    /// What a client is allowed once all of them together have reached their limit.
    pub(super) const SCANT: Allowance =
        Allowance { ahead: 0, output: PLENTY_OF_OUTPUT_BYTES, level: Level::Scant, left: None };

    /// Whether a request may be executed while so much waits.
    pub(super) fn may_execute(self, input: &Input, output: &Output) -> bool {
        let plenty = if input.len() < self.ahead { PLENTY_OF_OUTPUT_BYTES } else { self.output };
        output.len() < plenty.min(self.output)
    }

    /// Whether requests that take memory are refused.
    pub(super) fn is_short(self) -> bool {
        self.level >= Level::Short
    }

    /// Whether the client is not read for the moment, since it holds much and the thread has read enough of such.
    pub(super) fn is_paused(self) -> bool {
        self.left == Some(0)
    }

    /// Whether a client's bytes may be read.
    pub(super) fn may_read(self) -> bool {
        self.level < Level::Full && !self.is_paused()
    }
}
