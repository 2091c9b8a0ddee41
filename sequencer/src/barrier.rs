//! Strong reads: which group to ask, and how far to wait.
//!
//! A strong read must see every write that was acknowledged before the read arrived (invariant
//! `read_is_fresh`). Asking one group suffices: any group r's leader reports its last committed slot (p, r),
//! confirmed by a quorum after the read was queued (ReadIndex; Raft, section 8). Slot (p + 1, r) was not
//! committed then, so no server had emitted anything at or past it, and everything acknowledged is below it.
//! The read waits until every position *below* that *barrier*, `p * R + r`, is applied here.
//!
//! The read must also complete through every server of a cluster where nothing else happens (invariant
//! `idle_read_is_answered`). That depends on which group is asked. The paper's rule (Deyerl and Distler,
//! PaPoC 2019) has a gap: in an idle cluster whose logs all have length p, a read at group r > 1 waits for
//! the slots of round p + 1 before its own. Nobody will fill them, since no log is shorter than another. So
//! ask the group that owns the slot which this server's merge *awaits*: if no log grows, everything below
//! that group's next slot has been emitted already.
//!
//! The merge can halt below a barrier, because the group's log had grown by the time it answered, or had
//! skipped ahead. Then ask the group that is awaited now. If that group is busy, the merge creeps, entry by
//! entry, towards a barrier that may be a thousand rounds away. So ask also if the merge has not reached the
//! barrier within two ticks.
//!
//! A round asks on behalf of all reads that were queued before it started, so any number of reads costs one
//! quorum round at a time.

use std::collections::VecDeque;

use crate::layout::{GlobalPosition, GroupId, Layout, Slot};

/// How many rounds without an answer are remembered in case the answer still arrives. Each starts a retry
/// interval after the one before, so by the eighth round the first answer is lost rather than late.
const ROUNDS_REMEMBERED: usize = 8;

/// How long reads wait for a moving merge before another group is asked for a nearer barrier.
const PATIENCE_TICKS: u32 = 2;

/// A question for the leader of `group`: which is your last committed slot, confirmed by a quorum from now
/// on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round {
    /// Number of the round, which its answer repeats; rises from round to round.
    pub id: u64,
    /// The group to ask.
    pub group: GroupId,
}

/// Reads that were queued between the same two rounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cohort<T> {
    /// The first round that started after they were queued: its answer serves them, and so does that of every
    /// later round.
    first_round: u64,
    /// The least barrier of all answers so far.
    barrier: Option<GlobalPosition>,
    reads: Vec<T>,
}

/// The latest round, while it has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flight {
    id: u64,
    ticks: u32,
}

/// The strong reads of one server that wait for their barrier. `T` is a batch of reads of one caller, and
/// opaque.
///
/// [`queue`](ReadBarriers::queue), [`answered`](ReadBarriers::answered) and [`tick`](ReadBarriers::tick) feed
/// it; after each of them, [`begin`](ReadBarriers::begin) may return a round to ask.
/// [`release`](ReadBarriers::release) returns reads that may proceed. A round whose question or answer is
/// lost is retried. Only the caller knows deadlines, and removes reads with
/// [`extract`](ReadBarriers::extract).
///
/// ```
/// use niagara_sequencer::{GlobalPosition, GroupId, Layout, ReadBarriers};
///
/// let mut reads = ReadBarriers::new(Layout::new(3), 20);
/// reads.queue("GET x");
/// reads.queue("GET y");
/// // The merge awaits a slot of group 2, so that is the group to ask.
/// let round = reads.begin(GroupId::new(2)).expect("reads wait, and no round is in flight");
///
/// // Its leader says: my last committed slot is (4, 2). Then (5, 2), at position 14, is the first that may be missing.
/// reads.answered(round.id, 4);
/// let mut done = Vec::new();
/// reads.release(GlobalPosition::new(12), &mut done);
/// assert!(done.is_empty());
/// reads.release(GlobalPosition::new(13), &mut done);
/// assert_eq!(done, ["GET x", "GET y"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadBarriers<T> {
    layout: Layout,
    /// The last position of the epoch, once that is decided. No barrier above it is ever reached.
    end: Option<GlobalPosition>,
    retry_ticks: u32,
    /// Reads that no round serves yet.
    forming: Vec<T>,
    /// Reads that a round serves, by rising `first_round`. An answer that serves a cohort also serves all
    /// older ones, so their barriers rise likewise, and those without a barrier are last.
    cohorts: VecDeque<Cohort<T>>,
    /// The latest rounds without an answer, oldest first.
    rounds: VecDeque<Round>,
    in_flight: Option<Flight>,
    /// Ticks since the last round was asked, or since no read waited.
    waited_ticks: u32,
    last_id: u64,
}

impl<T> ReadBarriers<T> {
    /// Starts without reads. A round is retried after `retry_ticks` ticks without an answer. Choose several
    /// heartbeats, enough for any answer that was not lost. Panics on 0.
    #[must_use]
    pub fn new(layout: Layout, retry_ticks: u32) -> Self {
        assert!(retry_ticks >= 1, "a round needs time to be answered");
        Self {
            layout,
            end: None,
            retry_ticks,
            forming: Vec::new(),
            cohorts: VecDeque::new(),
            rounds: VecDeque::new(),
            in_flight: None,
            waited_ticks: 0,
            last_id: 0,
        }
    }

    /// Adds reads. The next round to start serves them.
    pub fn queue(&mut self, reads: T) {
        self.forming.push(reads);
    }

    /// The round to ask now, of the group that owns the slot which this server's merge awaits. `None` if no
    /// reads have been queued since the last round, or while others still depend on that round's answer: then
    /// the new ones wait, and share the next round.
    pub fn begin(&mut self, awaited: GroupId) -> Option<Round> {
        (!self.forming.is_empty() && !self.wait_for_answer()).then(|| self.ask(awaited))
    }

    /// Serves all reads queued so far without a question: a quorum has confirmed beforehand that the group's
    /// leader still leads now, and `committed` is its last committed slot, with place 0 if it has none. The
    /// same as a round that is answered at once.
    pub fn known(&mut self, committed: Slot) {
        let round = self.ask(committed.group);
        self.answered(round.id, committed.place);
    }

    /// Takes a round's answer: `place` is the last committed place of the group asked, 0 if it has none.
    /// Answers to unknown rounds, and to rounds that no read waits for, change nothing.
    pub fn answered(&mut self, id: u64, place: u64) {
        let at = self.rounds.iter().position(|round| round.id == id);
        let Some(Round { group, .. }) = at.and_then(|at| self.rounds.remove(at)) else { return };
        let barrier = self.layout.barrier_above(Slot { place, group });
        let served = self.cohorts.partition_point(|cohort| cohort.first_round <= id);
        for cohort in self.cohorts.range_mut(..served).rev() {
            if cohort.barrier.is_some_and(|least| least <= barrier) {
                break; // All older ones have at most the same.
            }
            cohort.barrier = Some(barrier);
        }
        self.in_flight = self.in_flight.filter(|flight| flight.id != id);
    }

    /// Moves to `done` the reads whose barrier is reached: every position below it is applied, up to
    /// `applied`.
    pub fn release(&mut self, applied: GlobalPosition, done: &mut Vec<T>) {
        let end = self.end;
        let reached = |barrier: GlobalPosition| {
            barrier.get() <= applied.get() + 1 && end.is_none_or(|end| barrier <= end)
        };
        while let Some(cohort) = self.cohorts.pop_front_if(|cohort| cohort.barrier.is_some_and(reached)) {
            done.extend(cohort.reads);
        }
    }

    /// Passes a tick. Returns the round to ask now, if any: the last one again if its answer is overdue, or
    /// another if reads wait below their barrier for a `halted` merge, one that has not moved since the
    /// previous tick, or have waited for some ticks. That one asks the group `awaited` now, under a new id,
    /// and serves all reads queued so far; answers to earlier rounds still count.
    pub fn tick(&mut self, awaited: GroupId, halted: bool) -> Option<Round> {
        let overdue = self.in_flight.as_mut().is_none_or(|flight| {
            flight.ticks += 1;
            flight.ticks >= self.retry_ticks
        });
        self.waited_ticks = if self.cohorts.is_empty() { 0 } else { self.waited_ticks + 1 };
        let stuck = halted && !self.cohorts.is_empty() || self.waited_ticks > PATIENCE_TICKS;
        let wanted = stuck || self.wait_for_answer() || !self.forming.is_empty();
        (overdue && wanted).then(|| self.ask(awaited))
    }

    /// Moves to `out` the reads for which `gone` returns true, such as those past their deadline. Costs
    /// O(batches).
    pub fn extract(&mut self, mut gone: impl FnMut(&T) -> bool, out: &mut Vec<T>) {
        out.extend(self.forming.extract_if(.., |reads| gone(reads)));
        self.cohorts.retain_mut(|cohort| {
            out.extend(cohort.reads.extract_if(.., |reads| gone(reads)));
            !cohort.reads.is_empty()
        });
    }

    /// The least barrier that reads wait for; `None` if none waits for one.
    #[must_use]
    pub fn next_barrier(&self) -> Option<GlobalPosition> {
        self.cohorts.front().and_then(|cohort| cohort.barrier)
    }

    /// Whether no reads wait, neither for a round nor for a barrier.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forming.is_empty() && self.cohorts.is_empty()
    }

    /// Whether a round serves reads, but none has been answered.
    fn wait_for_answer(&self) -> bool {
        self.cohorts.back().is_some_and(|cohort| cohort.barrier.is_none())
    }

    /// The epoch will end after `last_round`. Call it before anything up to there is executed: a barrier above the end bounds
    /// nothing, since commands may be acknowledged in the next epoch, at the very position, before the read comes.
    ///
    /// ```
    /// use niagara_sequencer::{GlobalPosition, GroupId, Layout, ReadBarriers};
    ///
    /// let mut reads = ReadBarriers::new(Layout::new(2), 20);
    /// reads.end_is_known(3);
    /// reads.queue("GET x");
    /// let round = reads.begin(GroupId::new(1)).expect("a read waits");
    /// reads.answered(round.id, 3);
    /// let mut done = Vec::new();
    /// reads.release(GlobalPosition::new(6), &mut done);
    /// assert!(done.is_empty(), "position 7 may have been acknowledged elsewhere");
    /// ```
    pub fn end_is_known(&mut self, last_round: u64) {
        self.end = Some(self.layout.round_end(last_round));
    }

    /// The epoch ends after `last_round`, and `next` is the layout of the following one. Reads whose barrier is within the epoch
    /// wait for it as before. The others are asked again: what a group of the ended epoch says about its void slots bounds
    /// nothing in the next one, where commands may have been acknowledged before the read came. Answers that are still on their
    /// way are ignored, for the same reason. Whoever calls it at the end of an epoch asks [`begin`](ReadBarriers::begin) next.
    ///
    /// ```
    /// use niagara_sequencer::{GlobalPosition, GroupId, Layout, ReadBarriers};
    ///
    /// let mut reads = ReadBarriers::new(Layout::new(2), 20);
    /// reads.queue("GET x");
    /// let round = reads.begin(GroupId::new(1)).expect("a read waits");
    /// // The epoch's last round is 3, but the log of group 1 goes on to place 5.
    /// reads.answered(round.id, 5);
    ///
    /// let next = Layout::above(GlobalPosition::new(6), 4);
    /// reads.end_epoch(3, next);
    /// assert_eq!(reads.next_barrier(), None);
    /// let again = reads.begin(GroupId::new(1)).expect("it is asked again, of a group of the next epoch");
    /// reads.answered(again.id, 0);
    /// assert_eq!(reads.next_barrier(), Some(GlobalPosition::new(7)));
    /// ```
    pub fn end_epoch(&mut self, last_round: u64, next: Layout) {
        let end = self.layout.round_end(last_round);
        assert_eq!(next.base(), end, "global_prefix: an epoch begins where the one before it ends");
        let within =
            self.cohorts.partition_point(|cohort| cohort.barrier.is_some_and(|barrier| barrier <= end));
        self.ask_again_from(within, next);
    }

    /// The server goes on with an epoch of the layout `next`, from a snapshot, without having come to the end of its own. All
    /// reads are asked again: nobody knows which of their barriers are positions of what was executed.
    pub fn leave_epoch(&mut self, next: Layout) {
        self.ask_again_from(0, next);
    }

    fn ask_again_from(&mut self, within: usize, next: Layout) {
        let asked_again = self.cohorts.drain(within..).flat_map(|cohort| cohort.reads);
        self.forming = asked_again.chain(std::mem::take(&mut self.forming)).collect();
        self.rounds.clear();
        self.in_flight = None;
        self.waited_ticks = 0;
        self.layout = next;
        self.end = None;
    }

    /// Starts a round, which serves all queued reads.
    fn ask(&mut self, group: GroupId) -> Round {
        self.last_id += 1;
        let round = Round { id: self.last_id, group };
        if !self.forming.is_empty() {
            let reads = std::mem::take(&mut self.forming);
            self.cohorts.push_back(Cohort { first_round: round.id, barrier: None, reads });
        }
        if self.rounds.len() == ROUNDS_REMEMBERED {
            self.rounds.pop_front();
        }
        self.rounds.push_back(round);
        self.in_flight = Some(Flight { id: round.id, ticks: 0 });
        self.waited_ticks = 0;
        round
    }
}

#[cfg(test)]
mod tests;
