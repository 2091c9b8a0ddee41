//! Commands that other servers have forwarded to a group's leader, on their way into its log.

use std::collections::VecDeque;

use crate::batch::{SUB_BATCH_HEAD, Span, SubBatch};
use crate::planted::{self, Bug};

/// Forwarded commands that wait, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Forwarded {
    waiting: VecDeque<SubBatch>,
    bytes: usize,
    limit: usize,
}

impl Forwarded {
    /// `limit` is the most bytes that may wait.
    pub fn new(limit: usize) -> Forwarded {
        Forwarded { waiting: VecDeque::new(), bytes: 0, limit }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Accepts a sub-batch; `false` if there is no room. One of a later attempt replaces what waits of the
    /// same lane's earlier attempts. If none waits, one of any size is accepted: otherwise it never would
    /// be.
    pub fn take(&mut self, batch: SubBatch) -> bool {
        let newer = |other: &Span| {
            (other.server, other.lane) == (batch.span.server, batch.span.lane)
                && (other.incarnation, other.attempt) < (batch.span.incarnation, batch.span.attempt)
        };
        if self.waiting.iter().any(|waiting| newer(&waiting.span)) {
            self.waiting.retain(|waiting| !newer(&waiting.span));
            self.bytes = self.waiting.iter().map(cost).sum();
        }
        let is_alone = self.waiting.is_empty() && !planted::is(Bug::LargeForwardRefused);
        if self.bytes + cost(&batch) > self.limit && !is_alone {
            return false;
        }
        self.bytes += cost(&batch);
        self.waiting.push_back(batch);
        true
    }

    /// The next sub-batch, if it has at most `room` bytes or `any_size` is set.
    pub fn next(&mut self, room: usize, any_size: bool) -> Option<SubBatch> {
        let batch = self.waiting.pop_front_if(|batch| any_size || batch.body.len() <= room)?;
        self.bytes -= cost(&batch);
        Some(batch)
    }

    /// Drops what waits, since this server no longer leads. Returns the spans, whose origins must resend
    /// them.
    pub fn drop_all(&mut self) -> Vec<Span> {
        self.bytes = 0;
        self.waiting.drain(..).map(|batch| batch.span).collect()
    }
}

/// Bytes that a waiting sub-batch counts for. The header counts, or any number of empty ones would fit.
fn cost(batch: &SubBatch) -> usize {
    SUB_BATCH_HEAD + batch.body.len()
}
