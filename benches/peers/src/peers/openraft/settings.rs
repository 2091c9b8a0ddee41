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
        // The log is purged by other rules, and no follower is ever to need a snapshot.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    };
    config.validate().context("openraft refuses its settings")
}
