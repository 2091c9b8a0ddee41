//! Strong reads of a follower. It has no part in any quorum, so it asks a member: up to which position has everything been
//! executed that was acknowledged before I asked? Then the reads wait for that position here.

use std::time::Instant;

use super::ReadBatch;

/// The reads that wait for a member's answer. One question is under way at a time, and serves all that were queued before it
/// was asked.
#[derive(Default)]
pub(super) struct AbroadReads {
    waiting: Vec<ReadBatch>,
    asked: Vec<ReadBatch>,
    /// Number of the latest question. An answer to an earlier one says too little.
    question: u64,
}

impl AbroadReads {
    pub fn queue(&mut self, reads: ReadBatch) {
        self.waiting.push(reads);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// A question to be asked now, for all that wait; `None` if nobody does, or one is under way.
    pub fn ask(&mut self) -> Option<u64> {
        if !self.asked.is_empty() || self.waiting.is_empty() {
            return None;
        }
        self.asked = std::mem::take(&mut self.waiting);
        self.question += 1;
        Some(self.question)
    }

    /// The question under way has no answer: another one in its place.
    pub fn ask_again(&mut self) -> Option<u64> {
        self.waiting.append(&mut self.asked);
        self.ask()
    }

    /// The reads that the answer to a question serves; none if it is not the one under way.
    pub fn answered(&mut self, question: u64) -> Vec<ReadBatch> {
        if question == self.question { std::mem::take(&mut self.asked) } else { Vec::new() }
    }

    /// Moves the batches for whose deadline `gone` returns true to `out`.
    pub fn extract(&mut self, mut gone: impl FnMut(Instant) -> bool, out: &mut Vec<ReadBatch>) {
        for reads in [&mut self.waiting, &mut self.asked] {
            out.extend(reads.extract_if(.., |batch| gone(batch.deadline)));
        }
    }
}
