//! What the application brings: a deterministic state machine that executes the global log.

use niagara_sequencer::GlobalPosition;

use niagara_group::Commands;

use crate::frozen::{Frozen, MalformedState, Restoring};

/// A deterministic application state, executed by one thread on every server in the order of the global log.
///
/// The same commands at the same positions must lead to the same state and the same replies on every server:
/// no clock, no randomness, no iteration order of a randomly seeded table may leak into either.
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
    /// What a command answers to whoever proposed it. It never crosses the network: the server that took the
    /// command from its client executes it, too, and answers from its own execution.
    type Reply: Send + 'static;

    /// A shareable handle for reads on other threads, beside [`apply`](Self::apply).
    type Reader: Clone + Send + Sync + 'static;

    /// Hands out a handle for reads.
    fn reader(&self) -> Self::Reader;

    /// Looks at a command where it is taken from a caller, or from another server for the log: one that cannot be executed must
    /// not come into the log. It is called once for each command, and should cost no more than a few nanoseconds.
    ///
    /// # Errors
    /// When the bytes are no command, with the reason.
    fn check(command: &[u8]) -> Result<(), NotACommand> {
        let _ = command;
        Ok(())
    }

    /// Executes the commands that share one position of the global log, in order, and pushes exactly one reply for
    /// each. What cannot be executed must not be passed over: see [`unexecutable`](Self::unexecutable).
    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Self::Reply>);

    /// Why a command that [`apply`](Self::apply) met could not be executed, if there was one: an unknown or malformed command,
    /// which another version of the application has written. The engine looks after each call and ends the process, before the
    /// commands count as executed: where one version passes over what another one executes, states part without a sign.
    fn unexecutable(&self) -> Option<NotACommand> {
        None
    }

    /// A digest of the whole state, equal for equal states on all servers, whatever way led there. It is taken after each
    /// entry of the log, so it must be kept up to date, and not be worked out here. Servers, `status` and tests compare it
    /// (`equal_states`), and a snapshot is checked by it. Without one, only logs are compared.
    fn digest(&self) -> Option<u128> {
        None
    }

    /// What a snapshot is written from, by another thread.
    type Frozen: Frozen;

    /// What a snapshot is read into, by another thread.
    type Restoring: Restoring;

    /// Hands out a view of the state as it is now, which later commands do not change. Everybody waits for this call: it
    /// should take microseconds, whatever the size of the state. There is at most one such view at a time; the one before
    /// has been dropped.
    fn freeze(&mut self) -> Self::Frozen;

    /// An empty state to read a snapshot into, aside of the one that `reader` belongs to, which goes on being read and may
    /// go on changing.
    fn restoring(reader: &Self::Reader) -> Self::Restoring;

    /// Puts a restored state in the place of this one: everything up to `position` has been executed in it. Readers that were
    /// handed out before see it from now on, all of it at once.
    ///
    /// # Errors
    /// When the chunks that were read are not a whole state.
    fn restore(&mut self, position: GlobalPosition, state: Self::Restoring) -> Result<(), MalformedState>;
}

/// Bytes that this version of the application cannot execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotACommand(pub &'static str);
