//! How much of the log stays in memory. Nothing ever needs a snapshot, since no replica restarts.

use anyhow::{Context, Result};
use raft::RawNode;
use raft::storage::{MemStorage, Storage};

/// The storage moves all that it keeps when it drops something, so it does so rarely.
const EVERY: u64 = 8_192;
/// The crate asks for the term of entries shortly before those that it sends.
const KEEP: u64 = 8_192;

/// Drops what all replicas have, if that is much.
///
/// # Errors
/// When the storage refuses.
pub fn compact(node: &RawNode<MemStorage>, applied: u64) -> Result<()> {
    // A follower does not know what the others have. It keeps what it would need to lead them, if they are not far behind.
    let everywhere = node.raft.prs().iter().map(|(_, progress)| progress.matched).min().unwrap_or(0);
    let needed = if node.raft.state == raft::StateRole::Leader { everywhere.min(applied) } else { applied };
    let first = node.raft.store().first_index().context("the log has no first entry")?;
    if needed > first + EVERY + KEEP {
        node.raft.store().wl().compact(needed - KEEP).context("cannot compact the log")?;
    }
    Ok(())
}
