//! How a follower that has no state yet gets one: it asks the members until one has a snapshot, fetches that, and starts from
//! it as from its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_log::Files;
use niagara_net::{Event, Transport};

use super::channel::open_as_guest;
use super::wire::{FEED_CHANNEL, FeedMessage, Follow, is_of_feed};
use crate::config::Config;
use crate::identity::Identity;
use crate::server::join::Unread;
use crate::server::start_error::StartError;
use crate::server::surroundings::MakeTransport;
use crate::snapshot::{SnapshotError, SnapshotReceiver, SnapshotStore, Transfer};

/// Time between looks at what is due.
const STEP: Duration = Duration::from_millis(50);
/// Time between questions to a member that has no snapshot yet, and between words about how it goes.
const AGAIN: Duration = Duration::from_secs(5);

/// Fetches a snapshot into the data directory, or where snapshots are kept instead.
///
/// # Errors
/// If the channel cannot be opened, or the disk fails.
pub(in crate::server) fn follow_first_state(
    config: &Config,
    identity: &Arc<Identity>,
    files: &Arc<dyn Files>,
    make_transport: &MakeTransport,
) -> Result<(), StartError> {
    let mut transport = make_transport().map_err(StartError::Transfer)?;
    open_as_guest(&mut *transport, config, identity, &config.members)?;
    let store = SnapshotStore::open(Arc::clone(files), config.data_dir.join("snapshots"))?;
    let election = config.tick * config.election_ticks;
    let receiver =
        SnapshotReceiver::new(Arc::clone(files), 2 * election, 20 * election, config.snapshot_piece_bytes);
    tracing::info!("follows a cluster for the first time: waiting for its state");
    let next_word = Instant::now() + AGAIN;
    Beginning { config, identity, transport, store, receiver, next_word }.run();
    Ok(())
}

/// A follower on its way to its first state.
struct Beginning<'a> {
    config: &'a Config,
    identity: &'a Arc<Identity>,
    transport: Box<dyn Transport>,
    store: SnapshotStore,
    receiver: SnapshotReceiver<Unread>,
    next_word: Instant,
}

impl Beginning<'_> {
    fn run(mut self) {
        let mut events = Vec::new();
        loop {
            let now = Instant::now();
            let is_loading = self.receiver.is_loading();
            let waited = self.transport.turn(now, Some(STEP), &mut || !is_loading, &mut events);
            waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
            let (now, mut out) = (Instant::now(), Vec::new());
            for (_, event) in events.drain(..) {
                self.handle(now, event, &mut out);
            }
            if self.load(now) {
                return;
            }
            self.receiver.ask(now, &self.store, &mut out);
            for (to, message) in out {
                // What a broken link drops is requested again.
                let _ = self.transport.send(FEED_CHANNEL, to, message.encode());
            }
            if now >= self.next_word {
                self.next_word = now + AGAIN;
                self.say_how_it_goes();
            }
            self.transport.flush();
        }
    }

    fn handle(&mut self, now: Instant, event: Event, out: &mut Vec<(u64, Transfer)>) {
        match event {
            Event::Up { peer } => self.ask(peer),
            Event::Frame { from, body } if is_of_feed(&body) => match FeedMessage::decode(&body) {
                Ok(FeedMessage::Behind { cut }) => self.receiver.is_over(from, cut),
                Ok(_) => {}
                Err(error) => tracing::warn!(from, %error, "dropped a message for followers"),
            },
            Event::Frame { from, body } => match Transfer::decode(&body) {
                Ok(message) => {
                    let received = self.receiver.receive(now, from, message, &self.store, || Unread, out);
                    received.unwrap_or_else(|error| self.failed(now, &error));
                }
                Err(error) => tracing::warn!(from, %error, "dropped a message about snapshots"),
            },
            Event::Refused { peer, refusal, by_us } => {
                tracing::warn!(?peer, by_us, "a connection was refused: {refusal}");
            }
            Event::Down { .. } => {}
        }
    }

    /// Asks a member for everything. It answers when it has a snapshot.
    fn ask(&mut self, member: u64) {
        let all = FeedMessage::Follow(Follow { epoch: None, at_once: true, groups: Vec::new() });
        let _ = self.transport.send(FEED_CHANNEL, member, all.encode());
    }

    fn failed(&mut self, now: Instant, error: &SnapshotError) {
        tracing::error!(%error, "the snapshot cannot be received: retrying");
        self.receiver.failed(now, &self.store);
    }

    /// Checks some of a file that has been received. Returns whether all of it is there, and whole.
    fn load(&mut self, now: Instant) -> bool {
        if !self.receiver.is_loading() {
            return false;
        }
        let mark = |id| self.identity.received(id);
        match self.receiver.load(
            (self.config.cluster, None),
            self.config.known_level,
            None,
            &mut self.store,
            mark,
        ) {
            Ok(Some(received)) => {
                let position = received.header.position();
                tracing::info!(%position, from = received.header.server, "the cluster's state has been received");
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.failed(now, &error);
                false
            }
        }
    }

    fn say_how_it_goes(&mut self) {
        if let Some((from, received, bytes)) = self.receiver.extent() {
            return tracing::info!(from, received, bytes, "receiving the cluster's state");
        }
        let members = self.config.members.iter().map(|member| member.server);
        let up: Vec<u64> =
            members.filter(|member| self.transport.is_connected(FEED_CHANNEL, *member)).collect();
        if up.is_empty() {
            tracing::info!("still waiting for a connection to any member");
        } else {
            tracing::info!(connected = ?up, "still waiting for a member that has a snapshot: nothing may have been written yet");
        }
        // A transfer may have failed, and a member forgets its followers when it stops.
        up.into_iter().for_each(|member| self.ask(member));
    }
}
