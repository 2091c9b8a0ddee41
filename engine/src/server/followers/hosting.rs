//! Followers on the thread of a member's snapshots: its end of their channel, and what the supplier has for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use niagara_net::{Event, Frame, Transport};
use niagara_sequencer::GlobalPosition;
use parking_lot::Mutex;

use super::admission::FollowerAdmission;
use super::channel::open_as_host;
use super::supplier::Supplier;
use super::wire::is_of_feed;
use crate::client::Shared;
use crate::config::Config;
use crate::identity::Identity;
use crate::outcome::Consistency;
use crate::progress::SharedProgress;
use crate::read_gate::ReadSink;
use crate::server::group_parts::GroupParts;
use crate::server::snapshot_manager::SnapshotManager;
use crate::server::start_error::StartError;
use crate::state_machine::StateMachine;

/// A member's followers, as its thread of snapshots handles them.
pub(crate) struct Hosting {
    pub supplier: Supplier,
    admission: Arc<FollowerAdmission>,
    ended: Arc<EndedReads>,
}

/// Strong reads for followers that have ended, by token.
struct EndedReads {
    progress: Arc<SharedProgress>,
    ended: Mutex<Vec<(u64, Option<GlobalPosition>)>>,
}

impl ReadSink for EndedReads {
    fn readable(&self, tokens: &[u64], applied: GlobalPosition) {
        self.ended.lock().extend(tokens.iter().map(|token| (*token, Some(applied))));
        self.progress.snapshots.wake();
    }

    fn failed(&self, tokens: &[u64]) {
        self.ended.lock().extend(tokens.iter().map(|token| (*token, None)));
        self.progress.snapshots.wake();
    }
}

impl Hosting {
    /// Nobody follows yet.
    pub fn new<S: StateMachine>(config: &Config, shared: &Arc<Shared<S>>) -> Hosting {
        let progress = &shared.progress;
        let ended = Arc::new(EndedReads { progress: Arc::clone(progress), ended: Mutex::default() });
        let (reader, sink) = (Arc::clone(shared), Arc::clone(&ended));
        let begin_read = move |token| {
            let sink: Arc<dyn ReadSink> = Arc::<EndedReads>::clone(&sink);
            let at_once = reader.read(Consistency::Strong, sink, vec![token], reader.deadline);
            at_once.then(|| GlobalPosition::new(reader.progress.applied.load(SeqCst)))
        };
        let rate = config.snapshot_transfer_rate;
        let supplier = Supplier::new(progress, &shared.executed, rate, Box::new(begin_read));
        Hosting { supplier, admission: Arc::new(FollowerAdmission::new(progress)), ended }
    }

    /// Lets followers have what is in the logs of all epochs that are open.
    pub fn add_logs(&mut self, groups: &[GroupParts]) {
        for first in groups.iter().filter(|group| group.replica.group == 0) {
            let epoch = first.replica.epoch();
            let of_epoch = groups.iter().filter(|group| group.record.epoch == epoch.number);
            self.supplier.add_logs(epoch, of_epoch.map(|group| group.store.clone()).collect());
        }
    }

    /// Opens the channel, at the address of the snapshots.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn open(
        &self,
        transport: &mut dyn Transport,
        config: &Config,
        identity: &Identity,
        listening: SocketAddr,
    ) -> Result<(), StartError> {
        open_as_host(transport, config, identity, listening, &self.admission)
    }

    /// Handles an event on the channel of followers. `false`: the sender is to be disconnected.
    pub fn handle<S: StateMachine>(
        &mut self,
        now: Instant,
        event: Event,
        manager: &mut SnapshotManager<S>,
    ) -> bool {
        match event {
            Event::Up { peer } => {
                self.admission.is_connected(peer, true);
                self.supplier.is_up(now, peer);
            }
            Event::Down { peer, .. } => {
                self.admission.is_connected(peer, false);
                self.supplier.is_down(peer);
                manager.follower_left(peer);
            }
            Event::Frame { from, body } if is_of_feed(&body) => {
                if let Err(error) = self.supplier.heard(from, &body) {
                    tracing::warn!(from, %error, "dropped a follower");
                    return false;
                }
            }
            Event::Frame { from, body } => manager.handle_follower(now, from, &body),
            Event::Refused { peer, refusal, .. } => {
                tracing::debug!(?peer, "a follower was refused: {refusal}");
            }
        }
        true
    }

    /// What there is for followers now.
    pub fn step<S: StateMachine>(&mut self, now: Instant, manager: &SnapshotManager<S>) -> Vec<(u64, Frame)> {
        let mut out = Vec::new();
        for (token, position) in std::mem::take(&mut *self.ended.ended.lock()) {
            self.supplier.read_ended(token, position, &mut out);
        }
        let newest = manager.store().newest().map(|kept| kept.header.cut());
        self.supplier.step(now, newest, &mut out);
        out.into_iter().map(|(to, message)| (to, message.encode())).collect()
    }
}
