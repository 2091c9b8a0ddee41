use std::sync::Arc;

use niagara_engine::internals::snapshot::Header;

use niagara_sequencer::epoch::Epoch;

use super::{Broken, hold};

/// Nothing above a durable snapshot is dropped from a log, which begins above entry `floor`; and if there are
/// two snapshots, nothing above the older one. A log that was reset begins above a received snapshot, or,
/// since the start, above `at_start`. The floors of a snapshot are those of its own epoch's groups.
pub fn check_compaction_floor<'h>(
    (server, epoch, group): (u64, Epoch, usize),
    floor: u64,
    at_start: u64,
    snapshots: &(impl DoubleEndedIterator<Item = &'h Arc<Header>> + Clone),
) -> Result<(), Broken> {
    let floor_of = |header: &Arc<Header>| {
        if header.cut().epoch == epoch { header.floors[group].entry.index } else { 0 }
    };
    let older = snapshots.clone().rev().nth(1).map_or(0, floor_of);
    let received = snapshots.clone().filter(|header| header.server != server).map(floor_of).max();
    let allowed = at_start.max(older).max(received.unwrap_or(0));
    hold(floor <= allowed, "compaction_floor", || {
        let cuts: Vec<String> = snapshots.clone().map(|header| header.cut().to_string()).collect();
        format!(
            "server {server}'s log of group {} of epoch {epoch} begins above entry {floor}, but its snapshots, at the cuts \
             {cuts:?}, allow no more than {allowed}",
            group + 1
        )
    })
}
