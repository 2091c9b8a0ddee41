//! Progress of the groups of an epoch: those whose logs are merged together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use niagara_log::Held;
use niagara_sequencer::Layout;
use niagara_sequencer::epoch::lane_group;

use super::group::{GroupProgress, Mail};
use super::waits::Level;

/// Progress of a server's groups in an epoch.
pub(crate) struct EpochProgress {
    pub layout: Layout,
    level: Level,
    /// Zero-based index of the group that holds the latest command of the global log.
    pub anchor: AtomicU32,
    /// Zero-based index of the group whose slot the merge awaits.
    pub awaited: AtomicU32,
    /// Progress of each group, by zero-based index.
    pub groups: Vec<GroupProgress>,
}

impl EpochProgress {
    /// Nothing has happened in these groups.
    pub fn new(layout: Layout) -> EpochProgress {
        EpochProgress {
            layout,
            level: Level::default(),
            anchor: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            groups: layout.group_ids().map(|_| GroupProgress::default()).collect(),
        }
    }

    /// Highest place of a command in any local log.
    pub fn level(&self) -> u64 {
        self.level.get()
    }

    /// Raises the level, and wakes the leaders on this server that have to pad for it.
    pub fn raise_level(&self, level: u64) {
        self.level.raise(level, || {
            self.groups.iter().filter(|group| group.waits.pads_at(level)).for_each(GroupProgress::wake);
        });
    }

    /// The group that takes the commands of a lane. Both are given by their zero-based index.
    pub fn group_of(&self, lane: usize) -> &GroupProgress {
        &self.groups[lane_group(lane as u16 + 1, self.layout.groups()).index()]
    }

    /// Sends a message to all groups' threads.
    pub fn tell(&self, mail: &Mail) {
        self.groups.iter().for_each(|group| group.send(mail.clone()));
    }

    /// Whether any group keeps this server's merge from catching up.
    pub fn lags(&self) -> bool {
        self.groups.iter().any(|group| group.lags.load(SeqCst))
    }

    /// Whether any group has had no leader for more than `ticks`, as far as this server knows. The merge
    /// stops there, so no command could be executed here, whichever group took it, and no strong read
    /// answered.
    pub fn is_leaderless(&self, ticks: u32) -> bool {
        self.groups.iter().any(|group| group.leaderless_ticks.load(SeqCst) > ticks)
    }

    /// Whether the merge awaits a slot of this group that nothing on this server fills.
    pub fn awaits(&self, group: usize) -> bool {
        let group_progress = &self.groups[group];
        self.awaited.load(SeqCst) as usize == group
            && group_progress.commit.load(SeqCst) <= group_progress.waits.merged()
    }

    /// What the logs of ended threads hold, by group number.
    pub fn left(&self) -> BTreeMap<u16, Held> {
        let groups = (1..).zip(&self.groups);
        groups.filter_map(|(number, group)| Some((number, group.left.lock().take()?))).collect()
    }

    /// Whether this server's disk is stuck, as far as any log can tell.
    pub fn disk_is_stuck(&self) -> bool {
        self.groups.iter().any(|group| group.disk_is_stuck.load(SeqCst))
    }
}
