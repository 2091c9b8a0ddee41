//! Where a group's driver gets this server's commands from.

use crate::batch::SubBatch;

/// Source of a lane's new commands: the queue that front ends fill.
pub trait LaneSource {
    /// Whether no commands wait.
    fn is_empty(&self) -> bool;
    /// Bytes of the commands that wait.
    fn bytes(&self) -> usize;
    /// Moves commands to `out`, oldest first and numbered without gaps: up to about `max_bytes`, but at least
    /// one sub-batch if there is any.
    fn take(&mut self, max_bytes: usize, out: &mut Vec<SubBatch>);
}
