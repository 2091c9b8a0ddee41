//! How the crate is set up.

use std::time::Duration;

use anyhow::{Context, Result};
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};

use super::storage::Log;
use crate::command::Command;
use crate::node::Cluster;

/// The crate, with what it is used with here.
pub type Node = OmniPaxos<Command, Log>;

/// How often the driver ticks. Messages do not wait for it.
pub const TICK: Duration = Duration::from_millis(10);

/// A replica with an empty log.
///
/// # Errors
/// When the crate refuses the settings.
pub fn node(cluster: &Cluster, log: Log) -> Result<Node> {
    let nodes =
        ClusterConfig { configuration_id: 1, nodes: cluster.all().collect(), ..ClusterConfig::default() };
    let server = ServerConfig {
        pid: cluster.id,
        // Elections take their time, since a busy machine may not run a replica for a while.
        election_tick_timeout: 200,
        resend_message_tick_timeout: 100,
        // Without it, the replica with the highest number would lead at first.
        leader_priority: u32::from(cluster.is_leader()),
        // The default batch of one: what a turn appends shares a message to each follower anyway.
        ..ServerConfig::default()
    };
    nodes.build_for_server(server, log).context("omnipaxos refuses its settings")
}
