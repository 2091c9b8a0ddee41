use std::sync::Arc;

use niagara_engine::internals::snapshot::Header;

use super::{Broken, hold};

/// Nothing above a durable snapshot is dropped from a log, which begins above entry `floor`; and if there are
/// two snapshots, nothing above the older one. A log that was reset begins above a received snapshot, or,
/// since the start, above `at_start`.
pub fn check_compaction_floor<'h>(
    (server, group): (u64, usize),
    floor: u64,
    at_start: u64,
    snapshots: &(impl DoubleEndedIterator<Item = &'h Arc<Header>> + Clone),
) -> Result<(), Broken> {
    let floor_of = |header: &Arc<Header>| header.floors[group].entry.index;
    let older = snapshots.clone().rev().nth(1).map_or(0, floor_of);
    let received = snapshots.clone().filter(|header| header.server != server).map(floor_of).max();
    let allowed = at_start.max(older).max(received.unwrap_or(0));
    hold(floor <= allowed, "compaction_floor", || {
        let rounds: Vec<u64> = snapshots.clone().map(|header| header.round).collect();
        format!(
            "server {server}'s log of group {} begins above entry {floor}, but its snapshots, of rounds {rounds:?}, allow \
             no more than {allowed}",
            group + 1
        )
    })
}
