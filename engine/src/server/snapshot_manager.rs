//! Manages a server's snapshots: writes its own, sends them to other servers, fetches theirs, and notifies
//! the groups of those that it has. It knows no thread, clock or socket: its owner feeds it and calls
//! [`SnapshotManager::step`].

mod messages;
mod reports;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_log::Files;
use niagara_sequencer::epoch::{Chain, Cut, Epoch};

use crate::clock::Clock;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::planted::{self, Bug};
use crate::progress::{Bell, EpochProgress, Mail, SharedProgress};
use crate::snapshot::{
    Handover, Kept, OverNews, Received, Saved, Saving, SnapshotError, SnapshotFailed, SnapshotReceiver,
    SnapshotSender, SnapshotStore, Transfer,
};
use crate::state_machine::StateMachine;

/// The snapshots' channels count as one where connections are counted, since the same servers are on all of them.
const SNAPSHOTS: u32 = 0;

/// Fixed settings of a manager.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotManagerConfig {
    pub cluster: u128,
    /// How many groups the cluster began with, if that is known.
    pub groups: Option<u16>,
    /// The epochs that the server knew at its start.
    pub known: Chain,
    /// The highest level that it knows.
    pub known_level: u32,
    /// Whether snapshots are in memory rather than in files.
    pub in_memory: bool,
    /// Bytes per second at which a snapshot is written.
    pub write_rate: u64,
    /// Bytes per second at which snapshots are sent, to all receivers together.
    pub transfer_rate: u64,
    /// Bytes of another server's file to request at once.
    pub piece_bytes: u32,
    /// Ticks without a leader after which a server does not expect to come to the end of its epoch by its logs.
    pub patience_ticks: u32,
    /// Time after which an unanswered request is repeated.
    pub retry: Duration,
    /// Time without any answer after which a transfer has failed.
    pub give_up: Duration,
}

/// What the manager shares with the rest of the server.
pub(crate) struct SnapshotManagerShare<S: StateMachine> {
    pub progress: Arc<SharedProgress>,
    pub handover: Arc<Handover<S>>,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
    pub metrics: Arc<Metrics>,
    pub reader: S::Reader,
    pub clock: Clock,
    pub identity: Arc<Identity>,
}

/// Manages the snapshots of one server; see the top of this file.
pub(crate) struct SnapshotManager<S: StateMachine> {
    config: SnapshotManagerConfig,
    share: SnapshotManagerShare<S>,
    files: Arc<dyn Files>,
    store: SnapshotStore,
    saving: Saving<S::Frozen>,
    sender: SnapshotSender,
    receiver: SnapshotReceiver<S::Restoring>,
    /// The state of this server is at this cut or beyond it.
    here: Cut,
    /// Received files that turned out to be damaged.
    damaged_transfers: u64,
    over: OverNews,
    outbox: Vec<(u64, Transfer)>,
    /// Servers that have said that they know of their removal.
    departed: Vec<u64>,
    /// Servers that have sent what no correct server sends.
    offenders: Vec<u64>,
}

impl<S: StateMachine> SnapshotManager<S> {
    /// A manager of the snapshots in the store. The server's state was restored from the newest.
    pub fn new(
        config: SnapshotManagerConfig,
        share: SnapshotManagerShare<S>,
        store: SnapshotStore,
        files: Arc<dyn Files>,
    ) -> SnapshotManager<S> {
        let here = store.newest().map_or(Cut::default(), |kept| kept.header.cut());
        let over = OverNews::new(config.retry);
        let mut manager = SnapshotManager {
            saving: Saving::new(config.write_rate),
            sender: SnapshotSender::new(Arc::clone(&files), config.transfer_rate, config.give_up),
            receiver: SnapshotReceiver::new(
                Arc::clone(&files),
                config.retry,
                config.give_up,
                config.piece_bytes,
            ),
            config,
            share,
            files,
            store,
            here,
            damaged_transfers: 0,
            over,
            outbox: Vec::new(),
            departed: Vec::new(),
            offenders: Vec::new(),
        };
        manager.share.progress.snapshots.set_may_freeze(true);
        let now = manager.share.clock.now();
        manager.note_kept(now);
        manager
    }

    /// What a file of snapshots holds.
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.files.open(path)?;
        let mut bytes = vec![0; file.length()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// The kept snapshots.
    pub fn store(&self) -> &SnapshotStore {
        &self.store
    }

    /// Received files that turned out to be damaged.
    pub fn damaged_transfers(&self) -> u64 {
        self.damaged_transfers
    }

    /// Whether there is something to do now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.share.progress.snapshots.has_news()
            || self.may_load()
            || self.next_due(now).is_some_and(|due| due <= now)
    }

    /// Whether a received file may be read. Not while execution, which may be slow, has yet to take the
    /// previous state.
    fn may_load(&self) -> bool {
        self.receiver.is_loading() && !self.share.handover.has_restored()
    }

    /// When there is something to do, unless something happens before.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        [self.saving.due(now), self.sender.due(now), self.receiver.due(), self.over.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does a little of everything that is due, and returns the messages to send.
    pub fn step(&mut self, now: Instant) -> Vec<(u64, Transfer)> {
        self.share.progress.snapshots.take_news();
        self.look(now);
        if self.saving.is_due(now) && !self.logs_hold_what_is_saved() && !planted::is(Bug::SnapshotAheadOfLog)
        {
            self.saving.wait(now);
        } else if self.saving.is_due(now) {
            let saved = self.saving.step(now, &mut self.store);
            self.saved(now, saved);
        }
        if self.sender.is_due(now) {
            match self.sender.next_piece(now) {
                Ok(piece) => self.outbox.extend(piece),
                Err(error) => self.transfer_failed(now, &error),
            }
        }
        if self.may_load() {
            self.load(now);
        }
        self.receiver.ask(now, &self.store, &mut self.outbox);
        self.over.take_due(now, &mut self.outbox);
        self.tidy(now);
        self.note_progress();
        self.answer_requests();
        let is_free = self.saving.is_free(now);
        self.share.progress.snapshots.set_may_freeze(is_free);
        std::mem::take(&mut self.outbox)
    }

    /// Handles what other threads have left here.
    fn look(&mut self, now: Instant) {
        if let Some((mut header, frozen)) = self.share.handover.take_frozen() {
            self.share.progress.snapshots.view_arrived();
            header.id = self.new_id(header.server);
            header.created_ms = self.share.clock.unix_ms();
            let newest = self.store.newest().map_or(Cut::default(), |kept| kept.header.cut());
            // One from another server may be newer than a view that was taken before it.
            if header.cut() > newest {
                let saved = self.saving.begin(now, header, frozen, &self.store);
                self.saved(now, saved);
            }
        }
        for need in self.share.progress.snapshots.take_needs() {
            self.receiver.need(need);
        }
        let resumed = self.share.progress.snapshots.resumed();
        if resumed > self.here {
            self.here = resumed;
            self.announce(now);
            self.share.progress.snapshots.durable(resumed);
        }
        self.install();
    }

    /// Lets groups whose need is met drop their logs: the state is beyond what they lack.
    fn install(&mut self) {
        let here = self.here;
        for (epoch, group) in self.receiver.satisfied(here) {
            let kept = self.store.kept().iter().rfind(|kept| kept.header.cut() <= here);
            let kept =
                kept.expect("compaction_floor: the snapshot that this server's state came from is kept");
            // One of a later epoch replaces the group as a whole.
            let fits = kept.header.cut().epoch == epoch || planted::is(Bug::LaterSnapshotInstalled);
            if fits && let Some(progress) = self.epoch(epoch) {
                progress.groups[group].send(Mail::Install(Arc::clone(&kept.header)));
            }
        }
    }

    fn epoch(&self, number: Epoch) -> Option<&Arc<EpochProgress>> {
        self.share.progress.epochs().find(|epoch| epoch.number == number)
    }

    /// The cuts of the durable snapshots, the older first.
    pub fn kept_cuts(&self) -> Vec<Cut> {
        self.store.kept().iter().map(|kept| kept.header.cut()).collect()
    }

    /// Starts to copy the newest snapshot, if it helps another server and its content is in files of the state
    /// machine's own. The other server asks again.
    fn copy_newest(&mut self, now: Instant, cut: Cut) {
        let helps = |kept: &&Arc<Kept>| kept.header.own_files && kept.header.cut() >= cut;
        if let Some(kept) = self.store.newest().filter(helps)
            && self.saving.is_free(now)
        {
            let saved = self.saving.begin_copy(now, self.new_id(kept.header.server), kept, &self.store);
            self.saved(now, saved);
        }
    }

    /// An id for a file.
    fn new_id(&self, server: u64) -> u128 {
        u128::from(server) << 64 | u128::from(self.files.salt())
    }

    fn saved(&mut self, now: Instant, saved: Saved) {
        match saved {
            Saved::UnderWay => {}
            Saved::Done(header) => {
                tracing::info!(cut = %header.cut(), position = %header.position(), "a snapshot is durable");
                self.share.metrics.snapshots.inc();
                self.here = self.here.max(header.cut());
                self.share.progress.snapshots.note(|status| {
                    status.taken += 1;
                    status.last_error = None;
                });
                self.announce(now);
                self.share.progress.snapshots.durable(header.cut());
                self.install();
            }
            Saved::Copied(header) => {
                tracing::info!(cut = %header.cut(), "a snapshot was copied for other servers");
                self.note_kept(now);
            }
            Saved::Failed(error) => {
                tracing::error!(%error, "cannot write the snapshot: continuing with the previous one and the logs");
                // The sequencer cuts again when the next attempt may start.
                let snapshots = &self.share.progress.snapshots;
                snapshots
                    .requests
                    .end(snapshots.cut_for(), &Err(SnapshotFailed::NotWritten(error.to_string())));
                snapshots.want();
                self.note_failure(&error);
            }
        }
    }

    /// Whether this server's logs durably hold the floors of the snapshot that is being written. A quorum may
    /// have committed what this server's own disk has yet to write, and no log may end below a snapshot that
    /// was not received.
    fn logs_hold_what_is_saved(&self) -> bool {
        self.saving.header().is_none_or(|header| {
            let epoch =
                self.epoch(header.cut().epoch).expect("global_prefix: a snapshot is of a known epoch");
            epoch
                .groups
                .iter()
                .zip(&header.floors)
                .all(|(group, floor)| group.persisted.load(SeqCst) >= floor.entry.index)
        })
    }

    fn load(&mut self, now: Instant) {
        let identity = &self.share.identity;
        let mark = |id| if planted::is(Bug::ReceivedNotMarked) { Ok(()) } else { identity.received(id) };
        let owner = (self.config.cluster, self.config.groups);
        match self.receiver.load(
            owner,
            self.config.known_level,
            Some(&self.config.known),
            &mut self.store,
            mark,
        ) {
            Ok(None) => {}
            Ok(Some(Received { header, state })) => {
                tracing::info!(
                    cut = %header.cut(),
                    from = header.server,
                    "a snapshot has been received and checked"
                );
                self.share.metrics.snapshots_received.inc();
                self.saving.superseded(header.cut(), &self.store);
                self.share.handover.give_restored(state);
                self.share.progress.snapshots.offer_resume(header);
                self.share.sequencer.ring();
            }
            Err(error) => self.transfer_failed(now, &error),
        }
    }

    fn transfer_failed(&mut self, now: Instant, error: &SnapshotError) {
        tracing::error!(%error, "a transfer of a snapshot has failed and will be retried");
        self.damaged_transfers += u64::from(matches!(error, SnapshotError::Damaged { .. }));
        self.receiver.failed(now, &self.store);
        self.note_failure(error);
    }

    /// Removes files that are neither among the newest nor being fetched.
    fn tidy(&mut self, now: Instant) {
        self.sender.forget_idle(now);
        let sender = &self.sender;
        if let Err(error) = self.store.prune(|kept| sender.uses(kept)) {
            tracing::warn!(%error, "cannot remove an old snapshot");
        }
    }
}
