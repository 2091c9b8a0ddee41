//! The receiving side of a transfer: collects another server's file piece by piece, and resumes after
//! interruptions.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_log::{Files, LogFile};
use niagara_sequencer::epoch::Cut;

use super::error::SnapshotError;
use super::store::SnapshotStore;
use super::wire::Transfer;
use super::writer::SYNC_BYTES;
use crate::planted::{self, Bug};

/// Pieces that a receiver requests ahead: enough to hide the delay of a long link, without crowding a short
/// one.
const PIECES_AHEAD: u64 = 4;

/// A snapshot being fetched from one server.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// The sender.
    pub from: u64,
    /// The least cut that helps.
    pub cut: Cut,
    part: u128,
    stage: FetchStage,
    /// When the sender was last heard.
    heard: Instant,
    /// When something was last requested.
    asked: Instant,
    retry: Duration,
    piece_bytes: u32,
}

#[derive(Debug)]
enum FetchStage {
    /// Waits for the sender to name a file.
    Asking,
    Receiving(Receiving),
}

#[derive(Debug)]
struct Receiving {
    id: u128,
    bytes: u64,
    file: Arc<dyn LogFile>,
    path: PathBuf,
    received: u64,
    requested: u64,
    synced: u64,
}

/// State of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchStep {
    /// More bytes are needed.
    UnderWay,
    /// All bytes of the file with this id have arrived and are synced, but not checked.
    Complete(u128),
}

impl Fetch {
    /// Starts a transfer. `part` is the file of which a part has been received, 0 for none. `retry` is the
    /// time after which an unanswered request is repeated.
    pub fn new(
        now: Instant,
        (from, cut): (u64, Cut),
        part: u128,
        (retry, piece_bytes): (Duration, u32),
    ) -> (Fetch, Transfer) {
        let fetch =
            Fetch { from, cut, part, stage: FetchStage::Asking, heard: now, asked: now, retry, piece_bytes };
        (fetch, Transfer::Ask { cut, part })
    }

    /// Bytes received and bytes in all; 0 while unknown.
    pub fn extent(&self) -> (u64, u64) {
        match &self.stage {
            FetchStage::Asking => (0, 0),
            FetchStage::Receiving(receiving) => (receiving.received, receiving.bytes),
        }
    }

    /// When the sender was last heard.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Handles an offer of a file. A part that has been received is not fetched again.
    pub fn offered(
        &mut self,
        now: Instant,
        (id, cut, bytes): (u128, Cut, u64),
        store: &SnapshotStore,
        files: &dyn Files,
    ) -> Result<FetchStep, SnapshotError> {
        if cut < self.cut || !matches!(self.stage, FetchStage::Asking) {
            return Ok(FetchStep::UnderWay);
        }
        self.heard = now;
        store.remove_other_parts(id)?;
        let path = store.part(id);
        let (file, received) = match files.open(&path) {
            Ok(file) => {
                let there = file.length().map_err(SnapshotError::io("measure the part", &path))?;
                (file, there.min(bytes))
            }
            Err(_) => (files.create(&path).map_err(SnapshotError::io("create the part", &path))?, 0),
        };
        // A sender may say anything, and the disk is needed for more than its file.
        let dir = path.parent().expect("a part stands in a directory");
        let free =
            files.free_bytes(dir).map_err(SnapshotError::io("measure the room for the part", &path))?;
        if bytes - received > free {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(SnapshotError::io("find room for the part", &path)(full));
        }
        self.stage = FetchStage::Receiving(Receiving {
            id,
            bytes,
            file,
            path,
            received,
            requested: received,
            synced: 0,
        });
        self.complete_if_all_there()
    }

    /// Handles that the sender no longer has the file: the transfer restarts.
    pub fn gone(&mut self, now: Instant, id: u128) -> Option<Transfer> {
        let FetchStage::Receiving(receiving) = &self.stage else { return None };
        if receiving.id != id {
            return None;
        }
        (self.stage, self.part, self.heard, self.asked) = (FetchStage::Asking, 0, now, now);
        Some(Transfer::Ask { cut: self.cut, part: 0 })
    }

    /// Handles a piece. One that does not follow the received part is ignored, and requested again.
    pub fn received(
        &mut self,
        now: Instant,
        (id, offset): (u128, u64),
        bytes: &Bytes,
    ) -> Result<FetchStep, SnapshotError> {
        let FetchStage::Receiving(receiving) = &mut self.stage else { return Ok(FetchStep::UnderWay) };
        let follows = id == receiving.id && offset == receiving.received;
        if !follows || bytes.len() as u64 > receiving.bytes - offset {
            return Ok(FetchStep::UnderWay);
        }
        self.heard = now;
        let written = receiving.file.write_all_at(&mut [IoSlice::new(bytes)], offset);
        written.map_err(SnapshotError::io("write the part", &receiving.path))?;
        receiving.received += bytes.len() as u64;
        if receiving.received - receiving.synced >= SYNC_BYTES {
            receiving.file.sync_data().map_err(SnapshotError::io("sync the part", &receiving.path))?;
            receiving.synced = receiving.received;
        }
        self.complete_if_all_there()
    }

    /// Requests the next pieces, a few ahead, and repeats requests that were not answered in time.
    pub fn requests(&mut self, now: Instant, out: &mut Vec<(u64, Transfer)>) {
        let silent = now >= self.due();
        match &mut self.stage {
            FetchStage::Asking if silent => {
                self.asked = now;
                out.push((self.from, Transfer::Ask { cut: self.cut, part: self.part }));
            }
            FetchStage::Asking => {}
            FetchStage::Receiving(receiving) => {
                if silent {
                    receiving.requested = receiving.received;
                }
                while receiving.requested < receiving.bytes
                    && receiving.requested - receiving.received < PIECES_AHEAD * u64::from(self.piece_bytes)
                {
                    let (id, offset) = (receiving.id, receiving.requested);
                    let length = (receiving.bytes - offset).min(self.piece_bytes.into()) as u32;
                    receiving.requested += u64::from(length);
                    self.asked = now;
                    out.push((self.from, Transfer::Fetch { id, offset, length }));
                }
            }
        }
    }

    /// When requests will be repeated.
    pub fn due(&self) -> Instant {
        self.heard.max(self.asked) + self.retry
    }

    fn complete_if_all_there(&mut self) -> Result<FetchStep, SnapshotError> {
        let FetchStage::Receiving(receiving) = &self.stage else { return Ok(FetchStep::UnderWay) };
        if receiving.received < receiving.bytes {
            return Ok(FetchStep::UnderWay);
        }
        if !planted::is(Bug::PartNotSynced) {
            let synced = receiving.file.sync_all();
            if !planted::is(Bug::PartSyncIgnored) {
                synced.map_err(SnapshotError::io("sync the part", &receiving.path))?;
            }
        }
        Ok(FetchStep::Complete(receiving.id))
    }
}
