use std::cmp::Ordering;
use std::sync::Arc;

use niagara_engine::internals::snapshot::Header;

use niagara_sequencer::epoch::Epoch;

use super::{Broken, hold};

/// Nothing above a durable snapshot is dropped from a log, which begins above entry `floor`; and if there are
/// two snapshots, nothing above the older one. A log that was reset begins above a received snapshot, or,
/// since the start, above `at_start`. The floors of a snapshot are those of its own epoch's groups. All of an earlier epoch may go.
pub fn check_compaction_floor<'h>(
    (server, epoch, group): (u64, Epoch, usize),
    floor: u64,
    at_start: u64,
    snapshots: &(impl DoubleEndedIterator<Item = &'h Arc<Header>> + Clone),
) -> Result<(), Broken> {
    let floor_of = |header: &Arc<Header>| match header.cut().epoch.cmp(&epoch) {
        Ordering::Less => 0,
        Ordering::Equal => header.floors[group].entry.index,
        Ordering::Greater => u64::MAX,
    };
    let older = snapshots.clone().rev().nth(1).map_or(0, floor_of);
    let is_received = |header: &&Arc<Header>| header.server != server && header.cut().epoch == epoch;
    let received = snapshots.clone().filter(is_received).map(floor_of).max();
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
