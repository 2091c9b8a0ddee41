//! How much of the log stays in memory.
//!
//! By itself, the crate purges by the age of entries alone. A quorum may leave the third replica behind by more than any
//! number that would be reasonable here, and that replica would need a snapshot then. So the leader keeps what a follower
//! lacks.

use std::time::Duration;

use anyhow::Result;
use openraft::Raft;
use tokio::time;

use super::types::{LogId, Types};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(50);
/// The crate asks for the entry before those that it sends.
const KEEP: u64 = 8_192;

/// Purges what all replicas have, for as long as the process lives.
///
/// # Errors
/// When the crate has stopped.
pub async fn purge(raft: Raft<Types>) -> Result<()> {
    loop {
        time::sleep(EVERY).await;
        let needed = first_needed(&raft);
        if needed > KEEP {
            // Only what a snapshot holds may go. It is one that holds nothing, and is never sent.
            raft.trigger().snapshot().await?;
            raft.trigger().purge_log(needed - KEEP).await?;
        }
    }
}

/// The last entry that this replica has applied and that, if it leads, all others have.
fn first_needed(raft: &Raft<Types>) -> u64 {
    let index = |at: &Option<LogId>| at.map_or(0, |at| at.index);
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let applied = index(&metrics.last_applied);
    let everywhere = metrics.replication.as_ref().and_then(|all| all.values().map(index).min());
    everywhere.map_or(applied, |everywhere| everywhere.min(applied))
}
