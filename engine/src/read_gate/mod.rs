//! Where reads wait until this server's state is fresh enough for them.

use std::sync::Arc;
use std::time::Instant;

use niagara_sequencer::{GlobalPosition, GroupId, Layout, ReadBarriers, Round, Slot};

use crate::metrics::Metrics;
use crate::planted::{self, Bug};
use crate::progress::{EpochProgress, Mail, SharedProgress};
use crate::sync::{AtomicU64, Mutex, Ordering::SeqCst};

mod abroad;
mod at_least;

use abroad::AbroadReads;
pub(crate) use at_least::AtLeastBatch;
use at_least::AtLeastReads;

/// Whoever waits for reads, notified once for all reads of a batch.
pub(crate) trait ReadSink: Send + Sync {
    /// These reads may proceed.
    fn readable(&self, tokens: &[u64], applied: GlobalPosition);
    /// These reads found no quorum in time.
    fn failed(&self, tokens: &[u64]);
}

/// Reads that one caller queued at once.
pub(crate) struct ReadBatch {
    pub sink: Arc<dyn ReadSink>,
    pub tokens: Vec<u64>,
    pub queued: Instant,
    pub deadline: Instant,
}

/// A server's waiting reads, and their quorum rounds in flight.
///
/// A front end queues its reads here and asks the group's thread itself. That thread delivers the answer. It
/// also completes the reads if everything below the barrier has been executed already, as in an idle cluster.
/// Otherwise the application thread does; it reads one number per batch to know whether anybody waits.
pub(crate) struct ReadGate {
    progress: Arc<SharedProgress>,
    metrics: Arc<Metrics>,
    waiting: Mutex<WaitingReads>,
    /// Lowest position whose execution completes a read; `u64::MAX` if none waits for execution.
    wanted: AtomicU64,
    /// If a group has had no leader for more ticks than this, strong reads cannot be answered.
    leaderless_ticks: u32,
}

struct WaitingReads {
    strong: ReadBarriers<ReadBatch>,
    at_least: AtLeastReads,
    /// Strong reads of a follower.
    abroad: AbroadReads,
    closed: bool,
}

/// Reads that have finished waiting. They are notified after the lock is released, since a notified caller
/// may read again at once.
#[derive(Default)]
struct Ended {
    readable: Vec<ReadBatch>,
    applied: GlobalPosition,
    failed: Vec<ReadBatch>,
}

impl ReadGate {
    /// `retry_ticks` is the time after which an unanswered round is repeated.
    pub fn new(
        layout: Layout,
        progress: Arc<SharedProgress>,
        metrics: Arc<Metrics>,
        retry_ticks: u32,
        leaderless_ticks: u32,
    ) -> Self {
        let strong = ReadBarriers::new(layout, retry_ticks);
        let (at_least, abroad) = (AtLeastReads::default(), AbroadReads::default());
        let waiting = WaitingReads { strong, at_least, abroad, closed: false };
        ReadGate {
            progress,
            metrics,
            waiting: Mutex::new(waiting),
            wanted: AtomicU64::new(u64::MAX),
            leaderless_ticks,
        }
    }

    /// Queues strong reads, and starts a round for them unless they have to wait for another one first, or
    /// this server holds a lease. `leased` then returns the last committed slot of the leased group.
    pub fn read_strong(&self, reads: ReadBatch, leased: impl FnOnce() -> Option<Slot>) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            return reads.sink.failed(&reads.tokens);
        }
        waiting.strong.queue(reads);
        // Looked at under the lock: it serves all reads queued so far, also those of other callers.
        let Some(committed) = leased() else {
            let round = waiting.strong.begin(self.awaited());
            drop(waiting);
            return self.ask(round);
        };
        waiting.strong.known(committed);
        let ended = self.complete(&mut waiting);
        drop(waiting);
        self.tell(ended);
    }

    /// Queues reads that need positions to be executed.
    pub fn read_at_least(&self, reads: AtLeastBatch) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            let tokens: Vec<u64> = reads.reads.iter().map(|(_, token)| *token).collect();
            return reads.sink.failed(&tokens);
        }
        waiting.at_least.queue(reads);
        let ended = self.complete(&mut waiting);
        drop(waiting);
        self.tell(ended);
    }

    /// Queues strong reads of a follower. Whoever talks to the members is to be woken afterwards.
    pub fn read_abroad(&self, reads: ReadBatch) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            return reads.sink.failed(&reads.tokens);
        }
        waiting.abroad.queue(reads);
    }

    /// A question to ask a member, if reads wait for one; `again` if the one under way is not going to be answered.
    pub fn ask_abroad(&self, again: bool) -> Option<u64> {
        let abroad = &mut self.waiting.lock().abroad;
        if again { abroad.ask_again() } else { abroad.ask() }
    }

    /// A member has executed everything up to `position`, which includes all that had been acknowledged when it was asked.
    pub fn answered_abroad(&self, question: u64, position: GlobalPosition) {
        let mut waiting = self.waiting.lock();
        for ReadBatch { sink, tokens, queued, deadline } in waiting.abroad.answered(question) {
            let reads = tokens.into_iter().map(|token| (position, token)).collect();
            waiting.at_least.queue(AtLeastBatch { sink, reads, queued, deadline });
        }
        let ended = self.complete(&mut waiting);
        drop(waiting);
        self.tell(ended);
    }

    /// Handles a quorum's answer: `place` was the last committed place of the group that was asked.
    pub fn answered(&self, round: u64, place: u64) {
        let mut waiting = self.waiting.lock();
        let place = place.saturating_sub(u64::from(planted::is(Bug::BarrierOffByOne)));
        waiting.strong.answered(round, place);
        let ended = self.complete(&mut waiting);
        let next = waiting.strong.begin(self.awaited());
        drop(waiting);
        self.tell(ended);
        self.ask(next);
    }

    /// Completes the reads that were waiting for this position.
    pub fn applied(&self, applied: GlobalPosition) {
        if self.wanted.load(SeqCst) <= applied.get() {
            let ended = self.complete(&mut self.waiting.lock());
            self.tell(ended);
        }
    }

    /// Handles deadlines, retries and halted barriers at each tick. `halted` says that the merge has not
    /// moved since the last one.
    pub fn tick(&self, now: Instant, halted: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.strong.is_empty() && waiting.at_least.is_empty() && waiting.abroad.is_empty() {
            return;
        }
        let mut failed = waiting.extract(|deadline| deadline <= now);
        if self.progress.epoch().is_leaderless(self.leaderless_ticks) {
            waiting.strong.extract(|_| true, &mut failed);
        }
        let ended = Ended { failed, ..self.complete(&mut waiting) };
        let round = waiting.strong.tick(self.awaited(), halted);
        drop(waiting);
        self.metrics.reads_failed.inc_by(ended.failed.iter().map(|reads| reads.tokens.len() as u64).sum());
        self.tell(ended);
        self.ask(round);
    }

    /// Removes the reads that may be completed. The wanted position is published before the last check of how
    /// far execution is, and execution publishes its progress before it checks the wanted position: so one of
    /// the two sees the other.
    fn complete(&self, waiting: &mut WaitingReads) -> Ended {
        let wanted = waiting.wanted();
        let early = planted::is(Bug::WishAfterLook).then(|| self.progress.applied.load(SeqCst));
        self.wanted.store(wanted, SeqCst);
        let applied = early.unwrap_or_else(|| self.progress.applied.load(SeqCst));
        if wanted > applied {
            return Ended::default();
        }
        let applied = GlobalPosition::new(applied);
        let mut readable = Vec::new();
        waiting.strong.release(applied, &mut readable);
        let early = planted::is(Bug::AtLeastSaysItsWish) && readable.is_empty();
        let applied = GlobalPosition::new(applied.get() + u64::from(early));
        waiting.at_least.release(applied, &mut readable);
        self.wanted.store(waiting.wanted(), SeqCst);
        Ended { readable, applied, failed: Vec::new() }
    }

    /// Notifies those who wait. No lock is held here.
    fn tell(&self, ended: Ended) {
        for reads in ended.failed {
            if !planted::is(Bug::ReadFailureNotTold) {
                reads.sink.failed(&reads.tokens);
            }
        }
        let diverged = self.progress.divergence.is_diverged();
        for reads in ended.readable {
            if diverged {
                // They were queued before this server was known to have diverged.
                self.metrics.reads_failed.inc_by(reads.tokens.len() as u64);
                reads.sink.failed(&reads.tokens);
                continue;
            }
            self.metrics.read_wait.observe(reads.queued.elapsed().as_secs_f64());
            reads.sink.readable(&reads.tokens, ended.applied);
        }
    }

    /// It is decided that the epoch ends after this round, of which nothing has been executed yet.
    pub fn end_is_known(&self, last_round: u64) {
        if !planted::is(Bug::EpochEndForgottenByReads) {
            self.waiting.lock().strong.end_is_known(last_round);
        }
    }

    /// The merge has come to the end of the epoch, its round `last_round`, and goes on with `next`. Whoever looks at the epoch
    /// under the lock sees that of the waiting reads.
    pub fn end_epoch(&self, last_round: u64, next: Arc<EpochProgress>) {
        let mut waiting = self.waiting.lock();
        if !planted::is(Bug::BarriersOfEndedEpoch) {
            waiting.strong.end_epoch(last_round, next.layout);
        }
        self.progress.epoch().is_followed_by(next);
        let ended = self.complete(&mut waiting);
        let round = waiting.strong.begin(self.awaited());
        drop(waiting);
        self.tell(ended);
        self.ask(round);
    }

    /// The merge goes on with a received snapshot of the last one of the epochs that begin with `next`: all reads are asked
    /// again.
    pub fn leave_epoch(&self, next: Arc<EpochProgress>) {
        let mut waiting = self.waiting.lock();
        self.progress.epoch().is_followed_by(next);
        waiting.strong.leave_epoch(self.progress.epoch().layout);
        let round = waiting.strong.begin(self.awaited());
        drop(waiting);
        self.ask(round);
    }

    /// Ends all waiting, since the server stops.
    pub fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let failed = waiting.extract(|_| true);
        drop(waiting);
        self.tell(Ended { failed, ..Ended::default() });
    }

    fn awaited(&self) -> GroupId {
        GroupId::new(self.progress.epoch().awaited.load(SeqCst) as u16 + 1)
    }

    fn ask(&self, round: Option<Round>) {
        // If an epoch has ended in between, its reads are asked again, and this round is unknown.
        let group = |round: Round| self.progress.epoch().groups.get(round.group.index());
        if let Some((round, group)) = round.and_then(|round| Some((round, group(round)?))) {
            group.send(Mail::AskRead(round.id));
        }
    }
}

impl WaitingReads {
    /// Removes the reads for whose deadline `gone` returns true.
    fn extract(&mut self, mut gone: impl FnMut(Instant) -> bool) -> Vec<ReadBatch> {
        let mut out = Vec::new();
        self.strong.extract(|reads: &ReadBatch| gone(reads.deadline), &mut out);
        self.at_least.extract(&mut gone, &mut out);
        self.abroad.extract(gone, &mut out);
        out
    }

    /// Lowest position whose execution completes a read.
    fn wanted(&self) -> u64 {
        let below = |barrier: GlobalPosition| barrier.get().saturating_sub(1);
        let strong = self.strong.next_barrier().map_or(u64::MAX, below);
        strong.min(self.at_least.wanted().map_or(u64::MAX, GlobalPosition::get))
    }
}

#[cfg(test)]
mod tests;
