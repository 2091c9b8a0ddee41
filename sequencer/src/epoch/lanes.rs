//! Lanes: which group takes a lane's commands, and how many lanes there are.

use crate::layout::GroupId;

/// The group that takes the commands of lane `lane` (from 1) where there are `groups` of them. Several lanes may share a
/// group; with as many lanes as groups, lane l uses group l.
///
/// ```
/// use niagara_sequencer::GroupId;
/// use niagara_sequencer::epoch::lane_group;
///
/// let groups: Vec<_> = (1..=4).map(|lane| lane_group(lane, 3).get()).collect();
/// assert_eq!(groups, [1, 2, 3, 1]);
/// assert_eq!(lane_group(4, 4), GroupId::new(4));
/// ```
#[must_use]
pub const fn lane_group(lane: u16, groups: u16) -> GroupId {
    assert!(lane >= 1, "lanes are numbered from 1");
    GroupId::new((lane - 1) % groups + 1)
}

/// Indexes of the lanes, of `lanes`, whose commands a group takes where there are `groups` of them: the inverse of
/// [`lane_group`].
///
/// ```
/// use niagara_sequencer::GroupId;
/// use niagara_sequencer::epoch::lanes_of;
///
/// assert!(lanes_of(GroupId::new(1), 3, 7).eq([0, 3, 6]));
/// assert!(lanes_of(GroupId::new(3), 3, 7).eq([2, 5]));
/// ```
pub fn lanes_of(group: GroupId, groups: u16, lanes: u16) -> impl Iterator<Item = u16> {
    (group.get() - 1..lanes).step_by(groups.into())
}

/// The number of lanes of each server once there are `groups` groups, where there were `lanes` before. It never falls: a
/// lane that has numbered commands goes on.
#[must_use]
pub const fn lanes_after(lanes: u16, groups: u16) -> u16 {
    if lanes > groups { lanes } else { groups }
}
