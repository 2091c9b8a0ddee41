//! Reads that are executed right after a command of their lane, by the server that took both.
//!
//! Such a read costs no round to a quorum and no bytes in the log. It is fresh since its command was not in the
//! lane yet when the read came: whatever anybody was told before stands at a lower position than the command
//! will get (`read_is_fresh`).

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::deliveries::{Deliveries, Sink};
use super::looks::DueLook;
use crate::outcome::{Completion, Detached, DetachedRead};

/// A caller's reads of a turn, staged beside the commands that they follow.
#[derive(Default)]
pub(crate) struct StagedReads {
    reads: Vec<StagedRead>,
    /// The queries, one after the other.
    queries: Vec<u8>,
}

struct StagedRead {
    /// Index of the command among those of the turn.
    after: u32,
    /// Where the query ends.
    end: u32,
    token: u64,
}

/// Reads that were submitted at once.
struct ReadRun<R> {
    /// Number of the first command of their turn.
    first: u64,
    sink: Arc<dyn Sink<R>>,
    reads: Vec<StagedRead>,
    queries: Bytes,
    deadline: Instant,
}

/// A lane's reads whose commands have not been executed, in the order of the commands.
pub(super) struct AttachedReads<R> {
    runs: VecDeque<Arc<ReadRun<R>>>,
    /// How many reads of the first run have ended.
    ended: usize,
    bytes: usize,
}

/// Reads whose commands are about to be executed.
pub(crate) struct DueReads<R> {
    parts: Vec<(Arc<ReadRun<R>>, Range<usize>)>,
    /// The looks that follow the same commands.
    pub looks: Vec<DueLook>,
}

/// One of them.
pub(crate) struct DueRead<'a, R> {
    /// Number of the command that it follows.
    pub after: u64,
    pub token: u64,
    pub query: &'a [u8],
    pub sink: &'a Arc<dyn Sink<R>>,
}

/// The most bytes to reserve at the start of a turn, so that one large turn does not make every later one large.
pub(crate) const ROOM_BYTES: usize = 64 << 10;

impl StagedReads {
    /// Nothing yet, with room for about as much as the last turn had.
    fn with_room_of(last: &StagedReads) -> StagedReads {
        let reads = last.reads.len().min(ROOM_BYTES / size_of::<StagedRead>());
        StagedReads {
            reads: Vec::with_capacity(reads),
            queries: Vec::with_capacity(last.queries.len().min(ROOM_BYTES)),
        }
    }

    /// Stages a read behind the command of this index.
    pub fn push(&mut self, after: u32, token: u64, query: &[u8]) {
        self.queries.extend_from_slice(query);
        self.reads.push(StagedRead { after, end: self.queries.len() as u32, token });
    }

    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        memory(&self.reads, &self.queries)
    }

    /// Ends all of them: their commands were refused.
    pub fn detach<R>(&mut self, why: Detached, out: &mut Vec<Completion<R>>) {
        let StagedReads { reads, queries } = mem::take(self);
        out.extend(detached(&reads, &queries.into(), 0..reads.len(), why));
    }
}

/// Where the query of a read is among all queries of its turn.
fn place(reads: &[StagedRead], at: usize) -> Range<usize> {
    let start = at.checked_sub(1).map_or(0, |before| reads[before].end);
    start as usize..reads[at].end as usize
}

/// The ends of some reads of a turn, without an answer.
fn detached<R>(
    reads: &[StagedRead],
    queries: &Bytes,
    which: Range<usize>,
    why: Detached,
) -> impl Iterator<Item = Completion<R>> {
    which.map(move |at| {
        let query = queries.slice(place(reads, at));
        Completion::Detached { token: reads[at].token, read: Box::new(DetachedRead { query, why }) }
    })
}

fn memory(reads: &[StagedRead], queries: &[u8]) -> usize {
    queries.len() + size_of_val(reads)
}

impl<R> ReadRun<R> {
    /// How many of its reads follow commands below number `end`.
    fn below(&self, end: u64) -> usize {
        self.reads.partition_point(|read| self.first + u64::from(read.after) < end)
    }

    fn bytes(&self) -> usize {
        memory(&self.reads, &self.queries)
    }

    /// Ends some of its reads without an answer.
    fn detach(&self, which: Range<usize>, why: Detached, out: &mut Deliveries<R>) {
        out.to(&self.sink).extend(detached(&self.reads, &self.queries, which, why));
    }
}

impl<R> Default for AttachedReads<R> {
    fn default() -> Self {
        AttachedReads { runs: VecDeque::new(), ended: 0, bytes: 0 }
    }
}

impl<R> AttachedReads<R> {
    /// Adds the reads of a turn whose first command has the number `first`.
    pub fn add(&mut self, first: u64, staged: &mut StagedReads, deadline: Instant, sink: Arc<dyn Sink<R>>) {
        self.bytes += staged.bytes();
        let room = StagedReads::with_room_of(staged);
        let StagedReads { reads, queries } = mem::replace(staged, room);
        self.runs.push_back(Arc::new(ReadRun { first, sink, reads, queries: queries.into(), deadline }));
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of turns whose reads are here.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Takes the reads that follow commands below number `end`.
    pub fn take_below(&mut self, end: u64, due: &mut DueReads<R>) {
        while let Some(run) = self.runs.front() {
            let (from, to) = (self.ended, run.below(end));
            if from < to {
                due.parts.push((Arc::clone(run), from..to));
                self.ended = to;
            }
            if self.ended < run.reads.len() {
                return;
            }
            self.bytes -= run.bytes();
            self.runs.pop_front();
            self.ended = 0;
        }
    }

    /// Ends the reads of runs that are due; `None`: of all.
    pub fn give_up(&mut self, now: Option<Instant>, why: Detached, out: &mut Deliveries<R>) {
        let mut ended = mem::take(&mut self.ended);
        let (mut kept, mut bytes) = (VecDeque::new(), 0);
        for run in self.runs.drain(..) {
            let ended = mem::take(&mut ended);
            if now.is_none_or(|now| run.deadline <= now) {
                run.detach(ended..run.reads.len(), why, out);
                continue;
            }
            if kept.is_empty() {
                self.ended = ended;
            }
            bytes += run.bytes();
            kept.push_back(run);
        }
        (self.runs, self.bytes) = (kept, bytes);
    }
}

impl<R> Default for DueReads<R> {
    fn default() -> Self {
        DueReads { parts: Vec::new(), looks: Vec::new() }
    }
}

impl<R> DueReads<R> {
    /// The reads, in the order of their commands.
    pub fn iter(&self) -> impl Iterator<Item = DueRead<'_, R>> {
        self.parts.iter().flat_map(|(run, range)| {
            range.clone().map(|at| DueRead {
                after: run.first + u64::from(run.reads[at].after),
                token: run.reads[at].token,
                query: &run.queries[place(&run.reads, at)],
                sink: &run.sink,
            })
        })
    }

    /// Ends all of them without an answer.
    pub fn detach(&mut self, why: Detached, out: &mut Deliveries<R>) {
        for (run, range) in self.parts.drain(..) {
            run.detach(range, why, out);
        }
        self.looks.drain(..).for_each(|due| out.tell(due.look, Some(why)));
    }

    /// Forgets them once they are answered.
    pub fn clear(&mut self) {
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests;
