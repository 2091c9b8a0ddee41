//! What an embedding program writes: its state, and how a command changes it.

use niagara_sequencer::GlobalPosition;

use super::encode::Encode;

/// A replicated state. On every server of the cluster the same commands are applied to it in the same order,
/// so they must have the same effects and replies everywhere: no clock, no randomness and no iteration order
/// of a randomly seeded table may influence either. Whatever a command needs of these has to be part of it.
///
/// A snapshot encodes the whole state between two commands, and everybody waits for that: some milliseconds
/// for each MiB. For a state beyond a few MiB, implement [`StateMachine`](crate::StateMachine) instead,
/// whose views are written while commands continue.
///
/// ```
/// use niagara_engine::{App, GlobalPosition};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter(u64);
///
/// impl App for Counter {
///     type Command = u64;
///     type Reply = u64;
///     fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 {
///         self.0 += add;
///         self.0
///     }
/// }
/// ```
pub trait App: Encode + Send + Sync + 'static {
    /// What callers send.
    type Command: Encode;

    /// What a caller gets for its command. A command that fails by the application's own rules is applied,
    /// too, so its error is a reply: `type Reply = Result<Balance, TransferError>`.
    type Reply: Encode + Send + 'static;

    /// Applies a command. A panic here ends the process, on every server that meets the command, so return
    /// what can go wrong as a reply.
    fn apply(&mut self, position: GlobalPosition, command: Self::Command) -> Self::Reply;

    /// A digest of the whole state, equal for equal states, that costs next to nothing to compute, since it
    /// is read after each entry of the log. Servers compare it, and one that differs stops serving. Without
    /// it, they compare their logs only.
    fn digest(&self) -> Option<u128> {
        None
    }
}
