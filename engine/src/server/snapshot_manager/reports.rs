//! What groups, clients and operators learn of the snapshots.

use std::sync::Arc;
use std::time::Instant;

use niagara_sequencer::compaction_point;
use niagara_sequencer::epoch::Cut;

use super::SnapshotManager;
use crate::planted::{self, Bug};
use crate::progress::Mail;
use crate::snapshot::{Header, SnapshotError, Snapshots, TakenSnapshot};
use crate::state_machine::StateMachine;
use crate::status::Digest;

impl<S: StateMachine> SnapshotManager<S> {
    /// Tells every group which snapshots are kept.
    pub(super) fn announce(&mut self, now: Instant) {
        self.note_kept(now);
        let Some(snapshots) = self.snapshots() else { return };
        if let Some(epoch) = self.epoch(snapshots.newest.cut().epoch) {
            epoch.tell(&Mail::Kept(snapshots));
        }
    }

    /// The snapshots that groups have to know of; `None` if there is none.
    pub fn snapshots(&self) -> Option<Snapshots> {
        let kept = self.store.kept();
        let newest = Arc::clone(&self.store.newest()?.header);
        let cuts: Vec<Cut> = kept.iter().map(|kept| kept.header.cut()).collect();
        let older = compaction_point(&cuts)
            .and_then(|cut| kept.iter().find(|kept| kept.header.cut() == cut))
            .map(|kept| Arc::clone(&kept.header))
            .filter(|older| older.cut().epoch == newest.cut().epoch);
        let older = if planted::is(Bug::CompactedToNewest) { Some(Arc::clone(&newest)) } else { older };
        Some(Snapshots { newest, older })
    }

    pub(super) fn note_failure(&self, error: &SnapshotError) {
        self.share.metrics.snapshot_failures.inc();
        self.share.progress.snapshots.note(|status| {
            status.failures += 1;
            status.last_error = Some(error.to_string());
        });
    }

    pub(super) fn note_kept(&mut self, now: Instant) {
        let Some(newest) = self.store.newest() else { return };
        self.over.kept(now, newest.header.cut());
        self.share.progress.snapshots.set_kept(newest.header.cut());
        let (position, bytes) = (newest.header.position().get(), newest.bytes);
        self.share.metrics.snapshot_position.set(position as i64);
        self.share.metrics.snapshot_bytes.set(bytes as i64);
        let disk_bytes = self.store.kept().iter().map(|kept| kept.bytes).sum();
        self.share.progress.snapshots.note(|status| {
            status.position = position;
            status.created_ms = newest.header.created_ms;
            status.bytes = bytes;
            status.disk_bytes = disk_bytes;
        });
    }

    /// Answers those whose snapshot is durable.
    pub(super) fn answer_requests(&self) {
        let snapshots = &self.share.progress.snapshots;
        if !snapshots.requests.are_waiting() {
            return;
        }
        let met = snapshots.met();
        let taken = self.store.newest().map_or_else(TakenSnapshot::default, |kept| {
            let Header { digests, .. } = &*kept.header;
            let position = kept.header.position();
            TakenSnapshot {
                position,
                bytes: kept.bytes,
                path: (!self.config.in_memory).then(|| kept.path.clone()),
                own_files: kept.own_files(),
                digest: Digest {
                    position: position.get(),
                    value: format!("{:016x}", digests.value()),
                    state: digests.state().map(|state| format!("{state:016x}")),
                },
            }
        });
        snapshots.requests.end(met, &Ok(taken));
    }

    pub(super) fn note_progress(&self) {
        let (writing, written) = (self.saving.is_under_way(), self.saving.written());
        let (from, received, expected) = self.receiver.extent().unwrap_or_default();
        self.share.progress.snapshots.note(|status| {
            (status.writing, status.written_bytes) = (writing, written);
            (status.receiving_from, status.received_bytes, status.expected_bytes) =
                (from, received, expected);
        });
    }
}
