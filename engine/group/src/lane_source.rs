//! Where a group's driver gets this server's commands from.

use crate::batch::SubBatch;

/// Where a lane's new commands come from: the queue that front ends fill.
pub trait LaneSource {
    /// Whether commands wait.
    fn is_empty(&self) -> bool;
    /// Takes commands, oldest first, up to about `max_bytes` (at least one sub-batch if there is any), numbered on.
    fn take(&mut self, max_bytes: usize, out: &mut Vec<SubBatch>);
}
