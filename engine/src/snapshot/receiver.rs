//! Catches up a server that is too far behind for its leaders' logs: fetches a snapshot, once for all groups,
//! and reads it into a state apart from the one in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_log::Files;
use niagara_sequencer::epoch::{Chain, Cut, Epoch};

use super::error::SnapshotError;
use super::fetch::{Fetch, FetchStep};
use super::header::Header;
use super::reader::SnapshotReader;
use super::signals::Need;
use super::store::{SnapshotStore, check_chain, check_level, check_owner};
use super::wire::Transfer;
use crate::frozen::Restoring;
use crate::identity::IdentityError;

/// Bytes of the file to read in one step, which limits how long this thread's other work waits.
const STEP_BYTES: u64 = 1 << 20;

/// A snapshot on its way from another server into this one's state.
pub(crate) struct SnapshotReceiver<R> {
    files: Arc<dyn Files>,
    /// What groups need, by epoch and zero-based index: the leader that offered its snapshot, and that snapshot's
    /// round.
    needs: BTreeMap<(Epoch, usize), (u64, Cut)>,
    /// The server that has a snapshot of a later epoch, and that snapshot, if this server cannot come there by its logs.
    over: Option<(u64, Cut)>,
    fetch: Option<Fetch>,
    loading: Option<Loading<R>>,
    /// The whole file that was handed over.
    ready: Option<Arc<Header>>,
    /// After a failure of this server's disk, nothing is started before this time.
    paused_until: Option<Instant>,
    retry: Duration,
    give_up: Duration,
    piece_bytes: u32,
}

struct Loading<R> {
    id: u128,
    reader: SnapshotReader,
    state: R,
}

/// A received snapshot: durable, and read into a state.
pub(crate) struct Received<R> {
    pub header: Arc<Header>,
    pub state: R,
}

impl<R: Restoring> SnapshotReceiver<R> {
    /// `retry` is the time after which an unanswered request is repeated; after `give_up`, requests end until
    /// a leader offers its snapshot again.
    pub fn new(
        files: Arc<dyn Files>,
        retry: Duration,
        give_up: Duration,
        piece_bytes: u32,
    ) -> SnapshotReceiver<R> {
        SnapshotReceiver {
            files,
            needs: BTreeMap::new(),
            over: None,
            fetch: None,
            loading: None,
            ready: None,
            paused_until: None,
            retry,
            give_up,
            piece_bytes,
        }
    }

    /// Records that a group needs a snapshot.
    pub fn need(&mut self, Need { group, from, cut }: Need) {
        self.needs.insert((cut.epoch, group), (from, cut));
    }

    /// Records that a server has a snapshot of a later epoch, to which this one cannot come by its logs.
    pub fn is_over(&mut self, from: u64, cut: Cut) {
        self.over.get_or_insert((from, cut));
    }

    /// Reports that the merge is at this cut or beyond it. Returns the groups that needed no more than
    /// that.
    pub fn satisfied(&mut self, cut: Cut) -> Vec<(Epoch, usize)> {
        if self.ready.as_ref().is_some_and(|ready| ready.cut() <= cut) {
            self.ready = None;
        }
        self.over.take_if(|(_, needed)| *needed <= cut);
        self.needs.extract_if(.., |_, (_, needed)| *needed <= cut).map(|(group, _)| group).collect()
    }

    /// Whether a file is being fetched, read or handed over.
    pub fn is_under_way(&self) -> bool {
        self.fetch.is_some() || self.loading.is_some() || self.ready.is_some()
    }

    /// Whether one is under way, or about to be.
    pub fn is_wanted(&self) -> bool {
        self.is_under_way() || self.over.is_some() || !self.needs.is_empty()
    }

    /// Sender, bytes received, and bytes in all.
    pub fn extent(&self) -> Option<(u64, u64, u64)> {
        let fetch = self.fetch.as_ref()?;
        let (received, bytes) = fetch.extent();
        Some((fetch.from, received, bytes))
    }

    /// When there is something to request or to start.
    pub fn due(&self) -> Option<Instant> {
        match &self.fetch {
            Some(fetch) => Some(fetch.due()),
            None if self.is_under_way() || self.needs.is_empty() => None,
            None => self.paused_until,
        }
    }

    /// Handles a failure of this server's disk: the next attempt waits, and starts from scratch. After a
    /// failed sync, the received part may read well and yet be lost with the power.
    pub fn failed(&mut self, now: Instant, store: &SnapshotStore) {
        if self.fetch.take().is_some()
            && let Some(part) = store.part_id()
            && let Err(error) = store.remove_part(part)
        {
            tracing::warn!(%error, "cannot remove a part of a snapshot");
        }
        self.paused_until = Some(now + self.retry);
    }

    /// Whether received bytes wait to be read.
    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Starts a transfer if one is needed, requests missing pieces, and gives up on a silent sender.
    pub fn ask(&mut self, now: Instant, store: &SnapshotStore, out: &mut Vec<(u64, Transfer)>) {
        if let Some(fetch) = &self.fetch
            && now.saturating_duration_since(fetch.heard()) >= self.give_up
        {
            tracing::warn!(
                server = fetch.from,
                "no answer about its snapshot: waiting for a leader to offer one again"
            );
            self.needs.clear();
            self.over = None;
            self.fetch = None;
        }
        if !self.is_under_way()
            && self.paused_until.is_none_or(|until| until <= now)
            && let Some((from, cut)) =
                self.needs.values().copied().chain(self.over).max_by_key(|(_, cut)| *cut)
        {
            tracing::info!(server = from, %cut, "this server is too far behind: requesting a snapshot");
            self.paused_until = None;
            let part = store.part_id().unwrap_or(0);
            let (fetch, ask) = Fetch::new(now, (from, cut), part, (self.retry, self.piece_bytes));
            self.fetch = Some(fetch);
            out.push((from, ask));
        }
        if let Some(fetch) = &mut self.fetch {
            fetch.requests(now, out);
        }
    }

    /// Handles a message from the sender.
    pub fn receive(
        &mut self,
        now: Instant,
        from: u64,
        message: Transfer,
        store: &SnapshotStore,
        begin: impl FnOnce() -> R,
        out: &mut Vec<(u64, Transfer)>,
    ) -> Result<(), SnapshotError> {
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.from == from) else { return Ok(()) };
        let progress = match message {
            Transfer::Offer { id, cut, bytes } => {
                fetch.offered(now, (id, cut, bytes), store, &*self.files)?
            }
            Transfer::Piece { id, offset, bytes } => fetch.received(now, (id, offset), &bytes)?,
            Transfer::Gone { id } => {
                out.extend(fetch.gone(now, id).map(|ask| (from, ask)));
                FetchStep::UnderWay
            }
            // The sender's snapshot is gone, or does not help: the leader will offer one again.
            Transfer::Nothing => {
                self.needs.retain(|_, (leader, _)| *leader != from);
                self.over.take_if(|(has_it, _)| *has_it == from);
                self.fetch = None;
                return Ok(());
            }
            Transfer::Ask { .. } | Transfer::Fetch { .. } | Transfer::Over { .. } => FetchStep::UnderWay,
        };
        if let FetchStep::Complete(id) = progress {
            self.fetch = None;
            let opened = SnapshotReader::open(&*self.files, &store.part(id));
            let whole = opened.and_then(|reader| reader.has_chunks().map(|()| reader));
            let reader = whole.inspect_err(|error| self.refuse(error, id, store))?;
            self.loading = Some(Loading { id, reader, state: begin() });
        }
        Ok(())
    }

    /// Reads a little more of a received file. When all of it has been read and checked, records it as
    /// received with `mark`, then names and keeps it. It has to be of this cluster, and of one that went through the epochs
    /// that are `known`, up to a level that this program knows.
    pub fn load(
        &mut self,
        (cluster, groups): (u128, Option<u16>),
        known_level: u32,
        known: Option<&Chain>,
        store: &mut SnapshotStore,
        mark: impl FnOnce(u128) -> Result<(), IdentityError>,
    ) -> Result<Option<Received<R>>, SnapshotError> {
        let Some(mut loading) = self.loading.take() else { return Ok(None) };
        let id = loading.id;
        let owned = check_owner(&loading.reader, cluster, groups)
            .and_then(|()| check_level(&loading.reader, known_level))
            .and_then(|()| known.map_or(Ok(()), |known| check_chain(&loading.reader, known)));
        let read = owned.and_then(|()| loading.step());
        match read {
            Ok(true) => {
                let header = Arc::clone(loading.reader.header());
                if store.newest().is_some_and(|newest| newest.header.cut() >= header.cut()) {
                    // This server's own logs have overtaken it meanwhile.
                    store.remove_part(id)?;
                    return Ok(None);
                }
                mark(header.id)?;
                store.adopt(Arc::clone(&header), loading.reader.length())?;
                self.ready = Some(Arc::clone(&header));
                Ok(Some(Received { header, state: loading.state }))
            }
            Ok(false) => {
                self.loading = Some(loading);
                Ok(None)
            }
            Err(error) => {
                self.refuse(&error, id, store);
                Err(error)
            }
        }
    }

    /// Rejects bytes that are not a snapshot of this cluster: they are fetched again.
    fn refuse(&self, error: &SnapshotError, id: u128, store: &SnapshotStore) {
        tracing::warn!(%error, "cannot use the received snapshot");
        if let Err(error) = store.remove_part(id) {
            tracing::warn!(%error, "cannot remove its part");
        }
    }
}

impl<R: Restoring> Loading<R> {
    /// Reads a little more; `true` at the end.
    fn step(&mut self) -> Result<bool, SnapshotError> {
        let before = self.reader.position();
        while self.reader.position() - before < STEP_BYTES {
            if !self.reader.read_into(&mut self.state)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
