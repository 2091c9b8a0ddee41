//! The application's part: a deterministic state machine that executes the global log.

use niagara_sequencer::GlobalPosition;

use niagara_group::Commands;

use crate::frozen::{Frozen, MalformedState, Restoring};

/// A deterministic application state. On every server, one thread executes the global log on it, in order.
///
/// The same commands at the same positions must lead to the same state and the same replies on every server:
/// no clock, no randomness and no iteration order of a randomly seeded table may influence either.
///
/// ```
/// use niagara_engine::{Commands, Encoded, GlobalPosition, MalformedState, StateMachine};
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// /// Adds up the numbers that it is sent.
/// #[derive(Default)]
/// struct Sum(Arc<AtomicU64>);
///
/// impl StateMachine for Sum {
///     type Reply = u64;
///     type Reader = Arc<AtomicU64>;
///     // Eight bytes are encoded faster than any view of them could be made.
///     type Frozen = Encoded;
///     type Restoring = Encoded;
///
///     fn reader(&self) -> Self::Reader {
///         Arc::clone(&self.0)
///     }
///
///     fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<u64>) {
///         for command in commands {
///             let add = command.as_slice().first().copied().unwrap_or(0);
///             replies.push(self.0.fetch_add(u64::from(add), Ordering::Relaxed) + u64::from(add));
///         }
///     }
///
///     fn freeze(&mut self) -> Encoded {
///         Encoded::new(self.0.load(Ordering::Relaxed).to_le_bytes().to_vec())
///     }
///
///     fn restoring(_reader: &Self::Reader) -> Encoded {
///         Encoded::default()
///     }
///
///     fn restore(&mut self, _position: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
///         let sum = state.bytes().try_into().map_err(|_| MalformedState("a sum has eight bytes"))?;
///         self.0.store(u64::from_le_bytes(sum), Ordering::Relaxed);
///         Ok(())
///     }
/// }
/// ```
pub trait StateMachine: Send + 'static {
    /// What a command returns to its caller. It never crosses the network: the server that received the
    /// command from its client executes it too, and replies from its own execution.
    type Reply: Send + 'static;

    /// A handle for reads on other threads, concurrent with [`apply`](Self::apply).
    type Reader: Clone + Send + Sync + 'static;

    /// Returns a handle for reads.
    fn reader(&self) -> Self::Reader;

    /// Checks a command that arrives from a caller, or from another server for the log: one that cannot be
    /// executed must not enter the log. Called once for each command, so it should take no more than a few
    /// nanoseconds.
    ///
    /// # Errors
    /// If the bytes are not a command, with the reason.
    fn check(command: &[u8]) -> Result<(), NotACommand> {
        let _ = command;
        Ok(())
    }

    /// The level that a command needs, which [`check`](Self::check) has accepted: see [`KNOWN_LEVEL`](crate::KNOWN_LEVEL). A
    /// command of a kind that earlier releases do not know needs the level that names it; until the cluster is at that level,
    /// it is [refused](crate::Refused::Level). Called once for each command, too.
    fn needed_level(command: &[u8]) -> u32 {
        let _ = command;
        1
    }

    /// Executes the commands at one position of the global log, in order, and pushes exactly one reply for
    /// each. If nobody on this server waits for the replies ([`Commands::are_awaited`]), it may push none,
    /// and need not build them. A command that cannot be executed must not be skipped silently: see
    /// [`unexecutable`](Self::unexecutable).
    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Self::Reply>);

    /// The commands of the last call of [`apply`](Self::apply) that subscribers are not shown, by their indexes
    /// in it, rising: those that changed nothing, such as copies of what was executed before.
    fn unshown(&mut self) -> Vec<u32> {
        Vec::new()
    }

    /// Checks a query of [`Port::attach`](crate::Port::attach). Without this method and [`answer`](Self::answer),
    /// no read can be attached to a command.
    ///
    /// # Errors
    /// If [`answer`](Self::answer) could not answer it, with the reason.
    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        let _ = query;
        Err(NotAQuery("this state machine answers no queries"))
    }

    /// Answers a query that [`check_query`](Self::check_query) has accepted, against the state at this moment:
    /// right after the command that the query was attached to. It runs on the thread that executes, on the
    /// server that took the query only, so it must be about as quick as a command.
    fn answer(&self, query: &[u8]) -> Self::Reply {
        unreachable!("check_query accepts a query of {} bytes that nobody answers", query.len())
    }

    /// Why [`apply`](Self::apply) could not execute some command, if there was one: an unknown or malformed
    /// command, written by another version of the application. The engine checks this after each call, and
    /// ends the process before the commands count as executed: if one version skipped what another one
    /// executes, their states would silently diverge.
    fn unexecutable(&self) -> Option<NotACommand> {
        None
    }

    /// A digest of the whole state, equal for equal states on all servers, however they came about. It is
    /// read after each entry of the log, so maintain it incrementally rather than computing it here. Servers,
    /// `status` and tests compare it (`equal_states`), and it verifies snapshots. Without it, only logs are
    /// compared.
    fn digest(&self) -> Option<u128> {
        None
    }

    /// The last position up to which this state holds everything already, durably. 0, the default, is for a
    /// state in memory, which begins empty.
    ///
    /// A state machine that keeps its state on disk reports here, at a start, what it found. The engine then
    /// restores a snapshot only if that is newer, replays the log, and does not [`apply`](Self::apply) what is
    /// at or below this position: those commands are decided on again, but executed once. See
    /// [`persist`](Self::persist). The data directory must be durable, too: a state without its log is refused.
    fn applied(&self) -> GlobalPosition {
        GlobalPosition::ZERO
    }

    /// Everything up to `position` has been executed: called once after each batch of positions, before
    /// anybody is told of their outcomes. A state on disk stores its changes and this position in one
    /// transaction here, since one call of [`apply`](Self::apply) may hold a part of a position only. The
    /// transaction need not be synced: what is lost with the power is executed again from the log.
    ///
    /// Panic if a write fails: that ends the process, and the next start resumes from what is on disk.
    fn persist(&mut self, position: GlobalPosition) {
        let _ = position;
    }

    /// Checks at a start, before anything else, that a state on disk is that of this server, and makes it so
    /// if it is empty. A state of another server, or of another cluster, holds other commands.
    ///
    /// # Errors
    /// If it belongs to another server or cluster; says which.
    fn claim(&mut self, cluster: u128, server: u64) -> Result<(), ForeignState> {
        let _ = (cluster, server);
        Ok(())
    }

    /// The view that a snapshot is written from, on another thread.
    type Frozen: Frozen;

    /// The state that a snapshot is read into, on another thread.
    type Restoring: Restoring;

    /// Returns a view of the current state that later commands do not change. Everybody waits for this call,
    /// so it should take microseconds, whatever the size of the state. There is at most one view at a time:
    /// the previous one has been dropped.
    fn freeze(&mut self) -> Self::Frozen;

    /// Returns an empty state to read a snapshot into, apart from the one that `reader` belongs to, which
    /// continues to be read and changed.
    fn restoring(reader: &Self::Reader) -> Self::Restoring;

    /// Replaces this state with a restored one, in which everything up to `position` has been executed. A
    /// state on disk is replaced durably, as a whole or not at all, and [`applied`](Self::applied) is then
    /// `position`.
    /// Readers that were handed out before see all of it at once from now on.
    ///
    /// # Errors
    /// If the chunks that were read are not a whole state.
    fn restore(&mut self, position: GlobalPosition, state: Self::Restoring) -> Result<(), MalformedState>;
}

/// A state on disk that belongs to another server or cluster; says to which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the state on disk is not this server's: {0}; start with the state that belongs to the data directory, or \
     remove both"
)]
pub struct ForeignState(pub String);

/// Bytes that this application cannot answer; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAQuery(pub &'static str);

/// Bytes that this version of the application cannot execute; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotACommand(pub &'static str);
