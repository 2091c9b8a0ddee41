//! How a server that has no state yet gets one: it fetches a snapshot from another server, and starts from that as any server
//! starts from its own. From whom, and how that server is asked, is for a [`Source`] to say.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_log::Files;
use niagara_net::{Event, Frame, Refusal, Transport};
use niagara_sequencer::epoch::Cut;

use super::start_error::StartError;
use crate::config::Config;
use crate::frozen::{MalformedState, Restoring};
use crate::identity::Identity;
use crate::snapshot::{Header, SnapshotError, SnapshotReceiver, SnapshotStore, Transfer};

/// Time between looks at what is due.
const STEP: Duration = Duration::from_millis(50);
/// Time between words about how it goes, and between questions to servers that have no snapshot yet.
const WORD: Duration = Duration::from_secs(5);

/// Where a first state comes from.
pub(super) trait Source {
    /// What a message means.
    fn read(&self, from: u64, body: &Bytes) -> Said;
    /// What to ask a server that is connected, until one has a snapshot. Who only listens asks nothing.
    fn question(&self) -> Option<Frame>;
    /// Whether nothing will come since so many servers do not take this one for the one that they know.
    fn gives_up(&self, _refused_by: usize) -> bool {
        false
    }
    /// Tells whoever reads the log what is waited for.
    fn say_what_is_awaited(&self, connected: &[u64]);
}

/// What a server has said to one that waits for its first state.
pub(super) enum Said {
    /// It has a snapshot at this cut.
    Has(Cut),
    /// Something about a snapshot that is being received.
    Transfer(Transfer),
    /// Nothing of use.
    Nothing,
}

impl Said {
    /// What a message about snapshots says.
    pub fn of_transfer(from: u64, body: &Bytes) -> Said {
        Transfer::decode(body).map_or_else(
            |error| {
                tracing::warn!(from, %error, "dropped a message about snapshots");
                Said::Nothing
            },
            Said::Transfer,
        )
    }
}

/// A server on its way to its first state.
pub(super) struct FirstState<'a, S> {
    config: &'a Config,
    identity: &'a Arc<Identity>,
    transport: Box<dyn Transport>,
    /// The channel that the others are connected on.
    channel: u32,
    source: S,
    store: SnapshotStore,
    receiver: SnapshotReceiver<Unread>,
    next_word: Instant,
    /// The servers that do not take this one for the one that they know.
    refused_by: BTreeSet<u64>,
}

/// The servers on the transport's channel, and what they are asked.
pub(super) struct Servers<S> {
    pub transport: Box<dyn Transport>,
    pub channel: u32,
    pub source: S,
}

impl<S: Source> FirstState<'_, S> {
    /// Fetches a snapshot into the data directory, or where snapshots are kept instead, however long that takes.
    ///
    /// # Errors
    /// If the directory of snapshots cannot be opened, or the others do not take this server for the one that they know.
    pub fn fetch(
        config: &Config,
        identity: &Arc<Identity>,
        files: &Arc<dyn Files>,
        Servers { transport, channel, source }: Servers<S>,
    ) -> Result<(), StartError> {
        let store = SnapshotStore::open(Arc::clone(files), config.data_dir.join("snapshots"))?;
        let election = config.tick * config.election_ticks;
        let receiver = SnapshotReceiver::new(
            Arc::clone(files),
            2 * election,
            20 * election,
            config.snapshot_piece_bytes,
        );
        let next_word = Instant::now() + WORD;
        let refused_by = BTreeSet::new();
        FirstState { config, identity, transport, channel, source, store, receiver, next_word, refused_by }
            .run()
    }

    fn run(mut self) -> Result<(), StartError> {
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
                return Ok(());
            }
            if self.source.gives_up(self.refused_by.len()) {
                let dir = self.config.data_dir.clone();
                return Err(StartError::NotRecognised { server: self.config.server, dir });
            }
            self.receiver.ask(now, &self.store, &mut out);
            for (to, message) in out {
                self.send(to, message.encode());
            }
            self.say_how_it_goes(now);
            self.transport.flush();
        }
    }

    /// What a broken link drops is requested again.
    fn send(&mut self, to: u64, frame: Frame) {
        let _ = self.transport.send(self.channel, to, frame);
    }

    fn ask(&mut self, server: u64) {
        if let Some(question) = self.source.question() {
            self.send(server, question);
        }
    }

    fn handle(&mut self, now: Instant, event: Event, out: &mut Vec<(u64, Transfer)>) {
        match event {
            Event::Up { peer } => self.ask(peer),
            Event::Frame { from, body } => match self.source.read(from, &body) {
                Said::Has(cut) => self.receiver.is_over(from, cut),
                Said::Transfer(message) => {
                    let received = self.receiver.receive(now, from, message, &self.store, || Unread, out);
                    received.unwrap_or_else(|error| self.failed(now, &error));
                }
                Said::Nothing => {}
            },
            Event::Refused { peer, refusal, by_us } => {
                let is_news = match (&refusal, peer) {
                    (Refusal::Store(_), Some(peer)) if !by_us => self.refused_by.insert(peer),
                    _ => true,
                };
                if is_news {
                    tracing::warn!(?peer, by_us, "a connection was refused: {refusal}");
                }
            }
            Event::Down { .. } => {}
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
        let Config { cluster, known_level, .. } = *self.config;
        let mark = |id| self.identity.received(id);
        let of = (cluster, self.config.known_groups());
        match self.receiver.load(of, known_level, None, &mut self.store, mark) {
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
        if let Some((from, received, bytes)) = self.receiver.extent() {
            return tracing::info!(from, received, bytes, "receiving the cluster's state");
        }
        let members = self.config.members.iter().map(|member| member.server);
        let connected: Vec<u64> =
            members.filter(|member| self.transport.is_connected(self.channel, *member)).collect();
        self.source.say_what_is_awaited(&connected);
        // A transfer may have failed, and a server forgets what it was asked when it stops.
        connected.into_iter().for_each(|server| self.ask(server));
    }
}

/// Puts a snapshot that has been received as a whole where [`FirstState::fetch`] would put it.
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

/// The state is checked now, and read when the server starts.
struct Unread;

impl Restoring for Unread {
    fn add_chunk(&mut self, _: &Bytes) -> Result<(), MalformedState> {
        Ok(())
    }
}
