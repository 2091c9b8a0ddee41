//! Which lane new commands should take.

use std::sync::atomic::Ordering::SeqCst;

use super::queue::LaneQueue;
use crate::server::Board;

/// One of a server's lanes. Commands in the same lane are executed in the order in which they were proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId(pub(crate) u16);

/// The lane to use now: the first whose group can take more at once.
///
/// Under light load, commands that share one group share its entries and syncs, which beats spreading them; only
/// when that group's queue holds a full entry do they spill to the next. Groups led here come before others, since
/// their commands need not be forwarded; among them the anchor (the group of the latest command) comes first, since it
/// alone has not skipped ahead.
pub(crate) fn choose<'a>(board: &Board, queues: impl Fn(usize) -> &'a LaneQueue) -> LaneId {
    let anchor = board.anchor.load(SeqCst) as usize;
    let groups = board.groups.len();
    let rank = |at: usize| {
        let group = &board.groups[at];
        let whose = if group.leads.load(SeqCst) {
            0u8
        } else if group.leader.load(SeqCst) != 0 {
            1
        } else {
            2
        };
        let busy = queues(at).is_saturated();
        (whose == 2, busy, whose, at != anchor, at)
    };
    let best = (0..groups).map(rank).min().expect("there is at least one group");
    LaneId(best.4 as u16)
}
