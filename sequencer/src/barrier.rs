//! Strong reads: whom to ask, and up to where to wait.
//!
//! A strong read must see every write that was acknowledged before it was asked (invariant `read_is_fresh`).
//! One group suffices to tell: ask the leader of any group r for its last committed slot (p, r), confirmed by
//! a quorum after the read was queued (ReadIndex; Raft, section 8). Slot (p + 1, r) was not committed then,
//! so no server had emitted anything at or past it, and whatever was acknowledged lies below. The read waits
//! until every position *below* that *barrier*, `p * R + r`, is applied here.
//!
//! The read must also end, in a cluster where nothing else happens, through every server (invariant
//! `idle_read_is_answered`). That depends on whom to ask. The paper's rule (Deyerl and Distler, PaPoC 2019)
//! has a hole: in an idle cluster with all logs at length p, a read at group r > 1 waits for the slots of round
//! p + 1 that precede its own, which nobody is going to fill, since no log is shorter than another. So the
//! group asked is the one that owns the slot that this server's merge *awaits*: if no log grows, everything
//! below its next slot is emitted already. If the merge halts below a barrier, because that group had gone on
//! by the time it answered, or had skipped ahead, ask the group awaited now. Where that one is busy the merge moves on, entry by
//! entry, towards a barrier that may be a thousand rounds away: so ask it as well when the merge has not come there in
//! two ticks.
//!
//! A round asks for all reads that were queued before it began, so that any number of reads costs one quorum
//! round at a time.

use std::collections::VecDeque;

use crate::layout::{GlobalPosition, GroupId, Layout, Slot};

/// How many rounds without an answer are remembered, in case that it still comes. Each is asked a retry
/// interval after the one before, and by the eighth the first answer is lost rather than late.
const ROUNDS_REMEMBERED: usize = 8;

/// For so long reads wait for a merge that moves, before another group is asked for a nearer barrier.
const PATIENCE_TICKS: u32 = 2;

/// A question to be put to the leader of `group`: which is your last committed slot, confirmed by a quorum
/// from now on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round {
    /// Names the round, and comes back with its answer; rises from round to round.
    pub id: u64,
    /// The group to ask.
    pub group: GroupId,
}

/// Reads that were queued between the same two rounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cohort<T> {
    /// The first round that began after they were queued: its answer serves them, and so does every later
    /// one's.
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

/// The strong reads of one server that wait for their barrier. `T` is a batch of reads of one caller; it is
/// not looked into.
///
/// [`queue`](ReadBarriers::queue), [`answered`](ReadBarriers::answered) and [`tick`](ReadBarriers::tick) feed
/// it; after each of them, [`begin`](ReadBarriers::begin) may have a round to ask.
/// [`release`](ReadBarriers::release) hands out what may be read. A round whose question or answer is lost is
/// asked again; only the caller knows deadlines, and takes reads out with [`extract`](ReadBarriers::extract).
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
    retry_ticks: u32,
    /// Reads that no round serves yet.
    forming: Vec<T>,
    /// Reads that a round serves, by rising `first_round`. An answer that serves a cohort serves all older
    /// ones too, so their barriers rise likewise, and those without one are last.
    cohorts: VecDeque<Cohort<T>>,
    /// The latest rounds without an answer, oldest first.
    rounds: VecDeque<Round>,
    in_flight: Option<Flight>,
    /// Ticks since the last round was asked, or since nobody waited.
    waited_ticks: u32,
    last_id: u64,
}

impl<T> ReadBarriers<T> {
    /// No reads yet. A round is asked again after `retry_ticks` ticks without an answer: some heartbeats, by
    /// which an answer that comes at all has come. Panics on 0.
    #[must_use]
    pub fn new(layout: Layout, retry_ticks: u32) -> Self {
        assert!(retry_ticks >= 1, "a round needs time to be answered");
        Self {
            layout,
            retry_ticks,
            forming: Vec::new(),
            cohorts: VecDeque::new(),
            rounds: VecDeque::new(),
            in_flight: None,
            waited_ticks: 0,
            last_id: 0,
        }
    }

    /// Adds reads. The next round that begins serves them.
    pub fn queue(&mut self, reads: T) {
        self.forming.push(reads);
    }

    /// The round to ask now, of the group that owns the slot which this server's merge awaits. `None` if no
    /// reads have been queued since the last round, or while others still depend on that round's answer: then
    /// the new ones wait, and share the next.
    pub fn begin(&mut self, awaited: GroupId) -> Option<Round> {
        (!self.forming.is_empty() && !self.wait_for_answer()).then(|| self.ask(awaited))
    }

    /// Takes a round's answer: `place` is the last committed place of the group asked, 0 if it has none.
    /// Answers to rounds that nobody waits for, or that never were, change nothing.
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
        let reached = |barrier: GlobalPosition| barrier.get() <= applied.get() + 1;
        while let Some(cohort) = self.cohorts.pop_front_if(|cohort| cohort.barrier.is_some_and(reached)) {
            done.extend(cohort.reads);
        }
    }

    /// Passes a tick, and says which round to ask now, if any: the last one again if its answer is overdue,
    /// or another if reads wait below their barrier for a merge that is `halted`, which is one that has not
    /// moved since the tick before, or have waited for some ticks. It asks the group `awaited` now, under a new id, and serves
    /// all reads queued by now; answers to earlier rounds still count.
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

    /// Moves to `out` the reads for which `gone` says yes, such as those past their deadline. Costs O(batches).
    pub fn extract(&mut self, mut gone: impl FnMut(&T) -> bool, out: &mut Vec<T>) {
        out.extend(self.forming.extract_if(.., |reads| gone(reads)));
        self.cohorts.retain_mut(|cohort| {
            out.extend(cohort.reads.extract_if(.., |reads| gone(reads)));
            !cohort.reads.is_empty()
        });
    }

    /// The least barrier that reads wait for.
    #[must_use]
    pub fn next_barrier(&self) -> Option<GlobalPosition> {
        self.cohorts.front().and_then(|cohort| cohort.barrier)
    }

    /// Whether no reads wait, neither for a round nor for a barrier.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forming.is_empty() && self.cohorts.is_empty()
    }

    /// Whether there are reads that a round serves, but none has answered.
    fn wait_for_answer(&self) -> bool {
        self.cohorts.back().is_some_and(|cohort| cohort.barrier.is_none())
    }

    /// Begins a round, which serves all that has been queued.
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
