//! The sending side of transfers: answers requests of other servers, no faster than configured.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_log::{Files, LogFile};
use niagara_sequencer::epoch::Cut;

use super::error::SnapshotError;
use super::pace::Pace;
use super::store::{Kept, SnapshotStore};
use super::wire::Transfer;

/// The most pieces that may wait to be sent, for all servers together. Receivers request a few ahead and
/// repeat requests, so dropping the excess loses nothing.
const MOST_WAITING: usize = 64;

/// The snapshots that other servers are fetching from this one.
#[derive(Debug)]
pub(crate) struct SnapshotSender {
    files: Arc<dyn Files>,
    pace: Pace,
    /// How long a file is kept after it was last requested, though there are newer ones.
    patience: Duration,
    open: Vec<Open>,
    waiting: VecDeque<(u64, Wanted)>,
}

/// The file that a server is fetching.
#[derive(Debug)]
struct Open {
    to: u64,
    id: u128,
    bytes: u64,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    asked: Instant,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    id: u128,
    offset: u64,
    length: u32,
}

impl SnapshotSender {
    pub fn new(files: Arc<dyn Files>, bytes_per_second: u64, patience: Duration) -> SnapshotSender {
        SnapshotSender {
            files,
            pace: Pace::new(bytes_per_second),
            patience,
            open: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Answers a server that needs a snapshot of this cut or a later one. It is offered the newest, unless
    /// it has part of another one that helps.
    pub fn asked(&self, cut: Cut, part: u128, store: &SnapshotStore) -> Transfer {
        let begun = store.kept().iter().find(|kept| kept.header.id == part);
        let helps = |kept: &&Arc<Kept>| kept.header.cut() >= cut && !kept.header.own_files;
        let mut kept = begun.into_iter().chain(store.newest()).filter(helps);
        kept.next().map_or(Transfer::Nothing, |kept| Transfer::Offer {
            id: kept.header.id,
            cut: kept.header.cut(),
            bytes: kept.bytes,
        })
    }

    /// Handles a request for part of a file, to be sent when its turn comes. Returns what can be answered at
    /// once.
    pub fn fetch(
        &mut self,
        now: Instant,
        from: u64,
        (id, offset, length): (u128, u64, u32),
        store: &SnapshotStore,
    ) -> Result<Option<Transfer>, SnapshotError> {
        let Some(bytes) = self.touch(now, from, id, store)? else { return Ok(Some(Transfer::Gone { id })) };
        let wanted = (from, Wanted { id, offset, length });
        let sound = offset + u64::from(length) <= bytes;
        if sound && self.waiting.len() < MOST_WAITING && !self.waiting.contains(&wanted) {
            self.waiting.push_back(wanted);
        }
        Ok(None)
    }

    /// Whether a piece may be sent now.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.pace.due(now).is_none()
    }

    /// When the next piece may be sent, or a file be released.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let piece = if self.waiting.is_empty() { None } else { Some(self.pace.due(now).unwrap_or(now)) };
        let idle = self.open.iter().map(|open| open.asked + self.patience);
        idle.chain(piece).min()
    }

    /// The next piece and its receiver.
    pub fn next_piece(&mut self, now: Instant) -> Result<Option<(u64, Transfer)>, SnapshotError> {
        while let Some((to, Wanted { id, offset, length })) = self.waiting.pop_front() {
            let Some(open) = self.open.iter().find(|open| (open.to, open.id) == (to, id)) else { continue };
            let mut bytes = vec![0; length as usize];
            let read = open.file.read_exact_at(&mut bytes, offset);
            read.map_err(SnapshotError::io("read for another server", &open.path))?;
            self.pace.spend(now, length.into());
            return Ok(Some((to, Transfer::Piece { id, offset, bytes: bytes.into() })));
        }
        Ok(None)
    }

    /// Whether a server is fetching this snapshot.
    pub fn uses(&self, kept: &Kept) -> bool {
        self.open.iter().any(|open| open.id == kept.header.id)
    }

    /// Releases files that nobody has requested for a while.
    pub fn forget_idle(&mut self, now: Instant) {
        let patience = self.patience;
        self.open.retain(|open| now.saturating_duration_since(open.asked) < patience);
    }

    /// Reports that a server's link is down: the server will ask again.
    pub fn disconnected(&mut self, peer: u64) {
        self.waiting.retain(|(to, _)| *to != peer);
    }

    /// Notes that a server uses a file, and opens it if necessary. Returns its length, or `None` if there is
    /// no such file. A server that moves on to another file no longer needs the previous one.
    fn touch(
        &mut self,
        now: Instant,
        to: u64,
        id: u128,
        store: &SnapshotStore,
    ) -> Result<Option<u64>, SnapshotError> {
        if let Some(open) = self.open.iter_mut().find(|open| (open.to, open.id) == (to, id)) {
            open.asked = now;
            return Ok(Some(open.bytes));
        }
        self.open.retain(|open| open.to != to);
        let is_it = |kept: &&Arc<Kept>| kept.header.id == id && !kept.header.own_files;
        let Some(kept) = store.kept().iter().find(is_it) else { return Ok(None) };
        let file =
            self.files.open(&kept.path).map_err(SnapshotError::io("open for another server", &kept.path))?;
        self.open.push(Open { to, id, bytes: kept.bytes, path: kept.path.clone(), file, asked: now });
        Ok(Some(kept.bytes))
    }
}
