//! What callers' threads share with the engine's.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_group::digest_mark::DigestMark;
use niagara_log::{Durability, SyncMethod};
use niagara_sequencer::epoch::{Contact, Epoch, Record};
use niagara_sequencer::{GlobalPosition, GroupId, Slot};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::config::FIRST_LEVEL;
use crate::growing::Growing;
use crate::identity::PeerLevels;
use crate::lane::{
    Deliveries, Groups, Lane, LaneId, LaneLimits, LaneQueue, Leadership, Look, Origin, Room, TicketPart,
    choose,
};
use crate::metrics::{GroupMetrics, Metrics};
use crate::outcome::{Consistency, Refused};
use crate::planted::{self, Bug};
use crate::probing::Prober;
use crate::progress::{Bell, EpochProgress, Executed, GroupProgress, ROLES, SharedProgress, alarms, waiting};
use crate::read_gate::{AtLeastBatch, ReadBatch, ReadGate, ReadSink};
use crate::reads::Reads;
use crate::role::ServerRole;
use crate::snapshot::SnapshotTicket;
use crate::state_machine::StateMachine;
use crate::status::{Digest, FollowedStatus, GroupStatus, LeaseStatus, Status};
use crate::subscription::Feed;

/// The part of a server that its clients use.
pub(crate) struct Shared<S: StateMachine> {
    pub server: u64,
    pub cluster: u128,
    /// What the configuration says of members.
    pub contacts: Vec<Contact>,
    pub durability: Durability,
    /// How logs make writes durable.
    pub log_sync: SyncMethod,
    /// What it looks for servers with.
    pub prober: Prober,
    /// How strong reads are made sure to be fresh.
    pub mode: Reads,
    pub command_bytes: usize,
    pub deadline: Duration,
    pub clock: Clock,
    /// If a group has had no leader for more ticks than this, commands are refused.
    pub leaderless_ticks: u32,
    /// Number of this start, the size of an entry, and limits, for lanes that come.
    pub incarnation: u64,
    pub entry_bytes: usize,
    /// The highest level that this program knows, and those that the other servers know.
    pub known_level: u32,
    pub peer_levels: PeerLevels,
    pub lane_limits: LaneLimits,
    /// This server's lanes. Those of the epoch that is merged may be fewer.
    pub lanes: Arc<Growing<Lane<S::Reply>>>,
    /// Number of threads that drive the groups.
    pub progress: Arc<SharedProgress>,
    pub reads: Arc<ReadGate>,
    pub executed: Arc<Executed>,
    /// What subscribers follow.
    pub feed: Arc<Feed>,
    pub metrics: Arc<Metrics>,
    /// These metrics, and those of the embedding program.
    pub registry: Mutex<Registry>,
    pub reader: S::Reader,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
}

impl<S: StateMachine> Shared<S> {
    /// Where a member of an epoch is.
    pub fn contact<'a>(&'a self, record: &'a Record, server: u64) -> Option<&'a Contact> {
        let configured = || self.contacts.iter().find(|contact| contact.server == server);
        record.contact(server).or_else(configured)
    }

    /// Ids of all servers, in rising order.
    pub fn members(&self) -> Vec<u64> {
        let mut members = self.progress.epoch().members().to_vec();
        members.sort_unstable();
        members
    }

    /// Refuses a command that is too large, that the state machine does not know, or for which the cluster's level is too low.
    pub fn check_command(&self, command: &[u8]) -> Result<(), Refused> {
        let bytes = command.len();
        if bytes > self.command_bytes {
            return Err(Refused::TooLarge { bytes, limit: self.command_bytes });
        }
        S::check(command).map_err(|unknown| Refused::NotACommand(unknown.0))?;
        let needed = S::needed_level(command);
        if needed > FIRST_LEVEL && !planted::is(Bug::NeededLevelIgnored) {
            // The merge has come to the epoch of that level, so nothing that this server sends now is executed before it.
            let now = self.progress.epoch().record.terms.level;
            if needed > now {
                return Err(Refused::Level { needed, now });
            }
        }
        Ok(())
    }

    /// Refuses commands unless this server runs, agrees with the others, has room for commands, and all groups have
    /// leaders, so that commands can be executed and reads confirmed.
    pub fn check_ready(&self) -> Result<(), Refused> {
        if self.progress.follows.is_some() {
            return Err(Refused::Follower);
        }
        let leaves = self.progress.removal.next().is_some();
        if self.progress.is_stopping.load(SeqCst) || self.progress.drain.is_retiring() || leaves {
            return Err(Refused::Stopping);
        }
        if self.progress.divergence.is_diverged() {
            return Err(Refused::Diverged);
        }
        if self.progress.room.is_lacking() {
            return Err(Refused::ReadOnly);
        }
        if self.progress.epoch().is_leaderless(self.leaderless_ticks) {
            Err(Refused::NoLeader)
        } else {
            Ok(())
        }
    }

    /// Makes what more groups and lanes need. The thread that makes epochs calls it.
    pub fn grow(&self, groups: u16, lanes: u16) {
        self.metrics.groups.grow_to(groups.into(), |_| GroupMetrics::new());
        self.lanes.grow_to(lanes.into(), |lane| {
            let origin = Origin { server: self.server, incarnation: self.incarnation, lane: lane as u16 };
            Lane::new(Arc::new(LaneQueue::new(origin, self.entry_bytes)), self.lane_limits)
        });
    }

    /// The best lane for new commands at this moment.
    pub fn choose_lane(&self) -> LaneId {
        self.choose_lane_beside(|_| 0)
    }

    /// The best lane for new commands of a caller that has so many bytes ready for each lane.
    pub fn choose_lane_beside(&self, staged: impl Fn(usize) -> usize) -> LaneId {
        let epoch = self.progress.epoch();
        let anchor = epoch.anchor.load(SeqCst) as usize;
        let leader = |group: &GroupProgress| match (group.leads.load(SeqCst), group.leader.load(SeqCst)) {
            (true, _) => Leadership::Here,
            (false, 0) => Leadership::Unknown,
            (false, _) => Leadership::Elsewhere,
        };
        let traffic = |lane: usize| {
            let (group, mut traffic) = (epoch.group_of(lane), self.lanes[lane].traffic());
            traffic.in_flight += staged(lane);
            traffic.surplus = group.surplus.load(SeqCst) as usize;
            traffic.servers = epoch.members().len();
            (leader(group), traffic)
        };
        let side_by_side = self.progress.group_threads.load(SeqCst) >= usize::from(epoch.layout.groups());
        let working = if side_by_side { Groups::Parallel } else { Groups::TakingTurns };
        choose((0..epoch.lanes.into()).map(traffic), anchor, working)
    }

    /// Submits a single command: to the lane that the caller used last if it may join the commands that were
    /// proposed there a moment ago, else to the best one. `look` follows the command. Returns its lane, too.
    pub fn submit_one(
        &self,
        last_lane: usize,
        command: Bytes,
        mut look: Option<Box<dyn Look>>,
        patience: Duration,
    ) -> Result<(TicketPart<S::Reply>, usize), Refused> {
        self.check_command(&command)?;
        let (ticket, lane) = if let Some(ticket) = self.lanes[last_lane].join(&command, &mut look, patience) {
            (ticket, last_lane)
        } else {
            self.check_ready()?;
            let lane = usize::from(self.choose_lane().0);
            (self.lanes[lane].begin(command, look, self.clock.now(), patience)?, lane)
        };
        self.progress.epoch().group_of(lane).wake();
        Ok((ticket, lane))
    }

    /// Whether the best lane has room for a command.
    pub fn room(&self, deadline: Instant) -> Result<Room, Refused> {
        self.lanes[usize::from(self.choose_lane().0)].room(deadline)
    }

    /// The group whose slot the merge awaits and the last place that is committed there now, if this server holds
    /// the group's lease. The reads that rely on it must have begun before.
    fn leased(&self) -> Option<(&EpochProgress, Slot)> {
        let epoch = self.progress.epoch();
        let awaited = epoch.awaited.load(SeqCst) as usize;
        let place = epoch.groups[awaited].lease.place(|| self.clock.boot_time())?;
        let committed = Slot { place, group: GroupId::new(awaited as u16 + 1) };
        (!epoch.has_ended()).then_some((epoch, committed))
    }

    /// Whether a strong read that has begun may read at once, since this server holds the lease that it needs
    /// and has executed everything below its barrier.
    pub fn is_fresh_by_lease(&self) -> bool {
        if planted::is(Bug::FollowerReadsWhatItHas) && self.progress.follows.is_some()
            || planted::is(Bug::RemovedServerReads) && self.progress.removal.next().is_some()
        {
            return true;
        }
        self.mode == Reads::Lease
            && self.leased().is_some_and(|(epoch, committed)| {
                let barrier = epoch.layout.barrier_above(committed);
                barrier.get() <= self.progress.applied.load(SeqCst) + 1
            })
            && !self.progress.divergence.is_diverged()
            && !self.progress.is_stopping.load(SeqCst)
    }

    /// Starts reads; `true` if the state is fresh enough already, and the sink will not be called.
    pub fn read(
        &self,
        consistency: Consistency,
        sink: Arc<dyn ReadSink>,
        tokens: Vec<u64>,
        patience: Duration,
    ) -> bool {
        if consistency != Consistency::Weak && self.progress.divergence.is_diverged() {
            sink.failed(&tokens);
            return false;
        }
        match consistency {
            Consistency::Weak => return true,
            Consistency::AtLeast(position) if self.has_applied(position) => return true,
            Consistency::AtLeast(position) => {
                let reads = tokens.into_iter().map(|token| (position, token)).collect();
                self.read_at_least(sink, reads, patience);
            }
            Consistency::Strong if self.is_fresh_by_lease() => {
                self.metrics.lease_reads.inc_by(tokens.len() as u64);
                return true;
            }
            Consistency::Strong => self.read_when_fresh(sink, tokens, patience),
        }
        false
    }

    /// Whether the state is fresh enough for a read at least at this position.
    fn has_applied(&self, position: GlobalPosition) -> bool {
        let early = u64::from(planted::is(Bug::AtLeastOffByOne));
        position.get() <= self.progress.applied.load(SeqCst) + early
    }

    /// Whether an at-least read may proceed at once.
    pub fn reads_at_once(&self, position: GlobalPosition) -> bool {
        self.has_applied(position) && !self.progress.divergence.is_diverged()
    }

    /// Starts reads that did not proceed at once, each at least at a position of its own.
    pub fn read_at_least(
        &self,
        sink: Arc<dyn ReadSink>,
        reads: Vec<(GlobalPosition, u64)>,
        patience: Duration,
    ) {
        if self.progress.divergence.is_diverged() {
            let tokens: Vec<u64> = reads.iter().map(|(_, token)| *token).collect();
            return sink.failed(&tokens);
        }
        let queued = self.clock.now();
        self.reads.read_at_least(AtLeastBatch { sink, reads, queued, deadline: queued + patience });
    }

    /// Starts strong reads that are not fresh yet.
    pub fn read_when_fresh(&self, sink: Arc<dyn ReadSink>, tokens: Vec<u64>, patience: Duration) {
        if self.progress.follows.is_some() && !self.progress.divergence.is_diverged() {
            self.reads.read_abroad(self.batch(sink, tokens, patience));
            return self.progress.snapshots.wake();
        }
        if self.progress.epoch().is_leaderless(self.leaderless_ticks)
            || self.progress.divergence.is_diverged()
        {
            self.metrics.reads_failed.inc_by(tokens.len() as u64);
            return sink.failed(&tokens);
        }
        let leased = || if self.mode == Reads::Lease { self.leased().map(|(_, slot)| slot) } else { None };
        self.reads.read_strong(self.batch(sink, tokens, patience), leased);
    }

    fn batch(&self, sink: Arc<dyn ReadSink>, tokens: Vec<u64>, patience: Duration) -> ReadBatch {
        let queued = self.clock.now();
        ReadBatch { sink, tokens, queued, deadline: queued + patience }
    }

    /// Requests a snapshot.
    pub fn snapshot(&self) -> SnapshotTicket {
        let ticket = self.progress.snapshots.request();
        self.sequencer.ring();
        ticket
    }

    /// Expires the commands whose deadline has passed, and shows what is new to those who watch.
    pub fn expire(&self, now: Instant) {
        let mut deliveries = Deliveries::default();
        for lane in self.lanes.iter() {
            lane.expire(now, &mut deliveries);
        }
        deliveries.deliver();
        if self.progress.removal.has_executed(GlobalPosition::new(self.progress.applied.load(SeqCst))) {
            self.end_waiting();
        }
        self.look_for_watchers();
    }

    /// Ends all waiting for commands and reads, of which there will be no more.
    fn end_waiting(&self) {
        let mut deliveries = Deliveries::default();
        for lane in self.lanes.iter() {
            lane.close(&mut deliveries);
        }
        deliveries.deliver();
        self.reads.close();
    }

    /// Refuses all further commands, and ends all waiting.
    pub fn close(&self) {
        self.progress.is_stopping.store(true, SeqCst);
        self.end_waiting();
        self.feed.close();
        self.progress.snapshots.requests.close();
        self.progress.watchers.changed();
    }

    fn lease_of(&self, group: &GroupProgress) -> Option<LeaseStatus> {
        let leads = self.mode == Reads::Lease && group.leads.load(SeqCst);
        leads.then(|| match group.lease.place(|| self.clock.boot_time()) {
            Some(_) => LeaseStatus::Held,
            None if group.lease_is_given_up.load(SeqCst) => LeaseStatus::GivenUp,
            None => LeaseStatus::None,
        })
    }

    pub fn status(&self) -> Status {
        let progress = &self.progress;
        let epoch = progress.epoch();
        let others = progress.open_epochs().into_iter().map(|other| other.number);
        let groups = epoch.groups.iter().zip(1..).map(|(group, number)| GroupStatus {
            group: number,
            role: ROLES[usize::from(group.role.load(SeqCst))],
            leader: group.leader.load(SeqCst),
            term: group.term.load(SeqCst),
            first: group.first.load(SeqCst),
            last: group.last.load(SeqCst),
            commit: group.commit.load(SeqCst),
            handed: group.waits.merged(),
            lease: self.lease_of(group),
        });
        let digests = self.executed.digests.lock().kept().into_iter();
        Status {
            server: self.server,
            cluster: format!("{:032x}", self.cluster),
            role: if progress.follows.is_some() { ServerRole::Follower } else { ServerRole::Member },
            follows: progress
                .follows
                .as_ref()
                .map(|followed| FollowedStatus { member: followed.member(), position: followed.position() }),
            followers: progress.followers.connected(),
            epoch: epoch.number.get(),
            level: epoch.record.terms.level,
            known_level: self.known_level,
            other_epochs: others.filter(|other| *other != epoch.number).map(Epoch::get).collect(),
            groups: epoch.groups.len() as u16,
            group_threads: progress.group_threads.load(SeqCst).min(epoch.groups.len()) as u16,
            voters: self.members(),
            diverged: progress.divergence.told(),
            durability: self.durability,
            log_sync: self.log_sync.to_string(),
            reads: self.mode,
            applied: progress.applied.load(SeqCst),
            commands: self.executed.commands.load(SeqCst),
            duplicates: self.executed.duplicates.load(SeqCst),
            noops: self.executed.noops.load(SeqCst),
            alarms: alarms(progress, &self.members()),
            waiting: waiting(progress),
            snapshot: progress.snapshots.status(),
            digests: digests
                .map(|DigestMark { position, log, state }| Digest {
                    position,
                    value: format!("{log:016x}"),
                    state: state.map(|state| format!("{state:016x}")),
                })
                .collect(),
            awaited_group: epoch.awaited.load(SeqCst) as u16 + 1,
            local: groups.collect(),
        }
    }
}
