//! Writes this server's own snapshots: a little at a time, no faster than configured, and again after a
//! failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_sequencer::epoch::Cut;

use super::error::SnapshotError;
use super::header::Header;
use super::own_files;
use super::pace::Pace;
use super::store::{Kept, SnapshotStore};
use super::writer::SnapshotWriter;
use crate::frozen::Frozen;

/// Bytes to write in one step, which limits how long this thread's other work waits.
const STEP_BYTES: u64 = 256 << 10;
/// Wait after a failure, which doubles with each further one: a full disk rarely has room a moment later.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Time between checks whether the logs hold the snapshot's floors durably: syncs take milliseconds.
const WAIT: Duration = Duration::from_millis(10);
/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The snapshot that is being written, if any.
pub(crate) struct Saving<F> {
    under_way: Option<UnderWay<F>>,
    pace: Pace,
    failures: u32,
    retry_at: Option<Instant>,
    waits_until: Option<Instant>,
    chunk: Vec<u8>,
}

struct UnderWay<F> {
    header: Arc<Header>,
    /// What is still to be written; `None` if the view has saved files of its own.
    frozen: Option<F>,
    writer: SnapshotWriter,
    /// Whether it copies a kept snapshot, whose content is in files of the state machine's own.
    is_copy: bool,
}

/// State of the snapshot.
#[derive(Debug)]
pub(crate) enum Saved {
    /// There is more to write.
    UnderWay,
    /// It is durable.
    Done(Arc<Header>),
    /// A copy of a kept snapshot, with the state in chunks, has replaced it.
    Copied(Arc<Header>),
    /// It was abandoned; snapshots and logs are as they were.
    Failed(SnapshotError),
}

impl<F: Frozen> Saving<F> {
    pub fn new(bytes_per_second: u64) -> Saving<F> {
        Saving {
            under_way: None,
            pace: Pace::new(bytes_per_second),
            failures: 0,
            retry_at: None,
            waits_until: None,
            chunk: Vec::new(),
        }
    }

    /// Starts a snapshot. A view that saves files of its own does so at once.
    pub fn begin(&mut self, now: Instant, mut header: Header, mut frozen: F, store: &SnapshotStore) -> Saved {
        header.own_files = F::SAVES_FILES && store.has_own_files();
        if !header.own_files {
            return self.write(now, header, Some(frozen), store, false);
        }
        match store.save_files(header.cut(), &mut frozen) {
            Ok(()) => self.write(now, header, None, store, false),
            Err(error) => self.failed(now, store, &header, error),
        }
    }

    /// Starts a copy of a kept snapshot, with the state in chunks, for other servers.
    pub fn begin_copy(&mut self, now: Instant, id: u128, kept: &Kept, store: &SnapshotStore) -> Saved {
        let header = Header { id, own_files: false, ..(*kept.header).clone() };
        match own_files::open(&kept.path) {
            Ok(frozen) => self.write(now, header, Some(frozen), store, true),
            Err(error) => self.failed(now, store, &header, error),
        }
    }

    fn write(
        &mut self,
        now: Instant,
        header: Header,
        frozen: Option<F>,
        store: &SnapshotStore,
        is_copy: bool,
    ) -> Saved {
        match store.begin(&header) {
            Ok(writer) => {
                self.under_way = Some(UnderWay { header: Arc::new(header), frozen, writer, is_copy });
                Saved::UnderWay
            }
            Err(error) => self.failed(now, store, &header, error),
        }
    }

    /// Whether a new one may start.
    pub fn is_free(&mut self, now: Instant) -> bool {
        self.retry_at.take_if(|at| *at <= now);
        self.under_way.is_none() && self.retry_at.is_none()
    }

    /// Abandons the snapshot if it is older than one of this cut, which has come from another server.
    pub fn superseded(&mut self, cut: Cut, store: &SnapshotStore) {
        if let Some(saving) = self.under_way.take_if(|saving| saving.header.cut() <= cut) {
            store.abandon(&saving.header);
        }
    }

    /// Whether a step may be taken now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.under_way.is_some() && self.step_due(now) <= now
    }

    /// Waits a little, since what the snapshot was taken of is not durable in the logs yet.
    pub fn wait(&mut self, now: Instant) {
        self.waits_until = Some(now + WAIT);
    }

    /// Header of the snapshot in progress.
    pub fn header(&self) -> Option<&Header> {
        self.under_way.as_ref().map(|saving| &*saving.header)
    }

    fn step_due(&self, now: Instant) -> Instant {
        self.pace.due(now).into_iter().chain(self.waits_until).max().unwrap_or(now)
    }

    /// When there is something to do.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        match self.under_way {
            Some(_) => Some(self.step_due(now)),
            None => self.retry_at,
        }
    }

    /// Bytes of the snapshot in progress that are written.
    pub fn written(&self) -> u64 {
        self.under_way.as_ref().map_or(0, |saving| saving.writer.written())
    }

    /// Whether a snapshot is in progress.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Writes a little more.
    pub fn step(&mut self, now: Instant, store: &mut SnapshotStore) -> Saved {
        let Some(saving) = &mut self.under_way else { return Saved::UnderWay };
        let before = saving.writer.written();
        let mut ended = false;
        while !ended && saving.writer.written() - before < STEP_BYTES {
            self.chunk.clear();
            ended = saving.frozen.as_mut().is_none_or(|frozen| !frozen.next_chunk(&mut self.chunk));
            if !self.chunk.is_empty()
                && let Err(error) = saving.writer.add_chunk(&self.chunk)
            {
                let header = Arc::clone(&saving.header);
                return self.failed(now, store, &header, error);
            }
        }
        self.pace.spend(now, saving.writer.written() - before);
        if !ended {
            return Saved::UnderWay;
        }
        let UnderWay { header, writer, is_copy, .. } = self.under_way.take().expect("looked at above");
        let kept = Arc::clone(&header);
        let finished = if is_copy { store.replace(writer, kept) } else { store.finish(writer, kept) };
        match finished {
            Ok(()) => {
                (self.failures, self.retry_at, self.chunk) = (0, None, Vec::new());
                if is_copy { Saved::Copied(header) } else { Saved::Done(header) }
            }
            Err(error) => self.failed(now, store, &header, error),
        }
    }

    /// Gives back the view and the room on the disk. A failed snapshot costs nothing but the time until the
    /// next.
    fn failed(
        &mut self,
        now: Instant,
        store: &SnapshotStore,
        header: &Header,
        error: SnapshotError,
    ) -> Saved {
        self.under_way = None;
        store.abandon(header);
        let wait = RETRY_MIN.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures += 1;
        self.retry_at = Some(now + wait);
        Saved::Failed(error)
    }
}
