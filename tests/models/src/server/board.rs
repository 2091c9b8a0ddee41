//! The board, as far as hand-overs go over it.

use super::bounds::{Bounds, Limits};
use super::mailbox::Mailbox;
use super::waits::{Level, Waits};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

pub(crate) struct Board {
    level: Level,
    pub anchor: AtomicU32,
    pub awaited: AtomicU32,
    pub applied: AtomicU64,
    pub groups: Vec<GroupBoard>,
    pub snapshots: Nobody,
    pub divergence: Nobody,
    pub bounds: Bounds,
}

pub(crate) struct GroupBoard {
    pub leads: AtomicBool,
    pub leader: AtomicU64,
    pub waits: Waits,
    pub mailbox: Mailbox<Mail>,
}

/// A message for a group's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mail {
    AskRead(u64),
    Persisted(u64),
}

/// Who has no part in it.
pub(crate) struct Nobody;

impl Board {
    pub fn new(groups: usize) -> Board {
        let group = || GroupBoard {
            leads: AtomicBool::new(true),
            leader: AtomicU64::new(1),
            waits: Waits::default(),
            mailbox: Mailbox::default(),
        };
        Board {
            level: Level::default(),
            anchor: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            applied: AtomicU64::new(0),
            groups: std::iter::repeat_with(group).take(groups).collect(),
            snapshots: Nobody,
            divergence: Nobody,
            bounds: Bounds::new(Limits { behind: 1 << 20, merge: 1 << 20 }, groups),
        }
    }

    pub fn level(&self) -> u64 {
        self.level.get()
    }

    pub fn raise_level(&self, level: u64) {
        self.level.raise(level, || {
            self.groups.iter().filter(|group| group.waits.pads_at(level)).for_each(GroupBoard::wake);
        });
    }

    pub fn is_leaderless(&self, _: u32) -> bool {
        false
    }
}

impl GroupBoard {
    pub fn send(&self, mail: Mail) {
        self.mailbox.send(mail);
    }

    pub fn wake(&self) {
        self.mailbox.wake();
    }

    pub fn merged(&self, index: u64) {
        self.waits.merge_passes(index, || self.wake());
    }

    pub fn executed(&self) {
        self.waits.execution_passes(|| self.wake());
    }
}

impl Nobody {
    pub fn wake(&self) {}

    pub fn is_diverged(&self) -> bool {
        false
    }
}
