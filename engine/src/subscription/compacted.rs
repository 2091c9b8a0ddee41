//! Why a subscription cannot begin.

use niagara_sequencer::GlobalPosition;

/// The commands from a position on are not there any more, so that a subscription cannot begin at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the global log is kept for subscribers from position {least} on only: read the state at position {}, and \
     subscribe from {least}; `keep_history` and a larger `subscription_bytes` keep more",
    .least.get().saturating_sub(1)
)]
pub struct Compacted {
    /// The first position from which a subscription can begin now.
    pub least: GlobalPosition,
}
