//! Why a call or a query did not succeed.

use crate::outcome::{ReadFailed, Refused, Retry, Unknown};

/// Why a call or a query has no reply: it was *refused*, and has no effect; or its outcome is *unknown*; or
/// it was a query, which never has an effect. [`retry`](Self::retry) says whether to send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The command has no effect and never will.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The command may have been executed, may be later, or may never be.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The query found no quorum in time.
    #[error(transparent)]
    ReadFailed(#[from] ReadFailed),
    /// The session has ended, or was used for a later command. The command was not applied now; if it was
    /// sent before, it may have been applied then.
    #[error(
        "the session has ended, since too many others were used after it, or was used for a later command: \
         look at the state, and open another session"
    )]
    SessionEnded,
}

impl CallError {
    /// Whether the command may have been executed.
    pub fn is_unknown(&self) -> bool {
        matches!(self, CallError::Unknown(_) | CallError::SessionEnded)
    }

    /// Whether to send the command or query again.
    pub fn retry(&self) -> Retry {
        match self {
            CallError::Refused(refused) => refused.retry(),
            CallError::Unknown(unknown) => unknown.retry(),
            CallError::ReadFailed(failed) => failed.retry(),
            CallError::SessionEnded => Retry::IfRepeatable,
        }
    }
}
