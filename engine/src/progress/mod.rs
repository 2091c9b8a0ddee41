//! Progress of a server's threads, and how they wake each other. Each field has one writer; readers need no
//! lock.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the progress of a server |
//! | `succession.rs` | how one epoch follows another |
//! | `epoch.rs`, `group.rs` | that of the groups whose logs are merged together, and of one of them |
//! | `mailbox.rs`, `bell.rs` | messages for threads that poll sockets; sleep and wake-ups of threads that do not |
//! | `waits.rs` | what wakes a group's thread before its tick |
//! | `bounds.rs` | how many bytes may wait behind something slow |
//! | `drain.rs` | whether this server gives its leaderships away |
//! | `change.rs` | the latest request for other members |
//! | `connected.rs` | which servers this one is connected to |
//! | `ended.rs` | which servers' processes seem to have ended |
//! | `removal.rs` | whether this server has been removed from the cluster |
//! | `room.rs` | room on the disk |
//! | `divergence.rs` | whether this server has diverged from the others |
//! | `executed.rs` | what has been executed |
//! | `following.rs` | followers, or whom this server follows |
//! | `lease.rs` | a leader's lease |
//! | `alarms.rs` | what an operator has to know about all that |

mod alarms;
mod bell;
mod bounds;
mod change;
mod connected;
mod divergence;
mod drain;
mod ended;
mod epoch;
mod executed;
mod following;
mod group;
mod lease;
mod mailbox;
mod refusals;
mod removal;
mod room;
mod succession;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use niagara_group::Taking;
use niagara_log::Held;
use niagara_net::DownReason;

use parking_lot::Mutex;

use crate::planted::{self, Bug};
use crate::snapshot::SnapshotSignals;
use crate::watch::Watchers;

pub(crate) use alarms::{alarms, measure, waiting};
pub(crate) use bell::Bell;
pub(crate) use bounds::{Bounds, ByteLimits};
use change::Change;
use connected::Connected;
pub(crate) use divergence::Divergence;
use drain::Drain;
use ended::EndedServers;
pub(crate) use epoch::{EpochProgress, channel_of};
pub(crate) use executed::Executed;
pub(crate) use following::Followed;
use following::Followers;
pub(crate) use group::{GroupProgress, Mail, Move, ROLES};
pub(crate) use refusals::{PeerRefusal, Refusals};
use removal::Removal;
pub(crate) use room::{Room, RoomWatch};
pub(crate) use succession::{Before, NextEpoch, Succession, Wanted};

/// Progress of the whole server. All accesses are sequentially consistent: fields are written once per batch,
/// and the sleep protocol ("publish, then check whether the other sleeps" against "announce sleep, then check
/// again") needs the single total order.
pub(crate) struct SharedProgress {
    /// Progress of the first epoch of this process. The others follow one by one.
    first_epoch: Arc<EpochProgress>,
    /// All whose groups this process has made, those included that the merge has not come to.
    made: Mutex<Vec<Arc<EpochProgress>>>,
    /// How the next one comes about.
    pub succession: Succession,
    /// Last global position that has been executed.
    pub applied: AtomicU64,
    /// Connections that are refused.
    pub refusals: Refusals,
    /// Which servers this one is connected to.
    pub connected: Connected,
    ended: EndedServers,
    /// Whether this server gives its leaderships away.
    pub drain: Drain,
    /// The latest request for other members.
    pub change: Change,
    /// Whether this server has been removed.
    pub removal: Removal,
    /// Those who watch this server.
    pub watchers: Watchers,
    /// Whether the server is being stopped, so that nothing may begin.
    pub is_stopping: AtomicBool,
    /// Signals between these threads and the snapshots' thread.
    pub snapshots: SnapshotSignals,
    /// Whether this server has diverged from the others.
    pub divergence: Divergence,
    /// Bytes that wait behind something slow.
    pub bounds: Bounds,
    /// How many threads drive groups; 0 on a follower.
    pub group_threads: AtomicUsize,
    /// Room on the disk.
    pub room: Room,
    /// The followers of a member.
    pub followers: Followers,
    /// Whom this server follows; `None` for a member.
    pub follows: Option<Followed>,
}

impl SharedProgress {
    /// Progress of one server of a cluster with this many, that continues in this epoch.
    pub fn new(epoch: EpochProgress, servers: usize, limits: ByteLimits) -> Self {
        let epoch = Arc::new(epoch);
        SharedProgress {
            bounds: Bounds::new(limits, epoch.groups.len()),
            group_threads: AtomicUsize::new(0),
            made: Mutex::new(vec![Arc::clone(&epoch)]),
            first_epoch: epoch,
            succession: Succession::default(),
            applied: AtomicU64::new(0),
            refusals: Refusals::default(),
            connected: Connected::default(),
            ended: EndedServers::default(),
            drain: Drain::default(),
            change: Change::default(),
            removal: Removal::default(),
            watchers: Watchers::default(),
            is_stopping: AtomicBool::new(false),
            snapshots: SnapshotSignals::default(),
            divergence: Divergence::new(servers),
            room: Room::default(),
            followers: Followers::default(),
            follows: None,
        }
    }

    /// The same for a server that is no member.
    pub fn of_follower(mut self) -> Self {
        self.follows = Some(Followed::default());
        self
    }

    /// Whether this server knows whom to ask: a leader of every group, or a member if it follows.
    pub fn is_in_touch(&self) -> bool {
        match &self.follows {
            Some(followed) => followed.member() != 0,
            None => self.epoch().groups.iter().all(|group| group.leader.load(SeqCst) != 0),
        }
    }

    /// Progress of the epoch that is merged.
    pub fn epoch(&self) -> &Arc<EpochProgress> {
        self.epochs().last().expect("there is a first one")
    }

    /// Whether an epoch is the one that is merged: what a server reports is of that one's groups.
    pub fn is_running(&self, epoch: &EpochProgress) -> bool {
        self.epoch().number == epoch.number
    }

    /// The epochs whose groups this process has made and not closed, in order.
    pub fn open_epochs(&self) -> Vec<Arc<EpochProgress>> {
        self.made.lock().iter().filter(|epoch| !epoch.is_closed()).cloned().collect()
    }

    /// The newest epoch whose groups this process has made.
    pub fn newest_made(&self) -> Arc<EpochProgress> {
        Arc::clone(self.made.lock().last().expect("there is a first one"))
    }

    /// All epochs since this process has started that the merge has come to or leapt over, in order. Some may be closed.
    pub fn epochs(&self) -> impl Iterator<Item = &Arc<EpochProgress>> {
        std::iter::successors(Some(&self.first_epoch), |epoch| epoch.successor())
    }

    /// The groups of an epoch are there.
    pub fn is_made(&self, epoch: &Arc<EpochProgress>) {
        self.made.lock().push(Arc::clone(epoch));
    }

    /// What the logs of ended threads hold, by channel.
    pub fn left(&self) -> BTreeMap<u32, Held> {
        self.made.lock().iter().flat_map(|epoch| epoch.left()).collect()
    }

    /// A group's channel is closed, and its log is complete: it holds this.
    pub fn is_left(&self, epoch: &EpochProgress, group: usize, held: Held) {
        self.refusals.closed(channel_of(epoch.number, group));
        *epoch.groups[group].left.lock() = Some(held);
        // The logs of an epoch that is closed may go.
        self.snapshots.wake();
    }

    /// Sends a message to the threads of all groups, of all epochs.
    pub fn tell_groups(&self, mail: &Mail) {
        self.made.lock().iter().for_each(|epoch| epoch.tell(mail));
    }

    /// Notes that a connection to a peer is gone, on the channel with this number. If that and another one say
    /// that the peer's process has ended, tells all groups. Those of an ended epoch say nothing: the peer may have closed it.
    pub fn connection_is_gone(&self, channel: u32, peer: u64, reason: DownReason) {
        self.connected.down(channel, peer);
        if self.is_of_ended_epoch(channel) {
            return;
        }
        if reason.is_by_the_other_end() && self.ended.closed(channel, peer) {
            tracing::info!(peer, "the server has closed its connections: its process has ended");
            self.tell_groups(&Mail::Ended(peer));
        }
    }

    /// Whether a channel is that of a group whose epoch has ended here.
    fn is_of_ended_epoch(&self, channel: u32) -> bool {
        channel != 0 && channel < channel_of(self.epoch().number, 0)
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
        self.tell_groups(&Mail::Drain);
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
    pub fn taking(&self, epoch: &EpochProgress, group: usize, commit: u64, unmerged_bytes: u64) -> Taking {
        if self.room.is_lacking() {
            return Taking::NoCommands;
        }
        let is_awaited = epoch.awaited.load(SeqCst) as usize == group;
        let fills_it = commit > epoch.groups[group].waits.merged();
        let may_grow = is_awaited
            && (!fills_it || unmerged_bytes < self.bounds.share())
            && !planted::is(Bug::AwaitedGroupRefused);
        if self.bounds.is_behind() && !may_grow { Taking::Inherited } else { Taking::All }
    }
}
