//! What a simulation has found, and how to find it again.

use std::fmt;

use bytes::Bytes;
use niagara_engine::GlobalPosition;

/// What a simulation has found, with its seed, the last lines of its trace, and the command that runs it
/// again. `{}` and `{:?}` print all of that, so `?` in a test shows it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The seed that leads to it.
    pub seed: u64,
    /// What was found.
    pub found: Box<Found>,
    /// The last events before it, a line each.
    pub trace: String,
    /// The command that runs the same seed again.
    pub replay: String,
}

/// What can be wrong with a state machine, or with what is below it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Found {
    /// Two servers have executed a command and replied differently.
    #[error(
        "replies differ at position {position}, command {command:?}: server {first} replies {reply}, and \
         server {second} replies {other}; a clock, randomness, a table's iteration order, or how commands \
         are grouped into calls of `apply` has influenced `apply`"
    )]
    Replies {
        /// Where in the global log.
        position: GlobalPosition,
        /// The command.
        command: Bytes,
        /// The server that executed it first.
        first: u64,
        /// What it replied, as `{:?}` prints it.
        reply: String,
        /// The server that replies differently.
        second: u64,
        /// What that one replied.
        other: String,
    },
    /// Two servers have executed the same, but hold different states.
    #[error(
        "{} differ since position {position}, command {command:?}: server {first} holds {state}, and server \
         {second} holds {other}; up to there they were equal", if *.encoded { "encoded states" } else { "digests" }
    )]
    States {
        /// The first compared position at which they differ.
        position: GlobalPosition,
        /// The last command before the comparison.
        command: Bytes,
        /// The server that executed it first.
        first: u64,
        /// What it holds: the digest, or length, checksum and beginning of the encoded state.
        state: String,
        /// The server that holds something else.
        second: u64,
        /// What that one holds.
        other: String,
        /// Whether encoded states were compared, rather than digests.
        encoded: bool,
    },
    /// A state that was restored from a snapshot, and encoded again, differs from the snapshot.
    #[error(
        "server {server} restores a snapshot of position {position}, and then encodes another state: {restored} \
         instead of {frozen}; `restore` has lost or changed something"
    )]
    Restored {
        /// The server.
        server: u64,
        /// The last position that the snapshot includes.
        position: GlobalPosition,
        /// What the snapshot holds.
        frozen: String,
        /// What the restored state is encoded to.
        restored: String,
    },
    /// A frozen view has changed after it was handed out.
    #[error(
        "the frozen view that server {server} handed out after position {position} has changed since: it was \
         {frozen}, and is {read}; later commands must not show in it"
    )]
    ViewChanged {
        /// The server.
        server: u64,
        /// The last position that the view includes.
        position: GlobalPosition,
        /// What it held when it was made.
        frozen: String,
        /// What was read from it later.
        read: String,
    },
    /// A state machine does not accept what it wrote itself.
    #[error("server {server} cannot restore the snapshot of position {position}: {why}")]
    NotRestored {
        /// The server.
        server: u64,
        /// The last position that the snapshot includes.
        position: GlobalPosition,
        /// What the state machine says.
        why: String,
    },
    /// A guarantee of the engine is broken. This is a bug in Niagara: please report it, with the seed.
    #[error("{invariant} is broken, which is a bug in Niagara: {what}")]
    Engine {
        /// The guarantee's name in ARCHITECTURE.md.
        invariant: &'static str,
        /// What has happened.
        what: String,
    },
    /// The cluster did not get where it should within a minute of virtual time.
    #[error("nothing moves: {0}")]
    Stuck(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.found)?;
        writeln!(f, "the last events, with seconds of virtual time:\n{}", self.trace)?;
        write!(f, "run it again: {}", self.replay)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
