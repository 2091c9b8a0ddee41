//! Which lane new commands should use.

/// One of a server's lanes. Commands in the same lane are executed in the order in which they were proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId(pub(crate) u16);

/// Current load of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Whether a full entry is waiting for the group's thread.
    pub is_saturated: bool,
    /// Bytes of its commands without an outcome.
    pub in_flight: usize,
    /// Bytes that its group brings to the global log beyond its share.
    pub surplus: usize,
    /// Number of servers.
    pub servers: usize,
    /// Bytes of a full entry.
    pub entry: usize,
    /// Number of entries in a group's window.
    pub window: usize,
    /// With so many bytes in flight, the lane is full.
    pub most: usize,
}

/// Which server leads a lane's group, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leadership {
    Here,
    Elsewhere,
    Unknown,
}

/// Whether groups work side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Each has a thread.
    Parallel,
    /// Some share a thread.
    TakingTurns,
}

/// Rank of a lane: fields in order of importance, less is better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    without_leader: bool,
    has_no_room: bool,
    is_busy: bool,
    load: usize,
    is_not_where_all_are: bool,
    leader: Leadership,
    spilled: usize,
    is_not_the_anchor: bool,
    lane: usize,
}

/// The lane to use now: the one whose group can take the most at once.
///
/// Under light load, commands that use one group share its entries and syncs, which beats spreading them. The
/// anchor (the group of the latest command) comes first, since it alone has not skipped ahead. Once a group
/// has half an entry of commands in flight, the lane with the least in flight comes first: the merge takes the
/// groups in turn, so each round lasts as long as its fullest entry, and equal loads make equal entries.
///
/// Groups led by this server come before others, since their commands need no forwarding. They are preferred
/// by a quarter of a window, so the excess of a server with many clients and few leaders spreads evenly over the
/// others' groups. There, no more than half a window of it is in flight, since others fill the rest.
///
/// What a group brings to the global log beyond its share counts as if it were in flight: this server does not
/// know what others have in flight there.
///
/// If groups share threads, there are too few cores for the groups to work side by side, and each one more that
/// is in use costs entries, messages and syncs. So all servers use the anchor, whoever leads it, as long as it
/// keeps up: until a full entry waits for its thread, or this server's share of a window is in flight.
///
/// `lanes` gives the state of each lane in order; `anchor` is the index of one of them.
pub(crate) fn choose(
    lanes: impl Iterator<Item = (Leadership, Traffic)> + Clone,
    anchor: usize,
    groups: Groups,
) -> LaneId {
    let leads = lanes.clone().any(|(leader, _)| leader == Leadership::Here);
    let rank = |(lane, (leader, traffic))| match groups {
        Groups::Parallel => Rank::of(lane, lane == anchor, leader, leads, traffic),
        Groups::TakingTurns => Rank::taking_turns(lane, lane == anchor, leader, leads, traffic),
    };
    LaneId(lanes.enumerate().map(rank).min().expect("there is at least one group").lane as u16)
}

impl Rank {
    /// The rank where groups share threads.
    fn taking_turns(lane: usize, is_anchor: bool, leader: Leadership, leads: bool, traffic: Traffic) -> Rank {
        let rank = Rank::of(lane, is_anchor, leader, leads, traffic);
        let Traffic { in_flight, servers, entry, window, .. } = traffic;
        let keeps_up = in_flight < window * entry / servers;
        match is_anchor && keeps_up && !(rank.is_busy || rank.has_no_room) {
            true => Rank { load: 0, ..rank },
            false => Rank { is_not_where_all_are: true, ..rank },
        }
    }

    /// `leads` says whether this server leads a group, so that commands for others' groups are its excess.
    fn of(lane: usize, is_anchor: bool, leader: Leadership, leads: bool, traffic: Traffic) -> Rank {
        let Traffic { is_saturated, in_flight, surplus, entry, window, most, .. } = traffic;
        // What counts as much: half an entry, since the merge waits for whole ones.
        let entry = entry / 2;
        let is_elsewhere = leader == Leadership::Elsewhere;
        let is_full = is_elsewhere && in_flight >= window * entry;
        let handicap = match leader {
            Leadership::Elsewhere if is_full => FULL,
            Leadership::Elsewhere => window * entry / 2,
            Leadership::Here | Leadership::Unknown => 0,
        };
        Rank {
            without_leader: leader == Leadership::Unknown,
            has_no_room: in_flight >= most,
            is_busy: is_saturated || is_full,
            load: if in_flight < entry { 0 } else { in_flight } + handicap + surplus,
            is_not_where_all_are: false,
            leader,
            spilled: if is_elsewhere && leads { in_flight } else { 0 },
            is_not_the_anchor: !is_anchor,
            lane,
        }
    }
}

/// More than any lane has in flight.
const FULL: usize = usize::MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(in_flight: usize) -> Traffic {
        Traffic { is_saturated: false, in_flight, surplus: 0, servers: 3, entry: 20, window: 4, most: 100 }
    }

    #[test]
    fn a_surplus_counts_as_if_it_were_in_flight() {
        let lanes = |here, surplus| {
            let above = Traffic { surplus, ..traffic(here) };
            [(HERE, above), (HERE, traffic(20)), (ELSEWHERE, traffic(0))].into_iter()
        };
        assert_eq!(choose(lanes(15, 4), 1, Groups::Parallel).0, 0);
        assert_eq!(choose(lanes(15, 6), 1, Groups::Parallel).0, 1);
        assert_eq!(choose(lanes(15, 60), 1, Groups::Parallel).0, 1);
        let lanes = [(HERE, Traffic { surplus: 50, ..traffic(0) }), (HERE, traffic(5))].into_iter();
        assert_eq!(choose(lanes, 0, Groups::TakingTurns).0, 0, "not while the anchor keeps up");
    }

    /// The best of some lanes, each given by its leader, its bytes in flight (half an entry has ten), and
    /// whether a full entry waits. Lane 1 is the anchor.
    fn best(lanes: &[(Leadership, usize, bool)]) -> usize {
        best_of(Groups::Parallel, lanes)
    }

    fn best_of(groups: Groups, lanes: &[(Leadership, usize, bool)]) -> usize {
        let traffic =
            |&(leader, in_flight, is_saturated)| (leader, Traffic { is_saturated, ..traffic(in_flight) });
        usize::from(choose(lanes.iter().map(traffic), 1, groups).0)
    }

    const HERE: Leadership = Leadership::Here;
    const ELSEWHERE: Leadership = Leadership::Elsewhere;

    #[test]
    fn under_light_load_the_anchor_takes_all() {
        assert_eq!(best(&[(HERE, 0, false), (HERE, 9, false), (ELSEWHERE, 0, false)]), 1);
        assert_eq!(best(&[(ELSEWHERE, 0, false), (ELSEWHERE, 9, false)]), 1);
        assert_eq!(best(&[(HERE, 0, false), (ELSEWHERE, 0, false)]), 0, "but what is led here comes first");
        assert_eq!(best(&[(Leadership::Unknown, 0, false), (ELSEWHERE, 30, false)]), 1);
    }

    #[test]
    fn from_half_an_entry_on_the_groups_led_here_share() {
        assert_eq!(best(&[(HERE, 0, false), (HERE, 10, false), (ELSEWHERE, 0, false)]), 0);
        assert_eq!(best(&[(HERE, 12, false), (HERE, 11, false), (ELSEWHERE, 0, false)]), 1);
    }

    #[test]
    fn a_full_lane_is_chosen_only_if_all_are() {
        for groups in [Groups::Parallel, Groups::TakingTurns] {
            assert_eq!(best_of(groups, &[(ELSEWHERE, 50, true), (HERE, 100, false)]), 0);
            assert_eq!(best_of(groups, &[(ELSEWHERE, 100, true), (HERE, 100, false)]), 1);
        }
    }

    #[test]
    fn groups_that_share_a_thread_leave_all_to_the_anchor_while_it_keeps_up() {
        let best = |lanes: &[_]| best_of(Groups::TakingTurns, lanes);
        assert_eq!(best(&[(HERE, 0, false), (HERE, 12, false), (HERE, 0, false)]), 1);
        assert_eq!(best(&[(HERE, 0, false), (ELSEWHERE, 12, false), (ELSEWHERE, 0, false)]), 1);
        assert_eq!(best(&[(HERE, 0, false), (HERE, 12, true), (ELSEWHERE, 0, false)]), 0, "it does not");
        assert_eq!(
            best(&[(HERE, 0, false), (ELSEWHERE, 26, false), (HERE, 30, false)]),
            0,
            "a third of a window"
        );
        assert_eq!(
            best(&[(ELSEWHERE, 30, false), (HERE, 26, false), (HERE, 27, false)]),
            1,
            "the least loaded"
        );
        assert_eq!(best(&[(ELSEWHERE, 0, false), (Leadership::Unknown, 0, false)]), 0);
    }

    #[test]
    fn what_is_too_much_here_spreads_over_the_others_up_to_half_their_windows() {
        let much = (HERE, 21, false);
        assert_eq!(
            best(&[(HERE, 20, false), (ELSEWHERE, 0, false)]),
            0,
            "a quarter of a window is not too much"
        );
        assert_eq!(best(&[much, (ELSEWHERE, 0, false), (ELSEWHERE, 0, false)]), 1);
        assert_eq!(best(&[much, (ELSEWHERE, 2, false), (ELSEWHERE, 1, false)]), 2);
        let full = (HERE, 90, true);
        assert_eq!(best(&[full, (ELSEWHERE, 39, false), (ELSEWHERE, 40, false)]), 1);
        assert_eq!(best(&[full, (ELSEWHERE, 40, false), (ELSEWHERE, 41, false)]), 0, "all are busy");
        assert_eq!(best(&[(ELSEWHERE, 41, false), (ELSEWHERE, 40, false)]), 1);
    }
}
