//! A follower's side: what it does with what members say, and what it asks them. It knows no thread and no socket.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use niagara_net::{Event, Frame};
use niagara_sequencer::epoch::Cut;

use super::following::{Following, Heard};
use super::logs::FedLogs;
use super::wire::{FEED_CHANNEL, FeedMessage, is_of_feed};
use crate::client::Shared;
use crate::config::Config;
use crate::metrics::FollowingMetrics;
use crate::progress::{Before, EpochProgress, NextEpoch, PeerRefusal, Wanted};
use crate::server::snapshot_manager::SnapshotManager;
use crate::server::start_error::check_level;
use crate::state_machine::StateMachine;

/// Connections to members count as those for snapshots.
const SNAPSHOTS: u32 = 0;

/// What a follower's thread drives.
pub(crate) struct Follower<S: StateMachine> {
    config: Config,
    shared: Arc<Shared<S>>,
    pub manager: SnapshotManager<S>,
    pub following: Following,
    /// The snapshot that the merge has resumed from.
    resumed: Cut,
    /// Members that have sent what no correct member sends.
    offenders: Vec<u64>,
}

impl<S: StateMachine> Follower<S> {
    /// Goes on with what these logs lack.
    pub fn new(
        config: &Config,
        shared: &Arc<Shared<S>>,
        manager: SnapshotManager<S>,
        logs: FedLogs,
    ) -> Follower<S> {
        let progress = &shared.progress;
        let patience = 2 * config.tick * config.election_ticks;
        let following =
            Following::new(logs, progress, &shared.executed, &shared.reads, config.server, patience);
        let resumed = progress.snapshots.resumed();
        let (config, shared) = (config.clone(), Arc::clone(shared));
        Follower { config, shared, manager, following, resumed, offenders: Vec::new() }
    }

    /// When to step, unless something happens before.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        [self.manager.next_due(now), self.following.due()].into_iter().flatten().min()
    }

    /// Handles an event on the channel to the members.
    pub fn handle(&mut self, now: Instant, event: Event) {
        let progress = &self.shared.progress;
        match event {
            Event::Up { peer } => {
                progress.refusals.accepted(FEED_CHANNEL, peer);
                progress.connected.up(SNAPSHOTS, peer);
                self.metrics().connections.inc();
                self.following.is_up(peer);
            }
            Event::Down { peer, .. } => self.is_down(peer),
            Event::Frame { from, body } if is_of_feed(&body) => match FeedMessage::decode(&body) {
                Ok(message) => self.heard(from, message),
                Err(error) => {
                    tracing::warn!(from, %error, "dropped a member that has sent what none sends");
                    self.offenders.push(from);
                }
            },
            event @ Event::Frame { .. } => self.manager.handle(now, event),
            Event::Refused { peer, refusal, by_us } => {
                self.note_refusal(PeerRefusal { peer, by_us, why: refusal.to_string() });
            }
        }
    }

    /// A member is not connected any more.
    pub fn is_down(&mut self, member: u64) {
        self.shared.progress.connected.down(SNAPSHOTS, member);
        self.following.is_down(member);
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
            Ok(Heard::More) => self.shared.sequencer.ring(),
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
                self.offenders.push(from);
            }
        }
    }

    /// Does what is due, and returns what to send. What a broken link drops is asked for again.
    pub fn step(&mut self, now: Instant) -> Vec<(u64, Frame)> {
        let about_snapshots = self.manager.step(now);
        let mut out: Vec<(u64, Frame)> =
            about_snapshots.into_iter().map(|(to, message)| (to, message.encode())).collect();
        self.go_on_after_snapshot();
        self.open_epoch();
        let mut asks = Vec::new();
        self.following.step(now, self.manager.is_fetching(), &mut asks);
        self.measure();
        out.extend(asks.into_iter().map(|(to, message)| (to, message.encode())));
        out
    }

    fn metrics(&self) -> &FollowingMetrics {
        self.shared.metrics.following.as_ref().expect("this server is a follower")
    }

    fn measure(&self) {
        let (member, position) = self.following.whom();
        let metrics = self.metrics();
        metrics.member.set(member as i64);
        metrics.position.set(position as i64);
        metrics.lag.set(position.saturating_sub(self.shared.progress.applied.load(SeqCst)) as i64);
    }

    /// Members that have sent what no correct member sends since this was last called: end the connections to these.
    pub fn take_offenders(&mut self) -> Vec<u64> {
        self.offenders.append(&mut self.manager.take_offenders());
        std::mem::take(&mut self.offenders)
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
        self.shared.sequencer.ring();
    }
}
