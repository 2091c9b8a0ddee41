//! Where a group's driver gets this server's commands from.

use crate::batch::SubBatch;

/// One of this server's lanes, outside of the group that takes its commands: the queue that front ends fill, and
/// how far execution is.
pub trait LaneSource {
    /// Whether no commands wait.
    fn is_empty(&self) -> bool;
    /// Bytes of the commands that wait.
    fn bytes(&self) -> usize;
    /// Moves commands to `out`, oldest first and numbered without gaps: up to about `max_bytes`, but at least
    /// one sub-batch if there is any.
    fn take(&self, max_bytes: usize, out: &mut Vec<SubBatch>);
    /// Number of the lane's next command to be executed.
    fn next_command(&self) -> u64;
    /// Latest attempt of the lane in which execution met a gap.
    fn gap_attempt(&self) -> Option<u32>;
}
