//! What becomes of a command or a read.

use niagara_sequencer::GlobalPosition;

/// A command that has been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<R> {
    /// Where in the global log it stands; several commands can share a position.
    pub position: GlobalPosition,
    /// What the state machine answered.
    pub reply: R,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Linearizable: sees every command that was acknowledged anywhere before the read began. Costs a round to a
    /// quorum, shared by all reads that wait at the time.
    Strong,
    /// This server's state as it is; may be old, most so when the server is cut off.
    Weak,
    /// At least this position has been executed here. With the position that a write returned, a client reads its own
    /// writes on any server.
    AtLeast(GlobalPosition),
}

/// Why a command was not taken. It has had no effect and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Larger than this cluster takes: do not retry.
    #[error("the command has {bytes} bytes, and at most {limit} are taken: send it in smaller parts")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The state machine does not know it: do not retry.
    #[error("these bytes are no command: {0}")]
    NotACommand(&'static str),
    /// Too much is in flight on this server: retry after a pause.
    #[error("too many commands wait on this server: retry after a pause, or send less at a time")]
    Overloaded,
    /// No group has had a leader for a while, so a quorum is probably missing: retry later.
    #[error("no leader is known, probably because too few servers can reach each other: retry later")]
    NoLeader,
    /// This server has parted from the others: retry at another one, and see this one's log and status.
    #[error(
        "this server and others have executed different things, so it takes no commands: retry at another server, and see \
         `niagara status`"
    )]
    Diverged,
    /// The disk of this server is nearly full: retry at another one, or when there is room.
    #[error(
        "the disk of this server is nearly full, so it takes no commands: make room there, or retry at another server"
    )]
    ReadOnly,
    /// The server is shutting down: retry at another one.
    #[error("this server is stopping: retry at another server")]
    Stopping,
}

/// The command's deadline passed before its outcome was known: it may have been executed, may be later, or may never
/// be. A retry could execute it twice, so retry only what bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outcome is unknown: the command may or may not be executed; look before you send it again")]
pub struct Unknown;

/// A read that could not be answered in time: no quorum confirmed a leader, or this server lags too far behind. It had
/// no effect: retry, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no quorum answered in time, so this server cannot tell whether its state is fresh: retry, or read weakly"
)]
pub struct ReadFailed;

/// What a [`Port`](crate::Port) hands out for each command and read, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion<R> {
    /// The command was executed.
    Applied {
        /// The caller's token.
        token: u64,
        /// Where in the global log it stands.
        position: GlobalPosition,
        /// What the state machine answered.
        reply: R,
    },
    /// The command was not taken.
    Refused {
        /// The caller's token.
        token: u64,
        /// Why.
        refused: Refused,
    },
    /// The command's deadline passed: see [`Unknown`].
    Unknown {
        /// The caller's token.
        token: u64,
    },
    /// The read may go on: the state is fresh enough now.
    Readable {
        /// The caller's token.
        token: u64,
        /// How far this server has executed.
        applied: GlobalPosition,
    },
    /// The read could not be answered in time: see [`ReadFailed`].
    ReadFailed {
        /// The caller's token.
        token: u64,
    },
}
