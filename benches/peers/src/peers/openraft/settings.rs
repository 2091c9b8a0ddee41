//! How the crate is set up.

use anyhow::{Context, Result};
use openraft::{Config, SnapshotPolicy};

/// Settings for a machine on which a replica may have to wait for a processor.
///
/// # Errors
/// When the crate refuses them.
pub fn config() -> Result<Config> {
    let config = Config {
        // An append has to be answered within one heartbeat interval, or the crate sends it again.
        heartbeat_interval: 1_000,
        election_timeout_min: 3_000,
        election_timeout_max: 6_000,
        // A replica has one append under way to each other one. It is to take all that waits.
        max_payload_entries: 4_096,
        // Snapshots, which are tiny here, let the log be cut. A follower is never to need one.
        snapshot_policy: SnapshotPolicy::LogsSinceLast(20_000),
        max_in_snapshot_log_to_keep: 20_000,
        purge_batch_size: 1_024,
        replication_lag_threshold: 1_000_000,
        ..Config::default()
    };
    config.validate().context("openraft refuses its settings")
}
