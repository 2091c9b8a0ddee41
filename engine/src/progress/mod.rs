//! Progress of a server's threads, and how they wake each other. Each field has one writer; readers need no
//! lock.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the progress of a server and of its groups |
//! | `mailbox.rs`, `bell.rs` | messages for threads that poll sockets; sleep and wake-ups of threads that do not |
//! | `waits.rs` | what wakes a group's thread before its tick |
//! | `bounds.rs` | how many bytes may wait behind something slow |
//! | `drain.rs` | whether this server gives its leaderships away |
//! | `connected.rs` | which servers this one is connected to |
//! | `ended.rs` | which servers' processes seem to have ended |
//! | `room.rs` | room on the disk |
//! | `divergence.rs` | whether this server has diverged from the others |
//! | `executed.rs` | what has been executed |
//! | `lease.rs` | a leader's lease |
//! | `alarms.rs` | what an operator has to know about all that |

mod alarms;
mod bell;
mod bounds;
mod connected;
mod divergence;
mod drain;
mod ended;
mod executed;
mod lease;
mod mailbox;
mod refusals;
mod room;
mod waits;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

use niagara_group::{Follower, NotMoved, Taking};
use niagara_log::Held;
use niagara_net::{DownReason, Waker};
use parking_lot::Mutex;

use crate::planted::{self, Bug};
use crate::promise::SharedPromise;
use crate::snapshot::{Header, SnapshotSignals, Snapshots};
use crate::status::Role;
use crate::watch::Watchers;

pub(crate) use alarms::{alarms, measure, waiting};
pub(crate) use bell::Bell;
pub(crate) use bounds::{Bounds, ByteLimits};
use connected::Connected;
pub(crate) use divergence::Divergence;
use drain::Drain;
use ended::EndedServers;
pub(crate) use executed::Executed;
pub(crate) use lease::PublishedLease;
pub(crate) use mailbox::Mailbox;
pub(crate) use refusals::{PeerRefusal, Refusals};
pub(crate) use room::{Room, RoomWatch};
pub(crate) use waits::{Level, Waits};

/// Progress of the whole server. All accesses are sequentially consistent: fields are written once per batch,
/// and the sleep protocol ("publish, then check whether the other sleeps" against "announce sleep, then check
/// again") needs the single total order.
pub(crate) struct SharedProgress {
    level: Level,
    /// Zero-based index of the group that holds the latest command of the global log.
    pub anchor: AtomicU32,
    /// Zero-based index of the group whose slot the merge awaits.
    pub awaited: AtomicU32,
    /// Last global position that has been executed.
    pub applied: AtomicU64,
    /// Connections that are refused.
    pub refusals: Refusals,
    /// Which servers this one is connected to.
    pub connected: Connected,
    ended: EndedServers,
    /// Whether this server gives its leaderships away.
    pub drain: Drain,
    /// Those who watch this server.
    pub watchers: Watchers,
    /// Whether the server is being stopped, so that nothing may begin.
    pub is_stopping: AtomicBool,
    /// Progress of each group, by zero-based index.
    pub groups: Vec<GroupProgress>,
    /// Signals between these threads and the snapshots' thread.
    pub snapshots: SnapshotSignals,
    /// Whether this server has diverged from the others.
    pub divergence: Divergence,
    /// Bytes that wait behind something slow.
    pub bounds: Bounds,
    /// Room on the disk.
    pub room: Room,
}

/// Raft's roles, indexed by [`GroupProgress::role`].
pub(crate) const ROLES: [Role; 4] = [Role::Follower, Role::PreCandidate, Role::Candidate, Role::Leader];

/// Progress of one group's replica. Aligned so that two groups' threads share no cache line.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct GroupProgress {
    /// Raft index of the last committed entry. The group's thread writes this and the fields up to `waits`.
    pub commit: AtomicU64,
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

impl SharedProgress {
    /// Progress of one server of a cluster with this many.
    pub fn new(groups: usize, servers: usize, limits: ByteLimits) -> Self {
        SharedProgress {
            level: Level::default(),
            anchor: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            applied: AtomicU64::new(0),
            refusals: Refusals::default(),
            connected: Connected::default(),
            ended: EndedServers::default(),
            drain: Drain::default(),
            watchers: Watchers::default(),
            is_stopping: AtomicBool::new(false),
            groups: std::iter::repeat_with(GroupProgress::default).take(groups).collect(),
            snapshots: SnapshotSignals::default(),
            divergence: Divergence::new(servers),
            bounds: Bounds::new(limits, groups),
            room: Room::default(),
        }
    }

    pub fn level(&self) -> u64 {
        self.level.get()
    }

    /// Raises the level, and wakes the leaders on this server that have to pad for it.
    pub fn raise_level(&self, level: u64) {
        self.level.raise(level, || {
            self.groups.iter().filter(|group| group.waits.pads_at(level)).for_each(GroupProgress::wake);
        });
    }

    /// Notes that a connection to a peer is gone, on the channel with this number. If that and another one say
    /// that the peer's process has ended, tells all groups.
    pub fn connection_is_gone(&self, channel: u32, peer: u64, reason: DownReason) {
        self.connected.down(channel, peer);
        if reason.is_by_the_other_end() && self.ended.closed(channel, peer) {
            tracing::info!(peer, "the server has closed its connections: its process has ended");
            self.groups.iter().for_each(|group| group.send(Mail::Ended(peer)));
        }
    }

    /// Notes that a connection to a peer is up, on the channel with this number.
    pub fn connection_is_up(&self, channel: u32, peer: u64) {
        self.connected.up(channel, peer);
        self.ended.is_up(peer);
    }

    /// Lets a tick pass for what depends on the time; called by one group.
    pub fn tick(&self) {
        self.ended.tick();
    }

    /// Tells the groups that whether leaderships are given away has changed.
    pub fn drain_changed(&self) {
        self.groups.iter().for_each(|group| group.send(Mail::Drain));
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

    /// Which of its leader's entries a group may accept while it holds `unmerged_bytes` beyond the merge. `commit` is the last
    /// index that its replica knows to be committed: many messages can arrive before that is published.
    ///
    /// If the merge is halted, only the entry that it awaits helps, so that one is always accepted: refusing
    /// it would mean waiting forever. If execution is slow, the awaited slot is here already, and nothing is
    /// accepted beyond the bound.
    ///
    /// Why this ends: among the servers of a majority, take the one whose merge is furthest back. Either the
    /// entry that it awaits is committed, or all of them await the same group and accept its entries. A
    /// leader sends a committed entry as soon as it knows that it is committed; for that it needs only the
    /// entry that opens its term, and every server accepts that one.
    pub fn taking(&self, group: usize, commit: u64, unmerged_bytes: u64) -> Taking {
        if self.room.is_lacking() {
            return Taking::NoCommands;
        }
        let is_awaited = self.awaited.load(SeqCst) as usize == group;
        let fills_it = commit > self.groups[group].waits.merged();
        let may_grow = is_awaited
            && (!fills_it || unmerged_bytes < self.bounds.share())
            && !planted::is(Bug::AwaitedGroupRefused);
        if self.bounds.is_behind() && !may_grow { Taking::Inherited } else { Taking::All }
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
