//! Outcomes of commands and reads.

use bytes::Bytes;
use niagara_sequencer::GlobalPosition;

/// An executed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<R> {
    /// Position in the global log; several commands may share one.
    pub position: GlobalPosition,
    /// The state machine's reply.
    pub reply: R,
}

/// An executed command, and what a query right after it has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Then<R, T> {
    /// The command.
    pub applied: Applied<R>,
    /// What the query has returned.
    pub found: T,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// Linearizable: sees every command acknowledged anywhere before the read began. Costs one round to a
    /// quorum, which all reads that wait at the time share; or nothing where this server holds a lease
    /// (`Config::reads`).
    Strong,
    /// This server's state as it is. It may be old, especially if the server is cut off.
    Weak,
    /// This position has been executed here. With the position that a write returned, a client reads its own
    /// writes on any server.
    AtLeast(GlobalPosition),
}

/// Whether it helps to send a command or a read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// It would fail again: change the command or the program.
    Never,
    /// Here, after a pause, or at another server.
    Later,
    /// At another server.
    Elsewhere,
    /// Only if it does no harm when the command is executed twice. Otherwise look at the state first, or use
    /// a [`Session`](crate::Session).
    IfRepeatable,
}

/// Why a command was refused. It has had no effect and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The command exceeds this cluster's limit: do not retry.
    #[error("the command has {bytes} bytes, but the limit is {limit}: send it in smaller parts")]
    TooLarge {
        /// Size of the command, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The state machine does not know the command: do not retry.
    #[error("these bytes are not a command: {0}")]
    NotACommand(&'static str),
    /// The cluster is not at the level that the command needs: raise the level first.
    #[error(
        "this needs level {needed}, and the cluster is at level {now}: raise it with `niagara level raise` when all servers \
         run a release that knows it"
    )]
    Level {
        /// The level that it needs.
        needed: u32,
        /// The cluster's level.
        now: u32,
    },
    /// Too much is in flight on this server: retry after a pause.
    #[error("too many commands wait on this server: retry after a pause, or send less at a time")]
    Overloaded,
    /// Some group has had no leader for a while, so a quorum is probably missing: retry later.
    #[error("no leader is known, probably because too few servers can reach each other: retry later")]
    NoLeader,
    /// This server has diverged from the others: retry at another one, and see this one's log and status.
    #[error(
        "this server has diverged from others, so it accepts no commands: retry at another server, and see \
         `niagara status`"
    )]
    Diverged,
    /// This server's disk is nearly full: retry at another server, or when there is room.
    #[error(
        "the disk of this server is nearly full, so it accepts no commands: make room there, or retry at \
         another server"
    )]
    ReadOnly,
    /// This server follows the cluster and is no member of it: retry at a member.
    #[error("this server is a follower, which executes what the members order: send commands to a member")]
    Follower,
    /// This server is shutting down: retry at another one.
    #[error("this server is stopping: retry at another server")]
    Stopping,
}

impl Refused {
    /// Whether a retry helps.
    pub fn retry(&self) -> Retry {
        match self {
            Refused::TooLarge { .. } | Refused::NotACommand(_) | Refused::Level { .. } => Retry::Never,
            Refused::Overloaded | Refused::NoLeader => Retry::Later,
            Refused::Diverged | Refused::ReadOnly | Refused::Follower | Refused::Stopping => Retry::Elsewhere,
        }
    }
}

impl Unknown {
    /// Whether a retry helps.
    pub fn retry(&self) -> Retry {
        match self {
            Unknown::ReplyLost | Unknown::Diverged => Retry::Never,
            Unknown::Deadline | Unknown::Stopping | Unknown::SelfWait => Retry::IfRepeatable,
        }
    }
}

impl ReadFailed {
    /// Whether a retry helps: always, since a read has no effect.
    pub fn retry(&self) -> Retry {
        Retry::Later
    }
}

/// Why an outcome is unknown. The command may have been executed, may be later, or may never be, unless the
/// variant says more. A retry could execute it twice, so retry only what tolerates that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// The deadline passed first.
    #[error("the outcome is unknown: the command may or may not be executed; look before you send it again")]
    Deadline,
    /// The command was executed once. But this server has received its effect in a snapshot from another one,
    /// and never saw the reply.
    #[error(
        "the command has been executed, but its reply is lost: this server received the effect in a snapshot; \
         read the state instead of sending the command again"
    )]
    ReplyLost,
    /// This server was stopped first.
    #[error(
        "the server was stopped before the outcome was known: the command may or may not be executed; look \
         before you send it again, at another server"
    )]
    Stopping,
    /// The command was executed here, but the query behind it was not: this server has diverged from the others.
    #[error(
        "the command has been executed, but this server has diverged from others, so what it would show means \
         little: look at another server, and see `niagara status`"
    )]
    Diverged,
    /// The caller waited where the engine waits for the caller, such as inside
    /// [`apply`](crate::StateMachine::apply). Debug builds panic instead.
    #[error(
        "nobody can wait for the engine on its own threads or inside a query, so the outcome is unknown: send \
         the ticket to another thread"
    )]
    SelfWait,
}

/// A read that could not be answered in time: no quorum confirmed a leader, or this server lags too far
/// behind. It had no effect: retry, here or at another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no quorum answered in time, so this server cannot tell whether its state is fresh: retry, or read weakly"
)]
pub struct ReadFailed;

/// Why a read that was attached to a command was not answered with it. See [`Port::attach`](crate::Port::attach).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Detached {
    /// The command was refused, so nothing of it will be executed: read anew.
    #[error("the command that the read was attached to was refused: {0}")]
    Refused(Refused),
    /// The command's outcome is unknown here. After [`Unknown::ReplyLost`], this server's state holds the
    /// command, and perhaps later ones of its lane: a new read may show these, too.
    #[error("the outcome of the command that the read was attached to is unknown: {0}")]
    Unknown(Unknown),
}

/// Why a read was not attached to a command. It was not staged, and no completion follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAttached {
    /// Nothing is staged for the lane in this turn. A command that was submitted before may be executed
    /// already, so a read after it could be stale.
    #[error("no command is staged for this lane: propose one first, or use `Port::read`")]
    NothingStaged,
    /// The query exceeds this cluster's limit for commands.
    #[error("the query has {bytes} bytes, but the limit is {limit}: ask for less at a time")]
    TooLarge {
        /// Size of the query, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The state machine does not know the query.
    #[error("these bytes are not a query: {0}")]
    NotAQuery(&'static str),
}

/// What a [`Port`](crate::Port) returns for each command and read, exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion<R> {
    /// The command was executed.
    Applied {
        /// Token of the caller.
        token: u64,
        /// Position in the global log.
        position: GlobalPosition,
        /// The state machine's reply.
        reply: R,
    },
    /// The command was refused.
    Refused {
        /// Token of the caller.
        token: u64,
        /// Reason of the refusal.
        refused: Refused,
    },
    /// The command's outcome is unknown.
    Unknown {
        /// Token of the caller.
        token: u64,
        /// Why.
        unknown: Unknown,
    },
    /// Read now: the state is fresh enough.
    Readable {
        /// Token of the caller.
        token: u64,
        /// Last position that this server has executed.
        applied: GlobalPosition,
    },
    /// The read could not be answered in time; see [`ReadFailed`].
    ReadFailed {
        /// Token of the caller.
        token: u64,
    },
    /// The attached read was executed, right after its command.
    Answered {
        /// Token of the caller.
        token: u64,
        /// Position of the command. The answer shows all commands up to this one, but perhaps not all that
        /// share its position.
        position: GlobalPosition,
        /// The state machine's answer.
        reply: R,
    },
    /// The attached read was not executed.
    Detached {
        /// Token of the caller.
        token: u64,
        /// What it was, and why.
        read: Box<DetachedRead>,
    },
}

/// A read that was attached to a command and not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedRead {
    /// The query, to be asked anew.
    pub query: Bytes,
    /// What became of the command.
    pub why: Detached,
}

// Half a cache line. Millions of completions a second pass from thread to thread, and what is rare is boxed.
const _: () = assert!(size_of::<Completion<()>>() <= 32);
