//! How the crate is set up.

use std::time::Duration;

use anyhow::{Context, Result};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use slog::{Discard, Logger, o};

use crate::node::Cluster;

/// How often the driver ticks, as in the crate's examples.
pub const TICK: Duration = Duration::from_millis(100);

/// A replica with an empty log.
///
/// # Errors
/// When the crate refuses the settings.
pub fn node(cluster: &Cluster) -> Result<RawNode<MemStorage>> {
    let config = Config {
        id: cluster.id,
        // Elections take their time, since a busy machine may not run a replica for a while.
        election_tick: 20,
        heartbeat_tick: 2,
        // Messages may be long, and many of them under way.
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 1024,
        // One message for all proposals of a turn.
        batch_append: true,
        check_quorum: true,
        pre_vote: true,
        ..Config::default()
    };
    let storage = MemStorage::new_with_conf_state((cluster.all().collect::<Vec<_>>(), vec![]));
    RawNode::new(&config, storage, &Logger::root(Discard, o!())).context("raft refuses its settings")
}
