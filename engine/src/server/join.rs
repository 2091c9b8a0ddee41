//! How a server that joins a running cluster gets its first state: it fetches a snapshot of an epoch of which it is a member,
//! and starts from that as any server starts from its own.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_log::{Files, SystemFiles};
use niagara_net::{Event, Transport};
use niagara_sequencer::epoch::Record;

use super::channels::open_transfer;
use super::start_error::{StartError, check_level};
use super::surroundings::MakeTransport;
use crate::config::Config;
use crate::frozen::{MalformedState, Restoring};
use crate::identity::{self, Identity};
use crate::snapshot::{Header, SnapshotError, SnapshotReceiver, SnapshotStore, Transfer};

/// Time between looks at what is due.
const STEP: Duration = Duration::from_millis(50);
/// Time between words about how it goes.
const WORD: Duration = Duration::from_secs(5);

/// Whether the data directory shows that this server has had a part in its cluster: then it starts again without
/// [`Config::join`].
///
/// # Errors
/// If the directory's file `identity` cannot be read.
pub fn has_started(config: &Config) -> Result<bool, StartError> {
    Ok(identity::has_started(config, &SystemFiles)?)
}

/// Fetches a snapshot into the data directory, or where snapshots are kept instead.
///
/// # Errors
/// If this server is no member of the epoch that it is to join, cannot listen, or its disk fails.
pub(super) fn fetch_first_state(
    config: &Config,
    identity: &Arc<Identity>,
    files: &Arc<dyn Files>,
    make_transport: &MakeTransport,
) -> Result<(), StartError> {
    let not_a_member = || StartError::NotAMember { server: config.server };
    let record = config.join.as_ref().ok_or_else(not_a_member)?.joined();
    if !record.is_member(config.server) {
        return Err(not_a_member());
    }
    check_level(config, record.terms.level)?;
    let mut transport = make_transport().map_err(StartError::Transfer)?;
    let number = open_transfer(&mut *transport, config, &record, identity, None)?;
    let store = SnapshotStore::open(Arc::clone(files), config.data_dir.join("snapshots"))?;
    let election = config.tick * config.election_ticks;
    let receiver =
        SnapshotReceiver::new(Arc::clone(files), 2 * election, 20 * election, config.snapshot_piece_bytes);
    tracing::info!(epoch = record.epoch.get(), "joins a running cluster: waiting for its state");
    let now = Instant::now();
    Joining { config, identity, record, transport, number, store, receiver, next_word: now + WORD }.run();
    Ok(())
}

/// Puts a snapshot that has been received as a whole where [`fetch_first_state`] would put it.
pub(super) fn take_first_state(
    config: &Config,
    identity: &Arc<Identity>,
    files: &Arc<dyn Files>,
    (header, received): (Arc<Header>, &[u8]),
) -> Result<(), StartError> {
    let mut store = SnapshotStore::open(Arc::clone(files), config.data_dir.join("snapshots"))?;
    let part = store.part(header.id);
    let write = || {
        let file = files.create(&part)?;
        file.write_all_at(&mut [IoSlice::new(received)], 0)?;
        file.sync_all()
    };
    write().map_err(SnapshotError::io("write the received snapshot", &part))?;
    identity.received(header.id)?;
    Ok(store.adopt(header, received.len() as u64)?)
}

/// A server on its way into a cluster.
struct Joining<'a> {
    config: &'a Config,
    identity: &'a Arc<Identity>,
    record: Record,
    transport: Box<dyn Transport>,
    number: u32,
    store: SnapshotStore,
    receiver: SnapshotReceiver<Unread>,
    next_word: Instant,
}

impl Joining<'_> {
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
                let _ = self.transport.send(self.number, to, message.encode());
            }
            self.transport.flush();
            self.say_how_it_goes(now);
        }
    }

    fn handle(&mut self, now: Instant, event: Event, out: &mut Vec<(u64, Transfer)>) {
        match event {
            Event::Frame { from, body } => match Transfer::decode(&body) {
                Ok(Transfer::Over { cut }) if cut.epoch >= self.record.epoch => {
                    self.receiver.is_over(from, cut);
                }
                Ok(message) => {
                    let received = self.receiver.receive(now, from, message, &self.store, || Unread, out);
                    received.unwrap_or_else(|error| self.failed(now, &error));
                }
                Err(error) => tracing::warn!(from, %error, "dropped a message about snapshots"),
            },
            Event::Refused { peer, refusal, by_us } => {
                tracing::warn!(?peer, by_us, "a connection was refused: {refusal}");
            }
            Event::Up { .. } | Event::Down { .. } => {}
        }
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
        let Config { cluster, .. } = self.config;
        let mark = |id| self.identity.received(id);
        match self.receiver.load(
            (*cluster, self.config.known_groups()),
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

    fn say_how_it_goes(&mut self, now: Instant) {
        if now < self.next_word {
            return;
        }
        self.next_word = now + WORD;
        match self.receiver.extent() {
            Some((from, received, bytes)) => {
                tracing::info!(from, received, bytes, "receiving the cluster's state");
            }
            None => {
                tracing::info!("still waiting for a member that has a snapshot of an epoch with this server");
            }
        }
    }
}

/// The state is checked now, and read when the server starts.
pub(super) struct Unread;

impl Restoring for Unread {
    fn add_chunk(&mut self, _: &Bytes) -> Result<(), MalformedState> {
        Ok(())
    }
}
