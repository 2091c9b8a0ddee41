//! The thread of a follower that talks to the members: it receives what they have committed, fetches their snapshots, and
//! keeps its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_net::{Event, Frame, Transport};
use niagara_sequencer::epoch::{Cut, Epoch};

use super::channel::open_as_guest;
use super::following::{Following, Heard};
use super::logs::FedLogs;
use super::wire::{FEED_CHANNEL, FeedMessage, is_of_feed};
use crate::client::Shared;
use crate::config::{Config, Member};
use crate::identity::Identity;
use crate::progress::{Before, Bell, EpochProgress, NextEpoch, PeerRefusal, Wanted};
use crate::server::snapshot_manager::SnapshotManager;
use crate::server::start_error::check_level;
use crate::state_machine::StateMachine;

/// After this time without a connection to any member, the other list of addresses is tried.
const OTHER_ADDRESSES_AFTER: Duration = Duration::from_secs(5);
/// Connections to members count as those for snapshots.
const SNAPSHOTS: u32 = 0;

/// What the thread owns or shares.
pub(crate) struct FollowThread<S: StateMachine> {
    config: Config,
    identity: Arc<Identity>,
    shared: Arc<Shared<S>>,
    manager: SnapshotManager<S>,
    /// Wakes the sequencer's thread.
    sequencer: Arc<Bell>,
    transport: Box<dyn Transport>,
    following: Following,
    /// The members that are dialled, and the epoch since which they are the members.
    dialled: Vec<Member>,
    since: Epoch,
    /// Whether the configuration says where they are, rather than the chain of epochs.
    by_configuration: bool,
    /// Since when there has been no connection.
    alone_since: Option<Instant>,
    /// The snapshot that the merge has resumed from.
    resumed: Cut,
}

impl<S: StateMachine> FollowThread<S> {
    /// A thread that goes on with these logs.
    pub fn new(
        config: &Config,
        identity: &Arc<Identity>,
        shared: &Arc<Shared<S>>,
        manager: SnapshotManager<S>,
        transport: Box<dyn Transport>,
        (logs, dialled): (FedLogs, Vec<Member>),
    ) -> FollowThread<S> {
        let progress = &shared.progress;
        let patience = 2 * config.tick * config.election_ticks;
        let following =
            Following::new(logs, progress, &shared.executed, &shared.reads, config.server, patience);
        FollowThread {
            config: config.clone(),
            identity: Arc::clone(identity),
            shared: Arc::clone(shared),
            sequencer: Arc::clone(&shared.sequencer),
            since: progress.epoch().since,
            resumed: progress.snapshots.resumed(),
            manager,
            transport,
            following,
            dialled,
            by_configuration: false,
            alone_since: None,
        }
    }

    /// Runs until the thread is told to stop. An unfinished snapshot is lost then, and nothing else.
    pub fn run(mut self) {
        let mut events = Vec::new();
        while !self.shared.progress.snapshots.is_stopped() {
            self.turn(&mut events);
        }
    }

    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let looks = self.alone_since.map(|since| since + OTHER_ADDRESSES_AFTER);
        let due = [self.manager.next_due(now), self.following.due(), looks].into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let manager = &self.manager;
        let mut may_sleep = || !manager.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        for (_, event) in events.drain(..) {
            self.handle(now, event);
        }
        for (to, message) in self.manager.step(now) {
            self.send(to, message.encode());
        }
        for peer in self.manager.take_offenders() {
            self.transport.disconnect(FEED_CHANNEL, peer);
        }
        self.go_on_after_snapshot();
        self.open_epoch();
        let mut out = Vec::new();
        self.following.step(now, self.manager.is_fetching(), &mut out);
        for (to, message) in out {
            self.send(to, message.encode());
        }
        self.transport.flush();
        self.look_where_members_are(now);
    }

    /// What a broken link drops is asked for again.
    fn send(&mut self, to: u64, frame: Frame) {
        let _ = self.transport.send(FEED_CHANNEL, to, frame);
    }

    fn handle(&mut self, now: Instant, event: Event) {
        let progress = &self.shared.progress;
        match event {
            Event::Up { peer } => {
                progress.refusals.accepted(FEED_CHANNEL, peer);
                progress.connected.up(SNAPSHOTS, peer);
                self.following.is_up(peer);
            }
            Event::Down { peer, .. } => {
                progress.connected.down(SNAPSHOTS, peer);
                self.following.is_down(peer);
            }
            Event::Frame { from, body } if is_of_feed(&body) => match FeedMessage::decode(&body) {
                Ok(message) => self.heard(from, message),
                Err(error) => {
                    tracing::warn!(from, %error, "dropped a member that has sent what none sends");
                    self.transport.disconnect(FEED_CHANNEL, from);
                }
            },
            event @ Event::Frame { .. } => self.manager.handle(now, event),
            Event::Refused { peer, refusal, by_us } => {
                self.note_refusal(PeerRefusal { peer, by_us, why: refusal.to_string() });
            }
        }
    }

    fn note_refusal(&self, refusal: PeerRefusal) {
        if self.shared.progress.refusals.note(FEED_CHANNEL, &refusal) {
            let PeerRefusal { peer, by_us, why } = refusal;
            tracing::warn!(?peer, by_us, "cannot follow a member: {why}");
        }
    }

    fn heard(&mut self, from: u64, message: FeedMessage) {
        match self.following.heard(from, message) {
            Ok(Heard::Nothing) => {}
            Ok(Heard::More) => self.sequencer.ring(),
            Ok(Heard::Snapshot(cut)) => {
                if !self.manager.fetch_beyond(from, cut) {
                    self.following.follow_next(&mut Vec::new());
                }
            }
            Ok(Heard::OtherChain) => self.note_refusal(PeerRefusal {
                peer: Some(from),
                by_us: false,
                why: "its cluster has not gone through the epochs that this follower has: if the cluster was recovered, start \
                      the follower with an empty data directory"
                    .into(),
            }),
            Err(error) => {
                tracing::error!(from, %error, "a member contradicts what this server has executed");
                self.transport.disconnect(FEED_CHANNEL, from);
            }
        }
    }

    /// If the merge has resumed from a received snapshot, goes on above that.
    fn go_on_after_snapshot(&mut self) {
        let resumed = self.shared.progress.snapshots.resumed();
        if std::mem::replace(&mut self.resumed, resumed) == resumed {
            return;
        }
        let kept = self.manager.store().kept().iter().find(|kept| kept.header.cut() == resumed);
        let logs = self.following.logs();
        if let Some(kept) = kept.filter(|_| resumed.epoch == logs.epoch()) {
            logs.go_on_from(&kept.header);
        }
    }

    /// Makes the logs of the next epoch if the merge needs them, and closes those that it has left.
    fn open_epoch(&mut self) {
        let progress = &self.shared.progress;
        let running = progress.epoch().number;
        for left in progress.epochs().filter(|epoch| epoch.number < running && !epoch.is_closed()) {
            left.close();
            progress.bounds.groups_go(left.groups.len());
        }
        let Some(Wanted { chain, after }) = progress.succession.take_wanted_if(|_| true) else { return };
        let record = &chain.newest().record;
        let level = check_level(&self.config, record.terms.level);
        level.unwrap_or_else(|error| panic!("cannot go on following: {error}"));
        let snapshot = match &after {
            Before::Merged(_) => None,
            Before::Replaced(header) => Some(&**header),
        };
        let next = Arc::new(EpochProgress::new(&chain, record.epoch));
        let logs = FedLogs::new(&next, snapshot, self.config.merge_bytes);
        self.shared.grow(record.terms.groups, record.lanes);
        progress.is_made(&next);
        tracing::info!(epoch = record.epoch.get(), groups = record.terms.groups, "follows the next epoch");
        progress.succession.is_ready(NextEpoch { progress: next, stores: logs.stores() });
        self.following.goes_on_with(logs);
        self.sequencer.ring();
    }

    /// Dials the members of now, where they are now.
    fn look_where_members_are(&mut self, now: Instant) {
        let epoch = self.shared.progress.epoch();
        if epoch.since != self.since {
            self.since = epoch.since;
            self.by_configuration = false;
            self.alone_since = None;
        } else if self.following.is_connected() {
            self.alone_since = None;
            return;
        } else if now < *self.alone_since.get_or_insert(now) + OTHER_ADDRESSES_AFTER {
            return;
        } else {
            self.alone_since = Some(now);
            self.by_configuration = !self.by_configuration;
        }
        let members = self.config.followed(&epoch.record, self.by_configuration);
        if members == self.dialled || members.is_empty() {
            return;
        }
        tracing::info!(members = ?members.iter().map(|member| member.server).collect::<Vec<_>>(), "follows these members");
        self.transport.close(FEED_CHANNEL);
        self.following.all_are_down();
        let connected = &self.shared.progress.connected;
        self.dialled.iter().for_each(|member| connected.down(SNAPSHOTS, member.server));
        let opened = open_as_guest(&mut *self.transport, &self.config, &self.identity, &members);
        opened.unwrap_or_else(|error| panic!("cannot go on following: {error}"));
        self.dialled = members;
    }
}
