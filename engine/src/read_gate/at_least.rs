//! Reads that wait for positions, in the order of the positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use niagara_sequencer::GlobalPosition;

use super::{ReadBatch, ReadSink};

/// Reads that one caller queued at once, each for a position of its own.
pub(crate) struct AtLeastBatch {
    pub sink: Arc<dyn ReadSink>,
    /// Positions and tokens.
    pub reads: Vec<(GlobalPosition, u64)>,
    pub queued: Instant,
    pub deadline: Instant,
}

/// The reads that wait. To queue a batch takes one allocation and a place in a tree, and only batches with a
/// read that may proceed are looked at when something has been executed.
#[derive(Default)]
pub(super) struct AtLeastReads {
    /// By the lowest position that a batch waits for. Its reads are sorted, the lowest position last.
    batches: BTreeMap<(GlobalPosition, u64), AtLeastBatch>,
    next: u64,
}

impl AtLeastReads {
    pub fn queue(&mut self, mut batch: AtLeastBatch) {
        batch.reads.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
        self.insert(batch);
    }

    fn insert(&mut self, batch: AtLeastBatch) {
        if let Some((lowest, _)) = batch.reads.last() {
            self.next += 1;
            self.batches.insert((*lowest, self.next), batch);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The lowest position that a read waits for.
    pub fn wanted(&self) -> Option<GlobalPosition> {
        self.batches.first_key_value().map(|((position, _), _)| *position)
    }

    /// Moves the reads that wait for positions up to `applied` to `readable`.
    pub fn release(&mut self, applied: GlobalPosition, readable: &mut Vec<ReadBatch>) {
        while self.wanted().is_some_and(|position| position <= applied)
            && let Some((_, mut batch)) = self.batches.pop_first()
        {
            let keep = batch.reads.partition_point(|(position, _)| *position > applied);
            let reached = batch.reads.split_off(keep);
            readable.push(batch.part(&reached));
            self.insert(batch);
        }
    }

    /// Moves the batches for which `gone` returns true to `out`.
    pub fn extract(&mut self, mut gone: impl FnMut(Instant) -> bool, out: &mut Vec<ReadBatch>) {
        let gone = self.batches.extract_if(.., |_, batch| gone(batch.deadline));
        out.extend(gone.map(|(_, batch)| batch.part(&batch.reads)));
    }
}

impl AtLeastBatch {
    fn part(&self, reads: &[(GlobalPosition, u64)]) -> ReadBatch {
        let AtLeastBatch { sink, queued, deadline, .. } = self;
        let tokens = reads.iter().map(|(_, token)| *token).collect();
        ReadBatch { sink: Arc::clone(sink), tokens, queued: *queued, deadline: *deadline }
    }
}
