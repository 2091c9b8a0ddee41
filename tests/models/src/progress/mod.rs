//! The parts of a server's progress that take part in hand-overs.

#[path = "../../../../engine/src/progress/bell.rs"]
mod bell;
#[path = "../../../../engine/src/progress/bounds.rs"]
mod bounds;
#[path = "../../../../engine/src/progress/executed.rs"]
mod executed;
#[path = "../../../../engine/src/progress/lease.rs"]
mod lease;
#[path = "../../../../engine/src/progress/mailbox.rs"]
mod mailbox;
#[path = "../../../../engine/src/progress/waits.rs"]
mod waits;

pub(crate) use bell::Bell;
pub(crate) use bounds::{Bounds, ByteLimits};
pub(crate) use executed::Executed;
pub(crate) use lease::PublishedLease;
pub(crate) use mailbox::Mailbox;
pub(crate) use waits::{Level, Waits};

use std::sync::Arc;

use niagara_sequencer::Layout;
use niagara_sequencer::epoch::Epoch;

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

pub(crate) struct SharedProgress {
    epoch: Arc<EpochProgress>,
    pub applied: AtomicU64,
    pub snapshots: Nobody,
    pub divergence: Nobody,
    pub bounds: Bounds,
}

pub(crate) struct EpochProgress {
    pub number: Epoch,
    pub layout: Layout,
    level: Level,
    pub anchor: AtomicU32,
    pub awaited: AtomicU32,
    pub groups: Vec<GroupProgress>,
}

pub(crate) struct GroupProgress {
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
    HandLanesOver,
}

/// A stand-in that takes no part.
pub(crate) struct Nobody;

impl Nobody {
    pub fn servers_are(&self, _: usize) {}
}

impl SharedProgress {
    pub fn new(groups: usize) -> SharedProgress {
        let group = || GroupProgress {
            leads: AtomicBool::new(true),
            leader: AtomicU64::new(1),
            waits: Waits::default(),
            mailbox: Mailbox::default(),
        };
        let epoch = EpochProgress {
            number: Epoch::FIRST,
            layout: Layout::new(groups as u16),
            level: Level::default(),
            anchor: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            groups: std::iter::repeat_with(group).take(groups).collect(),
        };
        SharedProgress {
            epoch: Arc::new(epoch),
            applied: AtomicU64::new(0),
            snapshots: Nobody,
            divergence: Nobody,
            bounds: Bounds::new(ByteLimits { behind: 1 << 20, merge: 1 << 20 }, groups),
        }
    }
}

impl SharedProgress {
    pub fn epoch(&self) -> &Arc<EpochProgress> {
        &self.epoch
    }

    /// There is no other one.
    pub fn epochs(&self) -> impl Iterator<Item = &Arc<EpochProgress>> {
        std::iter::once(&self.epoch)
    }
}

impl EpochProgress {
    pub fn is_followed_by(&self, _: Arc<EpochProgress>) {
        unreachable!("there is one epoch");
    }

    pub fn is_left_by_lanes(&self) -> bool {
        false
    }

    pub fn tell(&self, mail: &Mail) {
        self.groups.iter().for_each(|group| group.send(*mail));
    }

    pub fn level(&self) -> u64 {
        self.level.get()
    }

    pub fn raise_level(&self, level: u64) {
        self.level.raise(level, || {
            self.groups.iter().filter(|group| group.waits.pads_at(level)).for_each(GroupProgress::wake);
        });
    }

    /// There is one group.
    pub fn group_of(&self, _: usize) -> &GroupProgress {
        &self.groups[0]
    }

    pub fn is_leaderless(&self, _: u32) -> bool {
        false
    }
}

impl GroupProgress {
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

    pub fn set_replaying(&self, _: bool) {}

    pub fn is_diverged(&self) -> bool {
        false
    }
}
