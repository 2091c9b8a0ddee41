//! Progress of one group's replica, and messages to its thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};

use niagara_group::{Follower, NotMoved};
use niagara_log::Held;
use niagara_net::Waker;
use niagara_sequencer::epoch::EpochEnd;
use parking_lot::Mutex;

use super::lease::PublishedLease;
use super::mailbox::Mailbox;
use super::waits::Waits;
use crate::promise::SharedPromise;
use crate::snapshot::{Header, Snapshots};
use crate::status::Role;

/// Raft's roles, indexed by [`GroupProgress::role`].
pub(crate) const ROLES: [Role; 4] = [Role::Follower, Role::PreCandidate, Role::Candidate, Role::Leader];

/// Progress of one group's replica. Aligned so that two groups' threads share no cache line.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct GroupProgress {
    /// Raft index of the last committed entry. The group's thread writes this and the fields up to `waits`.
    pub commit: AtomicU64,
    /// Raft index of the first entry that the log keeps.
    pub first: AtomicU64,
    pub last: AtomicU64,
    pub term: AtomicU64,
    pub leader: AtomicU64,
    pub role: AtomicU8,
    pub leads: AtomicBool,
    pub lags: AtomicBool,
    /// Server that should lead it.
    pub wanted: AtomicU64,
    /// Server that leadership is being handed over to; 0 for none.
    pub transferee: AtomicU64,
    /// Whether another server can take over, as far as this leader knows.
    pub has_successor: AtomicBool,
    /// Whether this server leaves the group to others, although it should lead it.
    pub is_left: AtomicBool,
    /// The other servers, as this leader sees them; empty if it does not lead.
    pub followers: Mutex<Vec<Follower>>,
    /// Ticks for which the group has had no leader; 0 while it has one.
    pub leaderless_ticks: AtomicU32,
    /// Ticks for which the oldest unfinished write has been waiting; the next field is the bytes of entries
    /// that wait.
    pub disk_wait_ticks: AtomicU64,
    pub unsynced: AtomicU64,
    pub disk_is_stuck: AtomicBool,
    /// The lease that this server holds as the group's leader.
    pub lease: PublishedLease,
    /// Whether it has given its lease of the current term up.
    pub lease_is_given_up: AtomicBool,
    /// Bytes that the group brings to the global log beyond its share, as [`Balance`] counts them. The
    /// sequencer's thread writes it.
    ///
    /// [`Balance`]: niagara_sequencer::Balance
    pub surplus: AtomicU64,
    /// What the group's thread waits for.
    pub waits: Waits,
    /// How soon the group has committed lately, packed.
    pub pace: AtomicU64,
    /// Raft index up to which entries are durable here.
    pub persisted: AtomicU64,
    /// What the log holds when the group's thread ends.
    pub left: Mutex<Option<Held>>,
    mailbox: Mailbox<Mail>,
}

/// A message to a group's thread from a thread of the same server.
#[derive(Clone, Debug)]
pub(crate) enum Mail {
    /// The log is durable up to the write of this Ready.
    Persisted(u64),
    /// Start the quorum round with this number.
    AskRead(u64),
    /// The merge waits for this group and holds a command at this place.
    Pad(u64),
    /// These snapshots are durable.
    Kept(Snapshots),
    /// This server's state is at this snapshot or beyond it.
    Install(Arc<Header>),
    /// The process of this server seems to have ended.
    Ended(u64),
    /// Hand leadership over to a server, and tell what becomes of that.
    Move(Move),
    /// Leave the group to others, or claim it at once.
    Claim(bool),
    /// Propose to end the epoch.
    End(Arc<EpochEnd>),
    /// Everything of the epoch has been executed: this server's lanes go on with the groups of the next one.
    HandLanesOver,
    /// Whether leaderships are given away has changed.
    Drain,
    /// End the thread.
    Stop,
}

/// A leadership that is to go to a server, and where the outcome is awaited.
#[derive(Clone)]
pub(crate) struct Move {
    pub to: u64,
    pub outcome: Arc<SharedPromise<Result<(), NotMoved>>>,
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Move").field("to", &self.to).finish_non_exhaustive()
    }
}

impl GroupProgress {
    /// Sets the waker of the group's thread, once, before any thread runs.
    pub fn set_waker(&self, waker: Waker) {
        self.mailbox.set_waker(waker);
    }

    /// Wakes the group's thread if it sleeps.
    pub fn wake(&self) {
        self.mailbox.wake();
    }

    /// Adds a message to the thread's mailbox.
    pub fn send(&self, mail: Mail) {
        self.mailbox.send(mail);
    }

    pub fn has_mail(&self) -> bool {
        self.mailbox.has_mail()
    }

    /// Moves the messages in the mailbox to `into`.
    pub fn take_mail(&self, into: &mut Vec<Mail>) {
        self.mailbox.take(into);
    }

    /// Reports that the merge has passed this entry. Wakes the group's thread if commands wait for that.
    pub fn merged(&self, index: u64) {
        self.waits.merge_passes(index, || self.wake());
    }

    /// Reports that commands of the group's lane have been executed. Wakes its thread if other commands wait
    /// for any progress.
    pub fn executed(&self) {
        self.waits.execution_passes(|| self.wake());
    }
}
