//! How much is held for clients that ask for more than they take.

use crate::protocol::{Input, Output};

/// While this many bytes of replies wait for the client to take them, its requests are not executed, but read ahead: a
/// client may write all that it has to ask before it reads the first reply.
pub(super) const PLENTY_OF_OUTPUT_BYTES: usize = 1 << 20;

/// Requests are read ahead up to this many bytes; a request of any length fits. Beyond that they are executed, until as many
/// replies wait as may.
pub(super) const READ_AHEAD_BYTES: usize = 32 << 20;

/// How much may wait for a client that does not take its replies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Most bytes of its requests that are read ahead.
    pub(super) ahead: usize,
    /// No request is executed while this many bytes of replies wait.
    pub(super) output: usize,
}

impl Allowance {
    /// What a client is allowed whose server has the memory.
    pub(super) fn generous(output_limit: usize) -> Allowance {
        Allowance { ahead: READ_AHEAD_BYTES, output: output_limit }
    }

    /// What a client is allowed when all of them together hold as much as they may.
    pub(super) const SCANT: Allowance = Allowance { ahead: 0, output: PLENTY_OF_OUTPUT_BYTES };

    /// Whether a request may be executed while so much waits.
    pub(super) fn may_execute(self, input: &Input, output: &Output) -> bool {
        let plenty = if input.len() < self.ahead { PLENTY_OF_OUTPUT_BYTES } else { self.output };
        output.len() < plenty.min(self.output)
    }
}
