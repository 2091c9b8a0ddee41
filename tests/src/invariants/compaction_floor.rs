use niagara_engine::log::LogStore;

use super::{Broken, hold};

/// Nothing above a durable snapshot is dropped from a log. There are no snapshots yet, so nothing at all.
pub fn check_compaction_floor(server: u64, group: usize, log: &LogStore) -> Result<(), Broken> {
    hold(log.first_index() == 1, "compaction_floor", || {
        format!("server {server}'s log of group {} begins at entry {}", group + 1, log.first_index())
    })
}
