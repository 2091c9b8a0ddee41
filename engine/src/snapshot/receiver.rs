//! A server that is too far behind for its leaders' logs: fetches a snapshot, once for all groups, and reads it into a state
//! aside of the one in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_log::Files;

use super::error::SnapshotError;
use super::fetch::{Fetch, FetchStep};
use super::header::Header;
use super::reader::SnapshotReader;
use super::signals::Need;
use super::store::{SnapshotStore, check_owner};
use super::wire::Transfer;
use crate::frozen::Restoring;
use crate::identity::IdentityError;

/// Read in one step, in bytes of the file: what else this thread has to do waits for no longer than that takes.
const STEP_BYTES: u64 = 1 << 20;

/// A snapshot on its way from another server into this one's state.
pub(crate) struct SnapshotReceiver<R> {
    files: Arc<dyn Files>,
    /// What groups need, by zero-based index: the leader that said so, and the round of its snapshot.
    needs: BTreeMap<usize, (u64, u64)>,
    fetch: Option<Fetch>,
    loading: Option<Loading<R>>,
    /// The file that is whole, and was handed on.
    ready: Option<Arc<Header>>,
    /// After a failure of this server's own disk nothing is begun before then.
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

/// A received snapshot: durable, and a state of the application.
pub(crate) struct Received<R> {
    pub header: Arc<Header>,
    pub state: R,
}

impl<R: Restoring> SnapshotReceiver<R> {
    /// `retry`: what is not answered for so long is asked for again; after `give_up`, nobody is asked any more until a
    /// leader names its snapshot again.
    pub fn new(
        files: Arc<dyn Files>,
        retry: Duration,
        give_up: Duration,
        piece_bytes: u32,
    ) -> SnapshotReceiver<R> {
        SnapshotReceiver {
            files,
            needs: BTreeMap::new(),
            fetch: None,
            loading: None,
            ready: None,
            paused_until: None,
            retry,
            give_up,
            piece_bytes,
        }
    }

    /// A group needs a snapshot.
    pub fn need(&mut self, Need { group, from, round }: Need) {
        self.needs.insert(group, (from, round));
    }

    /// The merge is at this round or beyond it: the groups that needed no more than that have what they need.
    pub fn satisfied(&mut self, round: u64) -> Vec<usize> {
        if self.ready.as_ref().is_some_and(|ready| ready.round <= round) {
            self.ready = None;
        }
        self.needs.extract_if(.., |_, (_, needed)| *needed <= round).map(|(group, _)| group).collect()
    }

    /// Whether a file is being fetched, read or handed on.
    pub fn is_under_way(&self) -> bool {
        self.fetch.is_some() || self.loading.is_some() || self.ready.is_some()
    }

    /// Who sends, how many bytes have come, and of how many.
    pub fn extent(&self) -> Option<(u64, u64, u64)> {
        let fetch = self.fetch.as_ref()?;
        let (received, bytes) = fetch.extent();
        Some((fetch.from, received, bytes))
    }

    /// When there is something to ask for, or to begin.
    pub fn due(&self) -> Option<Instant> {
        match &self.fetch {
            Some(fetch) => Some(fetch.due()),
            None if self.is_under_way() || self.needs.is_empty() => None,
            None => self.paused_until,
        }
    }

    /// This server's own disk has failed: the next try waits, and begins anew. After a failed sync what is there may read well,
    /// and be gone with the power.
    pub fn failed(&mut self, now: Instant, store: &SnapshotStore) {
        if self.fetch.take().is_some()
            && let Some(part) = store.part_id()
            && let Err(error) = store.remove_part(part)
        {
            tracing::warn!(%error, "a part of a snapshot stays where it is");
        }
        self.paused_until = Some(now + self.retry);
    }

    /// Whether bytes wait to be read.
    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Begins a transfer if one is needed, asks for what is missing, and gives up on a sender that is silent.
    pub fn ask(&mut self, now: Instant, store: &SnapshotStore, out: &mut Vec<(u64, Transfer)>) {
        if let Some(fetch) = &self.fetch
            && now.saturating_duration_since(fetch.heard()) >= self.give_up
        {
            tracing::warn!(
                server = fetch.from,
                "no answer about its snapshot: waiting for a leader to name one again"
            );
            self.needs.clear();
            self.fetch = None;
        }
        if !self.is_under_way()
            && self.paused_until.is_none_or(|until| until <= now)
            && let Some((from, round)) = self.needs.values().copied().max_by_key(|(_, round)| *round)
        {
            tracing::info!(server = from, round, "this server is too far behind: asking for a snapshot");
            self.paused_until = None;
            let part = store.part_id().unwrap_or(0);
            let (fetch, ask) = Fetch::new(now, (from, round), part, (self.retry, self.piece_bytes));
            self.fetch = Some(fetch);
            out.push((from, ask));
        }
        if let Some(fetch) = &mut self.fetch {
            fetch.requests(now, out);
        }
    }

    /// A message from the sender.
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
            Transfer::Offer { id, round, bytes } => {
                fetch.offered(now, (id, round, bytes), store, &*self.files)?
            }
            Transfer::Piece { id, offset, bytes } => fetch.received(now, (id, offset), &bytes)?,
            Transfer::Gone { id } => {
                out.extend(fetch.gone(now, id).map(|ask| (from, ask)));
                FetchStep::UnderWay
            }
            // Its snapshot has gone, or is another's: whoever leads names one again.
            Transfer::Nothing => {
                self.needs.retain(|_, (leader, _)| *leader != from);
                self.fetch = None;
                return Ok(());
            }
            Transfer::Ask { .. } | Transfer::Fetch { .. } => FetchStep::UnderWay,
        };
        if let FetchStep::Complete(id) = progress {
            self.fetch = None;
            let opened = SnapshotReader::open(&*self.files, &store.part(id));
            let reader = opened.inspect_err(|error| self.refuse(error, id, store))?;
            self.loading = Some(Loading { id, reader, state: begin() });
        }
        Ok(())
    }

    /// Reads a little more of a file that is there. When it has been read and checked as a whole, it is noted as received with
    /// `mark`, and then named and kept.
    pub fn load(
        &mut self,
        cluster: u128,
        groups: u16,
        store: &mut SnapshotStore,
        mark: impl FnOnce(u128) -> Result<(), IdentityError>,
    ) -> Result<Option<Received<R>>, SnapshotError> {
        let Some(mut loading) = self.loading.take() else { return Ok(None) };
        let id = loading.id;
        let read = check_owner(&loading.reader, cluster, groups).and_then(|()| loading.step());
        match read {
            Ok(true) => {
                let header = Arc::clone(loading.reader.header());
                if store.newest().is_some_and(|newest| newest.header.round >= header.round) {
                    // Its own logs have brought this server further meanwhile.
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

    /// The bytes that came are no snapshot of ours: they are fetched anew.
    fn refuse(&self, error: &SnapshotError, id: u128, store: &SnapshotStore) {
        tracing::warn!(%error, "the snapshot that was received cannot be used");
        if let Err(error) = store.remove_part(id) {
            tracing::warn!(%error, "its part stays where it is");
        }
    }
}

impl<R: Restoring> Loading<R> {
    /// Reads a little more; whether that was all.
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
