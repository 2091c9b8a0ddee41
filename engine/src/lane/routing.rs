//! Which lane new commands should take.

use std::sync::atomic::Ordering::SeqCst;

use crate::server::Board;

/// One of a server's lanes. Commands in the same lane are executed in the order in which they were proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId(pub(crate) u16);

/// What a lane carries at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// A full entry waits already for the group's thread here.
    pub is_saturated: bool,
    /// How many full entries its commands without an outcome would make.
    pub entries: usize,
    /// So many of them fill a group's window.
    pub window: usize,
}

/// Who leads a lane's group; the better ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leader {
    Here,
    Elsewhere,
    Unknown,
}

/// How good a lane is: what stands first counts most, and less is better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    without_leader: bool,
    is_busy: bool,
    leader: Leader,
    entries_elsewhere: usize,
    is_not_the_anchor: bool,
    lane: usize,
}

/// The lane to use now: the first whose group can take more at once.
///
/// Under light load, commands that share one group share its entries and syncs, which beats spreading them; only
/// when that group's queue holds a full entry do they spill to the next. Groups led here come before others, since
/// their commands need not be forwarded; among them the anchor (the group of the latest command) comes first, since it
/// alone has not skipped ahead.
///
/// What spills to groups led elsewhere is spread over them, entry by entry, since the merge waits for the slowest; and no more of
/// it than a window is in flight in each, since more would only wait there, and pay for the forwarding.
pub(crate) fn choose(board: &Board, traffic: impl Fn(usize) -> Traffic) -> LaneId {
    let anchor = board.anchor.load(SeqCst) as usize;
    let ranks = board.groups.iter().enumerate().map(|(lane, group)| {
        let leader = match (group.leads.load(SeqCst), group.leader.load(SeqCst)) {
            (true, _) => Leader::Here,
            (false, 0) => Leader::Unknown,
            (false, _) => Leader::Elsewhere,
        };
        Rank::of(lane, lane == anchor, leader, traffic(lane))
    });
    let best = ranks.min().expect("there is at least one group");
    LaneId(best.lane as u16)
}

impl Rank {
    fn of(lane: usize, is_anchor: bool, leader: Leader, traffic: Traffic) -> Rank {
        let is_elsewhere = leader == Leader::Elsewhere;
        Rank {
            without_leader: leader == Leader::Unknown,
            is_busy: traffic.is_saturated || is_elsewhere && traffic.entries >= traffic.window,
            leader,
            entries_elsewhere: if is_elsewhere { traffic.entries } else { 0 },
            is_not_the_anchor: !is_anchor,
            lane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The best of lanes that are given by leader, full entries in flight, and whether one waits here; lane 1 is the anchor.
    fn best(lanes: &[(Leader, usize, bool)]) -> usize {
        let rank = |(lane, &(leader, entries, is_saturated))| {
            Rank::of(lane, lane == 1, leader, Traffic { is_saturated, entries, window: 4 })
        };
        lanes.iter().enumerate().map(rank).min().unwrap().lane
    }

    const HERE: Leader = Leader::Here;
    const ELSEWHERE: Leader = Leader::Elsewhere;

    #[test]
    fn groups_led_here_come_first_and_the_anchor_among_them() {
        assert_eq!(best(&[(HERE, 0, false), (HERE, 3, false), (ELSEWHERE, 0, false)]), 1);
        assert_eq!(best(&[(HERE, 9, false), (ELSEWHERE, 0, false)]), 0, "nothing waits here");
        assert_eq!(best(&[(Leader::Unknown, 0, false), (ELSEWHERE, 3, false)]), 1);
    }

    #[test]
    fn what_spills_is_spread_over_the_others_up_to_their_windows() {
        let full = (HERE, 6, true);
        assert_eq!(best(&[full, (ELSEWHERE, 0, false), (ELSEWHERE, 0, false)]), 1);
        assert_eq!(best(&[full, (ELSEWHERE, 1, false), (ELSEWHERE, 0, false)]), 2);
        assert_eq!(best(&[full, (ELSEWHERE, 3, false), (ELSEWHERE, 4, false)]), 1);
        assert_eq!(best(&[full, (ELSEWHERE, 4, false), (ELSEWHERE, 4, false)]), 0, "they are full, too");
    }
}
