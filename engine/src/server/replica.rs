//! One group's replica, with what it shares with the rest of its server. The thread around it
//! (`group_thread.rs`) provides sockets, clock and disk; a simulator provides others.

mod publishing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_group::batch::SubBatch;
use niagara_group::encoder::Encoder;
use niagara_group::pace::Pace;
use niagara_group::wire::Wire;
use niagara_group::{Driver, LaneSource, NotMoved, Output, View};
use niagara_log::Held;
use niagara_net::{Event, Frame, Refusal, Waker};
use niagara_sequencer::epoch::EpochEnd;

use super::exchange::Exchange;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::lane::LaneQueue;
use crate::metrics::GroupMetrics;
use crate::planted::{self, Bug};
use crate::progress::{
    Bell, EpochProgress, Executed, GroupProgress, Mail, Move, PeerRefusal, SharedProgress,
};
use crate::read_gate::ReadGate;
use crate::snapshot::Snapshots;

/// The driver of one group, and everything of the server that it reads and writes.
pub(crate) struct Replica {
    pub group: usize,
    pub server: u64,
    pub driver: Driver,
    /// This server's lanes that use the group.
    lanes: Vec<Arc<LaneQueue>>,
    /// The next command of each of them to be executed, as of the last look.
    next_commands: Vec<u64>,
    /// Which of them have yet to come from the groups of the epoch before.
    awaited_lanes: Vec<bool>,
    /// Whether the lanes go on with the next epoch, as soon as they are here; and whether they have.
    hands_lanes_over: bool,
    lanes_are_gone: bool,
    pub progress: Arc<SharedProgress>,
    /// Progress of the groups beside this one.
    epoch: Arc<EpochProgress>,
    pub reads: Arc<ReadGate>,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
    pub metrics: GroupMetrics,
    /// The driver's output since it was last taken.
    pub output: Output,
    view: View,
    /// Bytes that the log holds beyond the merge, as last published.
    behind: u64,
    /// Term and leader, as last published.
    leader: (u64, u64),
    mail: Vec<Mail>,
    /// Requests to hand leadership over that have begun.
    moves: Vec<Move>,
    /// Whether another server has met this one in a later state than its data has.
    is_old_copy: bool,
    /// A server that knows this one with the data that it has lost. It must not say that there is nothing.
    disowned_by: Option<u64>,
    identity: Arc<Identity>,
    /// Entries on their way to commit: last index after the cut, and when it was.
    uncommitted: VecDeque<(u64, Instant)>,
    executed: Arc<Executed>,
    peers: Vec<u64>,
    exchange: Exchange,
    clock: Clock,
    sound: Soundness,
}

/// Whether the state machine knows all commands of a sub-batch.
pub(crate) type Soundness = Box<dyn Fn(&SubBatch) -> bool + Send>;

/// What a replica shares with the rest of its server.
pub(crate) struct ReplicaShare {
    pub server: u64,
    /// This server's lanes that use the group.
    pub lanes: Vec<Arc<LaneQueue>>,
    pub progress: Arc<SharedProgress>,
    /// Progress of the groups of its epoch.
    pub epoch: Arc<EpochProgress>,
    /// Number of the lanes that come from the epoch before.
    pub lanes_before: u16,
    pub reads: Arc<ReadGate>,
    pub sequencer: Arc<Bell>,
    pub metrics: GroupMetrics,
    pub executed: Arc<Executed>,
    /// Ids of the other servers.
    pub peers: Vec<u64>,
    pub tick: Duration,
    pub clock: Clock,
    pub identity: Arc<Identity>,
    pub sound: Soundness,
}

impl Replica {
    /// The replica of the group with this zero-based index.
    pub fn new(group: usize, driver: Driver, share: ReplicaShare) -> Replica {
        let ReplicaShare { server, lanes, progress, epoch, reads, sequencer, metrics, executed, .. } = share;
        let ReplicaShare { peers, tick, clock, sound, lanes_before, identity, .. } = share;
        let exchange = Exchange::new(group, epoch.groups.len(), tick);
        let mut replica = Replica {
            group,
            server,
            driver,
            next_commands: vec![0; lanes.len()],
            awaited_lanes: lanes.iter().map(|lane| lane.number() < lanes_before).collect(),
            hands_lanes_over: false,
            lanes_are_gone: false,
            lanes,
            progress,
            epoch,
            reads,
            sequencer,
            metrics,
            output: Output::default(),
            view: View::default(),
            behind: 0,
            leader: (0, 0),
            mail: Vec::new(),
            moves: Vec::new(),
            is_old_copy: false,
            disowned_by: None,
            identity,
            uncommitted: VecDeque::new(),
            executed,
            peers,
            exchange,
            clock,
            sound,
        };
        replica.mine().wanted.store(replica.driver.wanted_leader(), SeqCst);
        replica.look();
        replica
    }

    /// Handles an event on the group's links.
    pub fn handle(&mut self, event: Event) {
        let group = self.group + 1;
        match event {
            // An old copy of a server has forgotten what it acknowledged, so it takes part in nothing.
            Event::Frame { .. } if self.takes_no_part() => {}
            Event::Frame { from, body } => match Wire::decode(&body) {
                Ok(Wire::Digests(theirs)) => {
                    let mine = self.executed.digests.lock().kept();
                    self.progress.divergence.heard(from, theirs, &mine);
                }
                Ok(Wire::Forward(batch)) if !(self.sound)(&batch) => {
                    tracing::warn!(
                        group,
                        from,
                        "dropped forwarded commands: this server does not know one of them"
                    );
                    self.metrics.refused.inc();
                }
                Ok(wire) => {
                    self.look_at_clock();
                    self.driver.take(self.progress.taking(
                        &self.epoch,
                        self.group,
                        self.driver.commit(),
                        self.behind,
                    ));
                    self.driver.receive(from, wire);
                    self.note_behind();
                }
                Err(error) => {
                    tracing::warn!(group, from, %error, "dropped a message, and its sender");
                    self.output.refused += 1;
                    self.output.offenders.push(from);
                }
            },
            Event::Up { peer } => {
                tracing::debug!(group, peer, "link is up");
                self.disowned_by = self.disowned_by.filter(|by| *by != peer);
                self.driver.link_up(peer);
                self.exchange.link_up();
                self.progress.refusals.accepted(self.channel(), peer);
                self.progress.connection_is_up(self.channel(), peer);
            }
            Event::Down { peer, reason } => {
                tracing::debug!(group, peer, %reason, "link is down");
                self.driver.link_down(peer);
                self.progress.connection_is_gone(self.channel(), peer, reason);
            }
            Event::Refused { peer, refusal, by_us } => {
                match (&refusal, peer) {
                    (Refusal::OldCopy(_), _) if !by_us => self.is_old_copy = true,
                    (Refusal::Store(_), Some(peer)) if !by_us && self.identity.is_disowned_by(peer) => {
                        self.disowned_by = Some(peer);
                    }
                    _ => {}
                }
                self.note_refusal(&PeerRefusal { peer, by_us, why: refusal.to_string() });
            }
        }
    }

    /// Whether what this server has must count for nothing.
    fn takes_no_part(&self) -> bool {
        self.is_old_copy || self.disowned_by.is_some()
    }

    /// Logs a refusal once, though a refused server retries every second or so.
    fn note_refusal(&self, refusal: &PeerRefusal) {
        if self.progress.refusals.note(self.channel(), refusal) {
            let PeerRefusal { peer, by_us, why } = refusal;
            tracing::warn!(group = self.group + 1, ?peer, by_us, "a server was refused: {why}");
        }
    }

    /// Handles messages from other threads of the server; `true` if one of them is to stop.
    pub fn read_mail(&mut self) -> bool {
        let mut stop = false;
        let mut mail = std::mem::take(&mut self.mail);
        self.mine().take_mail(&mut mail);
        for mail in mail.drain(..) {
            match mail {
                Mail::Persisted(ready) => self.driver.persisted(ready),
                Mail::AskRead(round) => self.driver.ask_read(round),
                Mail::Pad(level) => self.driver.forward_pad_request(level),
                Mail::Kept(snapshots) => self.kept(&snapshots),
                Mail::Install(here) => self.driver.install(&here.floor_of(self.group)),
                Mail::Ended(peer) => self.driver.peer_ended(peer),
                Mail::Move(order) => self.begin_move(order),
                Mail::Claim(true) => self.driver.claim(),
                Mail::Claim(false) => self.driver.leave(),
                Mail::End(end) => self.driver.end_epoch(EpochEnd::clone(&end)),
                Mail::HandLanesOver => self.hands_lanes_over = true,
                // The next look at the server shows it.
                Mail::Drain => {}
                Mail::Stop => {
                    stop = true;
                    self.end_moves(|_| Some(Err(NotMoved::Stopping)));
                }
            }
        }
        self.mail = mail;
        self.move_lanes();
        stop
    }

    /// Takes lanes over from the groups of the epoch before, and hands them over to those of the next one.
    fn move_lanes(&mut self) {
        let lanes = self.lanes.iter().zip(&mut self.awaited_lanes);
        for (lane, awaited) in lanes.filter(|(_, awaited)| **awaited) {
            if let Some(own) = lane.take_over(self.epoch.number) {
                self.driver.adopt_lane(lane.number(), own);
                *awaited = false;
            }
        }
        if !self.hands_lanes_over || self.awaited_lanes.contains(&true) {
            return;
        }
        self.hands_lanes_over = false;
        let next = self.epoch.successor().expect("global_prefix: lanes move when the next epoch is there");
        for (lane, own) in self.lanes.iter().zip(self.driver.hand_lanes_over(&self.lanes)) {
            lane.hand_over(next.number, own);
            next.group_of(lane.number().into()).wake();
        }
        self.lanes_are_gone = true;
        self.epoch.lanes_are_gone();
        self.progress.snapshots.wake();
    }

    /// Whether a lane that it waits for has come.
    fn has_lanes_to_move(&self) -> bool {
        let lanes = self.lanes.iter().zip(&self.awaited_lanes);
        lanes.into_iter().any(|(lane, awaited)| *awaited && lane.is_on_its_way_to(self.epoch.number))
    }

    /// Progress of the groups of its epoch.
    pub fn epoch(&self) -> &Arc<EpochProgress> {
        &self.epoch
    }

    /// Raft index of the last entry that the merge has passed.
    pub fn merged(&self) -> u64 {
        self.mine().waits.merged()
    }

    /// Sets the waker of its thread, once, before that runs.
    pub fn set_waker(&self, waker: Waker) {
        self.mine().set_waker(waker);
    }

    /// Sends a message to its thread.
    pub fn send(&self, mail: Mail) {
        self.mine().send(mail);
    }

    /// Number of the group's channel, which also names its log.
    pub fn channel(&self) -> u32 {
        self.epoch.channel(self.group)
    }

    /// Begins to hand leadership over at somebody's request.
    fn begin_move(&mut self, order: Move) {
        match self.driver.move_to(order.to) {
            Ok(()) if order.to == self.server => order.outcome.keep(Ok(())),
            Ok(()) => self.moves.push(order),
            Err(refused) => order.outcome.keep(Err(refused)),
        }
    }

    /// Tells those whose requests have ended what became of them.
    fn end_moves(&mut self, outcome: impl Fn(u64) -> Option<Result<(), NotMoved>>) {
        self.moves.retain(|order| match outcome(order.to) {
            None => true,
            Some(outcome) => {
                order.outcome.keep(outcome);
                false
            }
        });
    }

    /// Looks whether requests to hand leadership over have ended.
    fn look_at_moves(&mut self) {
        if self.moves.is_empty() {
            return;
        }
        let (leader, transferee) = (self.driver.leader(), self.driver.transferee());
        let leads = self.driver.leads();
        self.end_moves(|to| match leader {
            // A transfer has failed, or has not begun: raft-rs forgets it.
            _ if leads => (transferee != to).then_some(Err(NotMoved::NoAnswer { to })),
            0 => None,
            leader if leader == to => Some(Ok(())),
            leader => Some(Err(NotMoved::NotLeading { leader })),
        });
    }

    /// Passes on that these snapshots are durable.
    pub fn kept(&mut self, Snapshots { newest, older }: &Snapshots) {
        let older = older.as_ref().map(|older| older.floor_of(self.group));
        self.driver.kept(newest.floor_of(self.group), older);
    }

    /// Tells the driver the time, if it needs to know: after messages have arrived.
    fn look_at_clock(&mut self) {
        if self.driver.has_leases() {
            self.driver.time_is(self.clock.boot_time());
        }
    }

    /// Reads how far the rest of the server is: once per turn, before the tick and the turn.
    pub fn look(&mut self) {
        self.look_at_clock();
        let read_only = self.progress.room.is_lacking();
        // In an ended epoch, the merge never comes to what is void, and who leads is of no account.
        let has_ended = self.epoch.has_ended();
        let lags = !has_ended && (self.epoch.lags() || self.progress.bounds.is_behind());
        let drains = self.progress.drain.is_on();
        // A group that has written nothing lately does not notice by itself that the disk is stuck.
        let stuck = self.epoch.disk_is_stuck();
        for (next, lane) in self.next_commands.iter_mut().zip(&self.lanes) {
            *next = lane.next_command();
        }
        self.view = View {
            level: self.epoch.level(),
            anchor: self.epoch.anchor.load(SeqCst) as usize == self.group,
            merged: self.mine().waits.merged(),
            awaits: self.epoch.awaits_any(),
            is_slow: false,
            may_claim: !(lags || read_only || drains || stuck || has_ended),
            stand_back: drains || (lags || stuck) && !self.epoch.awaits(self.group),
            drains,
            read_only,
        };
    }

    /// Advances time by one tick.
    pub fn tick(&mut self) {
        self.progress.refusals.tick(self.channel());
        let is_running = self.progress.is_running(&self.epoch);
        if self.group == 0 && is_running {
            self.progress.tick();
        }
        if self.takes_no_part() {
            self.mine().leaderless_ticks.fetch_add(1, SeqCst);
            return;
        }
        self.view.is_slow = self.driver.leads() && !self.epoch.has_ended() && self.is_slow();
        self.driver.tick(&self.view);
        self.mine().pace.store(self.driver.pace().to_bits(), SeqCst);
        self.mine().first.store(self.driver.first_index(), SeqCst);
        if self.exchange.tick() && !self.epoch.has_ended() {
            self.tell_digests();
        }
        if is_running {
            self.measure();
        }
        self.look_at_disk();
        self.publish_followers();
        let leaderless = &self.mine().leaderless_ticks;
        if self.driver.leader() == 0 {
            leaderless.fetch_add(1, SeqCst);
        } else {
            leaderless.store(0, SeqCst);
        }
    }

    /// Whether this group commits late here, compared with the others of its epoch.
    fn is_slow(&self) -> bool {
        let others = self.epoch.groups.iter().enumerate().filter(|(group, _)| *group != self.group);
        self.driver.pace().is_slow_beside(others.map(|(_, other)| Pace::of_bits(other.pace.load(SeqCst))))
    }

    /// Sends what has been executed here to the others, and compares it with what they have sent.
    fn tell_digests(&mut self) {
        let news = self.exchange.news(&self.executed.digests.lock());
        if let Some(marks) = news {
            self.progress.divergence.moved_on(&marks);
            let told = self.peers.iter().map(|peer| (*peer, Wire::Digests(marks.clone())));
            self.output.messages.extend(told);
        }
    }

    /// Runs one turn of the driver. What it wants done is added to `output`.
    pub fn turn(&mut self) {
        self.driver.turn(&self.view, &self.lanes, &mut self.output);
        if self.takes_no_part() {
            self.output.messages.clear();
        }
        self.publish_lease();
        self.note_behind();
    }

    /// Takes the messages of the turn as they are sent, an append to several followers encoded once.
    pub fn take_frames(&mut self) -> impl Iterator<Item = (u64, Frame)> + use<'_> {
        let mut encoder = Encoder::default();
        self.output.messages.drain(..).map(move |(to, wire)| (to, encoder.encode(wire)))
    }

    /// Whether nothing since the last [`look`](Self::look) calls for a turn. This is the thread's last check
    /// before sleeping: whatever happens later finds it announced as asleep, and wakes it.
    pub fn may_sleep(&self) -> bool {
        let mine = self.mine();
        let lanes = self.lanes.iter().zip(&self.next_commands).zip(&self.awaited_lanes);
        // What waits in lanes that are with the group of another epoch is for that one's thread.
        let gone = self.lanes_are_gone && !planted::is(Bug::GoneLanesKeepAwake);
        let mut here = lanes.filter(|(_, awaited)| !**awaited && !gone).map(|(lane, _)| lane);
        let commands = if mine.waits.hold() {
            mine.waits.are_over(self.view.merged, here.any(|(lane, next)| lane.next_command() != *next))
        } else {
            here.any(|(lane, _)| lane.has_commands())
        };
        !(commands || mine.has_mail() || self.has_lanes_to_move() || mine.waits.pads_at(self.epoch.level()))
    }

    /// Records what the log holds, as the group's thread ends.
    pub fn leaves(&self, held: Held) {
        self.progress.is_left(&self.epoch, self.group, held);
    }

    fn mine(&self) -> &GroupProgress {
        &self.epoch.groups[self.group]
    }
}
