//! One server's replica of one group: raft-rs, the rules for slots and padding, and how commands get into the
//! log.
//!
//! [`Driver`] says which methods feed it and which one is polled. The production thread and the simulator run
//! this same code, so that "persist before acknowledging" is tested where it is written.

mod admit;
mod contradiction;
#[cfg(test)]
mod fixture;
mod flow;
mod install;
mod leadership;
mod leasing;
mod moving;
mod proposing;
mod receive;
mod taking;
mod turn;

use self::admit::Refusals;
use self::flow::{Flow, MOST_IN_FLIGHT, MOST_MESSAGE_BYTES};
use self::leasing::Leasing;
use self::proposing::HeldBack;
use std::fmt;
use std::ops::Deref;

use niagara_log::{EntryId, HardState, LogEntry, LogStore};
use niagara_sequencer::epoch::EpochEnd;
use niagara_sequencer::{Lag, Pacing};
use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, RawNode, ReadOnlyOption, StateRole};

use crate::batch::EntryFill;
use crate::behind::{PendingInstall, PendingSnapshots, round_of};
use crate::config::DriverConfig;
use crate::contact::Contact;
use crate::failover::Failover;
use crate::intake::Intake;
use crate::lane_source::LaneSource;
use crate::notices::Notices;
use crate::outgoing::Outgoing;
use crate::own_lane::OwnLane;
use crate::pace::{Pace, PaceMeter};
use crate::placement::Placement;
use crate::planted::{self, Bug};
use crate::reads::{KnownLeader, PendingReads};
use crate::slots::SlotIndex;
use crate::store::{RaftStore, entry_for_log};
use crate::unpersisted::Unpersisted;
use crate::wire::{Wire, crosses_the_network};

pub use contradiction::Contradiction;
pub use leasing::HeldLease;
pub use moving::{Follower, NotMoved, Unfit};
pub use taking::Taking;
pub use turn::{Cut, Output, View, Write};

/// The most rounds that a leader pads per tick at the request of others. A waiting merge repeats its request
/// at each tick, so even years of rounds are made up for in seconds; and no server can request so many that
/// none are left.
const MOST_PADDED_A_TICK: u64 = 1 << 32;

/// State machine of one replica. It knows no thread, clock, socket or file: its owner feeds it, polls it, and
/// carries out what it asks for.
///
/// * **Feed it** with events as they happen: [`tick`](Self::tick) and [`time_is`](Self::time_is) for time; [`receive`](Self::receive),
///   [`link_up`](Self::link_up), [`link_down`](Self::link_down), [`peer_ended`](Self::peer_ended) and
///   [`queue_holds`](Self::queue_holds) for the network; [`persisted`](Self::persisted) for the disk; [`ask_read`](Self::ask_read),
///   [`request_pad`](Self::request_pad), [`forward_pad_request`](Self::forward_pad_request),
///   [`take`](Self::take), [`kept`](Self::kept) and [`install`](Self::install) for the rest of the server.
///   They return nothing.
/// * **Poll it** with [`turn`](Self::turn) once per round of the owner's loop, after the events of that
///   round. `turn` also takes new commands from the lane. Carry out what it adds to [`Output`], in order.
/// * **Ask it** through the getters at any time. [`wake_at`](Self::wake_at) and
///   [`goes_on_at`](Self::goes_on_at) say what progress elsewhere makes another turn worthwhile.
pub struct Driver {
    config: DriverConfig,
    raft: RawNode<RaftStore>,
    slots: SlotIndex,
    level: u64,
    intake: Intake,
    unpersisted: Unpersisted,
    /// Which entries of a leader may be accepted.
    taking: Taking,
    /// Whether the last message with entries was refused, at least in part.
    asks_for_more: bool,
    /// Messages with entries refused since the last turn, at least in part.
    untaken: u64,
    durable: (u64, u64),
    reads: PendingReads,
    /// `None` if the cluster has no leases.
    leasing: Option<Leasing>,
    placement: Placement,
    contact: Contact,
    /// When each follower has last answered this leader. raft-rs notes only who has since it last looked for a quorum.
    answers: Contact,
    failover: Failover,
    pacing: Pacing,
    lag: Lag,
    lagging: bool,
    pace_meter: PaceMeter,
    pace: Pace,
    /// What is to end the epoch, once this replica leads and proposes.
    end: Option<EpochEnd>,
    /// Whether this server gives its leaderships away.
    drains: bool,
    /// Ticks for which this replica has not campaigned although nobody leads.
    stood_back: u64,
    held: HeldBack,
    /// Highest level that requests to pad may reach until the next tick.
    pads_up_to: u64,
    refusals: Refusals,
    ticks: u64,
    last_cut: u64,
    outbox: Outgoing,
    flow: Flow,
    notices: Notices,
    /// Entry up to which snapshots make the log superfluous.
    superfluous: u64,
    /// Whether `superfluous`, or what keeps the log from being compacted, may have changed.
    may_compact: bool,
    /// Followers of this leader that are receiving a snapshot.
    pending_snapshots: PendingSnapshots,
    /// The leader's snapshot that this follower waits for.
    pending_install: Option<PendingInstall>,
    /// The same as leader and round, until the next turn reports it.
    need: Option<(u64, u64)>,
    /// The Ready that resets the log, and the index it resets it to, until that is durable.
    resetting: Option<(u64, u64)>,
    /// A leader has contradicted what is committed here: this replica ignores Raft's messages from then on.
    contradicted: Option<Contradiction>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A disk is stuck when a write has taken this many election timeouts: another server should lead.
const STUCK_ELECTIONS: u64 = 2;

impl Driver {
    /// A replica that continues from what `log` and `hard_state` hold. `slots` must know every entry in the
    /// log.
    pub fn new(config: DriverConfig, log: LogStore, hard_state: HardState, slots: SlotIndex) -> Self {
        let election = config.election_ticks as usize;
        let raft_config = raft::Config {
            id: config.server,
            election_tick: election,
            heartbeat_tick: config.heartbeat_ticks as usize,
            // The merge pulls committed entries from the log itself; raft-rs need not list them again.
            applied: hard_state.commit,
            // One message carries a whole window of entries to a follower that is that far behind, within
            // limits.
            max_size_per_msg: (config.entry_bytes * (config.window + 1))
                .min(MOST_MESSAGE_BYTES)
                .min(config.unsynced_bytes / 2) as u64,
            max_inflight_msgs: MOST_IN_FLIGHT,
            check_quorum: !planted::is(Bug::NoCheckQuorum),
            pre_vote: true,
            min_election_tick: config.campaign_ticks.start as usize,
            max_election_tick: config.campaign_ticks.end as usize,
            read_only_option: ReadOnlyOption::Safe,
            skip_bcast_commit: false,
            batch_append: false,
            priority: 0,
            // Pacing bounds the uncommitted entries, and so their bytes.
            max_uncommitted_size: raft::NO_LIMIT,
            max_committed_size_per_ready: raft::NO_LIMIT,
        };
        let store = RaftStore::new(log, hard_state, config.voters.clone());
        let logger = slog::Logger::root(crate::raft_log::ToTracing, slog::o!());
        let raft = RawNode::new(&raft_config, store, &logger)
            .unwrap_or_else(|error| panic!("raft refuses to start from this log: {error}"));
        Driver {
            intake: Intake::new(&config),
            unpersisted: Unpersisted::new(config.unsynced_bytes),
            durable: (hard_state.term, hard_state.vote),
            reads: PendingReads::new(config.server, config.boot, 2 * u64::from(config.heartbeat_ticks)),
            leasing: config.promise.map(|promise| Leasing::new(promise, config.voters.len())),
            placement: Placement::new(&config),
            contact: Contact::new(3 * u64::from(config.heartbeat_ticks)),
            answers: Contact::new(config.election_ticks.into()),
            failover: Failover::new(&config),
            pacing: Pacing::new(config.window),
            lag: Lag::new(config.window, config.election_ticks),
            raft,
            level: slots.level(),
            taking: Taking::All,
            untaken: 0,
            asks_for_more: false,
            lagging: false,
            pace_meter: PaceMeter::default(),
            pace: Pace::default(),
            end: None,
            drains: false,
            stood_back: 0,
            held: HeldBack::No,
            pads_up_to: slots.level().saturating_add(MOST_PADDED_A_TICK),
            refusals: Refusals::default(),
            ticks: 0,
            last_cut: 0,
            outbox: Outgoing::new(config.send_queue_bytes),
            flow: Flow::default(),
            notices: Notices::default(),
            superfluous: 0,
            may_compact: false,
            pending_snapshots: PendingSnapshots::default(),
            pending_install: None,
            need: None,
            resetting: None,
            contradicted: None,
            slots,
            config,
        }
    }

    // Getters

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// Leader that this replica knows of; 0 for none.
    pub fn leader(&self) -> u64 {
        self.raft.raft.leader_id
    }

    /// Current term of this replica.
    pub fn term(&self) -> u64 {
        self.raft.raft.term
    }

    /// Raft's role of this replica.
    pub fn role(&self) -> StateRole {
        self.raft.raft.state
    }

    /// Raft index of the last entry known to be committed.
    pub fn commit(&self) -> u64 {
        self.raft.raft.raft_log.committed
    }

    /// Highest place of a command in any local log, as far as this replica knows.
    pub fn level(&self) -> u64 {
        self.level
    }

    /// Raft index of the first entry that the local log keeps.
    pub fn first_index(&self) -> u64 {
        self.raft.store().log.first_index()
    }

    /// Raft index of the last entry in the local log.
    pub fn last_index(&self) -> u64 {
        self.raft.raft.raft_log.last_index()
    }

    /// Index and term of the last entry in the local log.
    pub fn last_entry(&self) -> EntryId {
        let log = &self.raft.raft.raft_log;
        EntryId { index: log.last_index(), term: log.last_term() }
    }

    /// Raft index up to which entries are durable here.
    pub fn persisted_index(&self) -> u64 {
        self.raft.raft.raft_log.persisted
    }

    /// Term, vote and commit index, to be written at a clean stop.
    pub fn hard_state(&self) -> HardState {
        let hard_state = self.raft.raft.hard_state();
        HardState { term: hard_state.term, vote: hard_state.vote, commit: hard_state.commit }
    }

    /// Bytes that the local log takes, in memory and on disk.
    pub fn log_bytes(&self) -> u64 {
        self.raft.store().log.size().bytes()
    }

    /// Whether the merge lags behind this group's committed entries.
    pub fn lags(&self) -> bool {
        self.lagging
    }

    /// How soon what enters this group's log has been committed lately.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Bytes of entries that the merge has not passed, including those that are about to enter the log.
    pub fn behind_bytes(&self) -> u64 {
        self.slots.unmerged_bytes() + self.unpersisted.arriving()
    }

    /// Bytes of entries that wait for this server's disk.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unpersisted.bytes()
    }

    /// Ticks for which the oldest unfinished write has been waiting; 0 if there is none.
    pub fn disk_waits_for(&self) -> u64 {
        self.unpersisted.waits_for(self.ticks)
    }

    /// Whether this server's disk is stuck, as far as this log can tell.
    pub fn disk_is_stuck(&self) -> bool {
        self.disk_waits_for() > STUCK_ELECTIONS * u64::from(self.config.election_ticks)
    }

    /// Index of the entry that the merge has to pass before waiting commands can be cut. 0 if any progress of
    /// the merge or of execution may help; `u64::MAX` if no commands wait.
    pub fn goes_on_at(&self) -> u64 {
        match self.held {
            HeldBack::No => u64::MAX,
            HeldBack::Window => self.slots.index_leaving(self.resumes_at()),
            // The merge cannot help; a message reports when the disk has finished.
            HeldBack::Disk => u64::MAX - 1,
            HeldBack::Other => 0,
        }
    }

    /// Lowest level at which this replica has padding to do; `u64::MAX` if it does not lead.
    pub fn wake_at<L: Deref<Target: LaneSource>>(&self, view: &View, lanes: &[L]) -> u64 {
        let may_propose = self.leads() && self.held == HeldBack::No && !self.intake.is_about_to_resend();
        if may_propose { self.padding(view, lanes).wake_at() } else { u64::MAX }
    }

    // Inputs

    /// Advances time by one tick.
    pub fn tick(&mut self, view: &View) {
        self.ticks += 1;
        self.pads_up_to = self.level.saturating_add(MOST_PADDED_A_TICK);
        let merged = self.slots.merged_commands();
        let committed = merged + self.slots.unmerged_commands_through(self.commit()) as u64;
        self.lagging = self.lag.observe_tick(committed, merged, view.awaits);
        self.pace = self.pace_meter.observe_tick(self.term(), self.last_index(), self.commit());
        if let Some(after) = self.config.campaign_after(self.term()) {
            self.raft.raft.set_randomized_election_timeout(after as usize);
        }
        self.tick_leadership(view);
        self.tick_lease();
        self.remind_followers();
        self.ask_for_more();
        self.outbox.tick();
        self.may_compact = true;
        self.reads.tick();
    }

    /// Reports that a link is up again. What was forwarded on it before may be lost.
    pub fn link_up(&mut self, peer: u64) {
        self.placement.link(peer, true, self.ticks);
        self.failover.is_back(peer);
        if peer == self.leader() {
            self.intake.sent_is_lost(self.ticks);
        }
    }

    /// Reports a broken link. A leader stops sending ahead on it until the follower answers.
    pub fn link_down(&mut self, peer: u64) {
        self.flow.forget_probe(peer);
        self.contact.broken(peer);
        self.answers.broken(peer);
        self.placement.link(peer, false, self.ticks);
        if self.leads() {
            self.raft.report_unreachable(peer);
            if self.raft.raft.lead_transferee == Some(peer) {
                self.raft.raft.abort_leader_transfer();
            }
        }
        self.forget_ended_leader();
    }

    /// Reports that a peer's process seems to have ended, since several of its connections were closed. If it
    /// leads, and its link in this group is down or goes down later, this replica stands for election without
    /// waiting for an election timeout.
    pub fn peer_ended(&mut self, peer: u64) {
        self.failover.ended(peer);
        self.forget_ended_leader();
    }

    /// Reports that everything up to and including the write of this Ready is durable.
    pub fn persisted(&mut self, ready: u64) {
        if let Some((last, messages)) = self.unpersisted.persisted(ready) {
            self.nothing_is_before(last, messages);
        }
    }

    /// Starts the quorum round of a strong read (Raft thesis, section 6.4). [`Output::reads`] will hold the
    /// answer.
    pub fn ask_read(&mut self, round: u64) {
        let context = self.reads.begin(round, self.known_leader(), self.commit());
        if planted::is(Bug::ReadWithoutQuorum) && self.leads() {
            self.reads.indexed(&context, self.commit());
            return;
        }
        self.raft.read_index(context);
    }

    /// Reports that a merge waits for this group's next slot while it holds a command at `level`. Only a
    /// leader acts on it.
    pub fn request_pad(&mut self, level: u64) {
        self.level = self.level.max(level.min(self.pads_up_to));
    }

    /// Reports that this server's merge waits. Notifies the leader, here or on another server.
    pub fn forward_pad_request(&mut self, level: u64) {
        match self.leader() {
            _ if planted::is(Bug::NoPadRequest) => {}
            0 => {}
            leader if leader == self.config.server => self.request_pad(level),
            leader => self.outbox.push((leader, Wire::PadRequest { level })),
        }
    }

    /// Takes this server's lanes away, to go on with a group of the next epoch. They come in the order of
    /// [`DriverConfig::lanes`]. Call it when everything of this epoch has been executed.
    pub fn hand_lanes_over<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L]) -> Vec<OwnLane> {
        self.intake.executed(lanes);
        self.intake.hand_over()
    }

    /// Goes on with a lane that a group of the epoch before had. Until then, a driver that
    /// [awaits](DriverConfig::lanes_before) it sends nothing of it.
    pub fn adopt_lane(&mut self, number: u16, lane: OwnLane) {
        self.intake.adopt(number, lane);
    }

    /// Proposes to end the epoch, with the next turn. Only the leader does; nobody says what became of it but the
    /// global log.
    pub fn end_epoch(&mut self, end: EpochEnd) {
        self.end = Some(end);
    }

    // Outputs

    /// Runs one round: cuts commands into entries or forwards them, pads, and collects what to send and to
    /// write.
    pub fn turn<L: Deref<Target: LaneSource>>(&mut self, view: &View, lanes: &[L], output: &mut Output) {
        self.level = self.level.max(view.level);
        self.intake.executed(lanes);
        self.campaign_at_first(view);
        self.campaign_early(view);
        self.drain(view);
        self.pump(output);
        // The merge may have continued from a snapshot, beyond what this log is known to hold.
        self.slots.merged(view.merged.min(self.commit()));
        self.resend_if_lost(lanes, output);
        self.ask_again();
        if self.leads() {
            self.propose(view, lanes, output);
        } else {
            self.pass_on(lanes);
        }
        if planted::is(Bug::HeartbeatEachTurn) && self.ticks - self.last_cut < 2 {
            self.raft.ping();
        }
        self.pump(output);
        self.compact(output);
        output.untaken += std::mem::take(&mut self.untaken);
        let (refused, offenders) = self.refusals.take();
        output.refused += refused;
        output.offenders.extend(offenders);
        output.need = self.need.take().or(output.need.take());
        let commit = self.commit();
        self.reads.answer(commit, &self.slots, &mut output.reads);
        output.contradicted = self.contradicted;
        self.outbox.release(&mut output.messages);
    }

    /// Distributes what raft-rs has ready: messages to the peers, entries and hard state to the log, answers
    /// to reads.
    fn pump(&mut self, output: &mut Output) {
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            let now = ready.take_messages();
            let mut later = ready.take_persisted_messages();
            for state in ready.take_read_states() {
                let (leader, index) = (self.leader(), state.index);
                if let Some(commit) = self.reads.indexed(&state.request_ctx, index) {
                    let less = Contradiction::CommittedLess { leader, index, commit };
                    self.contradicted.get_or_insert(less);
                }
            }
            let entries: Vec<LogEntry> = ready.take_entries().into_iter().map(entry_for_log).collect();
            let hard_state = ready.hs().cloned();
            let number = ready.number();
            let reset = self.reset_if_restored(&ready);
            if !entries.is_empty() {
                self.note(&entries);
                self.raft.mut_store().log.append(&entries);
            }
            let committed = !ready.committed_entries().is_empty();
            let state = self.hard_state_to_write();
            self.raft.advance_append_async(ready);
            if committed {
                self.raft.advance_apply();
            }
            self.send_all(now);
            if planted::is(Bug::AckBeforeSync) {
                self.send_all(std::mem::take(&mut later));
            }
            let voted = hard_state.is_some_and(|hs| (hs.term, hs.vote) != self.durable);
            if voted {
                self.durable = (state.term, state.vote);
            } else if !self.unpersisted.has_vote() {
                // A heartbeat's answer promises only this replica's term, which is durable: a slow disk must
                // not hold up leases and reads.
                let (at_once, held) = later
                    .into_iter()
                    .partition(|message| message.msg_type == MessageType::MsgHeartbeatResponse);
                later = held;
                self.send_all::<Vec<_>>(at_once);
            }
            if voted || !entries.is_empty() || reset.is_some() {
                self.unpersisted.push(number, &entries, voted, later, self.ticks);
                output.writes.push(Write::Ready { ready: number, reset, entries, hard_state: state });
            } else if let Err(later) = self.unpersisted.follow(number, later) {
                // A commit index alone is written with the next entries: it can be learned again.
                self.nothing_is_before(number, later);
            }
        }
        self.unpersisted.all_handed_over();
    }

    fn note(&mut self, entries: &[LogEntry]) {
        for entry in entries {
            let fill = EntryFill::of(&entry.context).expect("checked before it came to the log");
            self.slots.append(entry.index, &fill, entry.memory_bytes());
        }
        self.level = self.level.max(self.slots.level());
    }

    fn hard_state_to_write(&self) -> HardState {
        let state = self.hard_state();
        if planted::is(Bug::VoteForgotten) {
            return HardState { vote: 0, ..state };
        }
        if planted::is(Bug::TermForgotten) {
            return HardState { term: self.raft.raft.raft_log.last_term(), vote: 0, ..state };
        }
        state
    }

    /// Handles that this Ready no longer waits for the disk.
    fn nothing_is_before(&mut self, ready: u64, messages: Vec<Message>) {
        self.send_all(messages);
        self.raft.on_persist_ready(ready);
        if let Some((_, index)) = self.resetting.take_if(|(reset, _)| *reset <= ready) {
            // raft-rs leaves it to its user to report a snapshot as applied.
            self.raft.advance_apply_to(index);
        }
    }

    fn send_all<M: IntoIterator<Item = Message>>(&mut self, messages: M) {
        for message in messages {
            if message.msg_type == MessageType::MsgSnapshot {
                let snapshot = message.get_snapshot();
                self.pending_snapshots.offer(message.to, snapshot.get_metadata().index, self.ticks);
                let wire = Wire::Snapshot { term: message.term, round: round_of(snapshot) };
                self.outbox.push((message.to, wire));
            } else if crosses_the_network(message.msg_type) && self.may_leave(&message) {
                self.assert_lease_is_over(&message);
                let follower = self.raft.raft.prs().get(message.to);
                let replicating = follower.is_some_and(|follower| follower.state == ProgressState::Replicate);
                let quiet = self.notices.needs_no_answer(&message, replicating);
                let (to, message) = (message.to, Box::new(message));
                self.outbox.push((to, if quiet { Wire::Notice(message) } else { Wire::Raft(message) }));
            }
        }
    }

    /// The leader that reads are sent to.
    fn known_leader(&self) -> KnownLeader {
        (self.term(), self.leader(), self.raft.raft.commit_to_current_term())
    }

    /// Repeats the question of a read that seems to be lost.
    fn ask_again(&mut self) {
        let leader = self.known_leader();
        if let Some(context) = self.reads.again(leader) {
            self.raft.read_index(context);
        }
    }
}
