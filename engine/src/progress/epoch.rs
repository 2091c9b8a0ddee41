//! Progress of the groups of an epoch: those whose logs are merged together.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use niagara_log::Held;
use niagara_sequencer::Layout;
use niagara_sequencer::epoch::{Chain, ChainHash, Epoch, Link, Record, lane_group};

use super::group::{GroupProgress, Mail};
use super::waits::Level;

/// Number of the channel of a group, given by its zero-based index.
pub(crate) fn channel_of(epoch: Epoch, group: usize) -> u32 {
    (epoch.get() - 1) << 16 | (group as u32 + 1)
}

/// Progress of a server's groups in an epoch.
pub(crate) struct EpochProgress {
    pub number: Epoch,
    pub layout: Layout,
    /// Number of lanes of each server.
    pub lanes: u16,
    /// What the chain of epochs says of it.
    pub record: Record,
    /// Names it and all epochs before it.
    pub hash: ChainHash,
    /// Ids of servers that were members before.
    pub former: BTreeSet<u64>,
    /// The epoch since which there are these members, where they are now.
    pub since: Epoch,
    level: Level,
    /// Zero-based index of the group that holds the latest command of the global log.
    pub anchor: AtomicU32,
    /// Zero-based index of the group whose slot the merge awaits.
    pub awaited: AtomicU32,
    /// Progress of each group, by zero-based index.
    pub groups: Vec<GroupProgress>,
    /// Whether the merge has come to the end of the epoch: what a group says of later slots bounds nothing.
    has_ended: AtomicBool,
    /// Whether the groups are closed: their threads read no mail any more.
    is_closed: AtomicBool,
    /// Whether the lanes have been told to go on to the next epoch.
    lanes_leave: AtomicBool,
    /// Number of groups whose lanes have gone on to the next epoch.
    without_lanes: AtomicUsize,
    successor: OnceLock<Arc<EpochProgress>>,
}

impl EpochProgress {
    /// Nothing has happened in the groups of this epoch of a chain.
    pub fn new(chain: &Chain, number: Epoch) -> EpochProgress {
        let Link { record, hash } = chain.get(number).expect("global_prefix: the epoch is in the chain");
        let since =
            chain.memberships().rfind(|record| record.epoch <= number).expect("the first epoch has members");
        let earlier = chain.links().iter().filter(|link| link.record.epoch < number);
        let earlier = earlier.flat_map(|link| link.record.terms.members.iter().copied());
        let former = earlier.filter(|server| !record.is_member(*server)).collect();
        let layout = record.layout();
        EpochProgress {
            number: record.epoch,
            layout,
            lanes: record.lanes,
            record: record.clone(),
            hash: *hash,
            former,
            since: since.epoch,
            level: Level::default(),
            anchor: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            groups: layout.group_ids().map(|_| GroupProgress::default()).collect(),
            has_ended: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            lanes_leave: AtomicBool::new(false),
            without_lanes: AtomicUsize::new(0),
            successor: OnceLock::new(),
        }
    }

    /// Ids of the servers that have its groups.
    pub fn members(&self) -> &[u64] {
        &self.record.terms.members
    }

    /// The epoch after this one, if the merge has come to it. Nothing frees what this one holds: epochs are few.
    pub fn successor(&self) -> Option<&Arc<EpochProgress>> {
        self.successor.get()
    }

    /// The merge goes on with another epoch.
    pub fn is_followed_by(&self, next: Arc<EpochProgress>) {
        assert!(next.number > self.number, "global_prefix: epochs follow each other");
        assert!(self.successor.set(next).is_ok(), "global_prefix: an epoch ends once");
    }

    /// The merge has come to the end.
    pub fn ends(&self) {
        self.has_ended.store(true, SeqCst);
    }

    pub fn has_ended(&self) -> bool {
        self.has_ended.load(SeqCst)
    }

    /// The lanes of one more group have gone on.
    pub fn lanes_are_gone(&self) {
        self.without_lanes.fetch_add(1, SeqCst);
    }

    /// Whether the lanes are to go on now. Each epoch's do so once.
    pub fn is_left_by_lanes(&self) -> bool {
        !self.lanes_leave.swap(true, SeqCst)
    }

    /// Whether all lanes have gone on.
    pub fn has_no_lanes(&self) -> bool {
        self.without_lanes.load(SeqCst) == self.groups.len()
    }

    /// Closes the groups: their threads let go of them.
    pub fn close(&self) {
        // A thread that reads the mail sees why it is to stop.
        self.is_closed.store(true, SeqCst);
        self.groups.iter().for_each(|group| group.send(Mail::Stop));
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
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

    /// Number of a group's channel, which also names its log: the group's number, and the epoch above that. Those of the
    /// first epoch are as they were before there were others.
    pub fn channel(&self, group: usize) -> u32 {
        channel_of(self.number, group)
    }

    /// What the logs of ended threads hold, by channel.
    pub fn left(&self) -> impl Iterator<Item = (u32, Held)> {
        let groups = self.groups.iter().enumerate();
        groups.filter_map(|(index, group)| Some((self.channel(index), (*group.left.lock())?)))
    }

    /// The group that takes the commands of a lane. Both are given by their zero-based index.
    pub fn group_of(&self, lane: usize) -> &GroupProgress {
        &self.groups[lane_group(lane as u16 + 1, self.layout.groups()).index()]
    }

    /// Sends a message to all groups' threads.
    pub fn tell(&self, mail: &Mail) {
        if !self.is_closed() {
            self.groups.iter().for_each(|group| group.send(mail.clone()));
        }
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

    /// Whether the merge awaits such a slot of any group.
    pub fn awaits_any(&self) -> bool {
        self.awaits(self.awaited.load(SeqCst) as usize)
    }

    /// Whether this server's disk is stuck, as far as any log can tell.
    pub fn disk_is_stuck(&self) -> bool {
        self.groups.iter().any(|group| group.disk_is_stuck.load(SeqCst))
    }
}
