//! The commands on their way into one group's log: this server's lane, and what other servers forwarded.
//!
//! A command of the lane stays here until it has been executed, since a leader change can lose it on the way; then the
//! whole rest of the lane is sent again, and the ledger at execution sorts out what came twice.

use std::collections::VecDeque;

use super::lane_source::LaneSource;
use crate::batch::{SUB_BATCH_HEAD, Span, SubBatch};
use crate::planted::{self, Bug};

/// Most sub-batches that share an entry, so that an entry's context keeps within 64 KiB.
pub const MOST_SUB_BATCHES: usize = 1024;

/// The lane of this server in one group, and the forwarded commands of the others'.
#[derive(Debug)]
pub struct Intake {
    attempt: u32,
    /// Every command of the lane that has not been executed, oldest first; those from `unsent` on were not sent in
    /// this attempt.
    lane: VecDeque<SubBatch>,
    unsent: usize,
    sent_bytes: usize,
    /// The number behind the last command that was taken from the lane.
    taken_end: u64,
    foreign: VecDeque<SubBatch>,
    foreign_bytes: usize,
    foreign_limit: usize,
    taken: Vec<SubBatch>,
}

impl Intake {
    /// `foreign_limit`: how many bytes of forwarded commands may wait.
    pub fn new(foreign_limit: usize) -> Self {
        Intake {
            attempt: 0,
            lane: VecDeque::new(),
            unsent: 0,
            sent_bytes: 0,
            taken_end: 0,
            foreign: VecDeque::new(),
            foreign_bytes: 0,
            foreign_limit,
            taken: Vec::new(),
        }
    }

    /// The attempt that the lane is in.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Bytes of the lane that were sent in this attempt and have not been executed.
    pub fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }

    /// The number behind the last command that has left this server's lane, in this life of the server.
    pub fn taken_end(&self) -> u64 {
        self.taken_end
    }

    /// Whether anything of the lane has been sent and not been executed.
    pub fn has_sent(&self) -> bool {
        self.unsent > 0
    }

    /// Whether the lane (its queue included) or the forwarded commands hold something to send.
    pub fn has_work(&self, source: &impl LaneSource) -> bool {
        self.has_own_work(source) || !self.foreign.is_empty()
    }

    /// Whether the lane (its queue included) holds something to send.
    pub fn has_own_work(&self, source: &impl LaneSource) -> bool {
        self.unsent < self.lane.len() || !source.is_empty()
    }

    /// Everything below number `next` has been executed: it is needed no more.
    pub fn executed(&mut self, next: u64) {
        while let Some(batch) = self.lane.pop_front_if(|batch| batch.end() <= next) {
            if self.unsent > 0 {
                self.unsent -= 1;
                self.sent_bytes -= batch.body.len();
            }
        }
    }

    /// Begins a new attempt: everything of the lane is to be sent again.
    pub fn send_again(&mut self) {
        self.attempt += 1;
        self.unsent = 0;
        self.sent_bytes = 0;
    }

    /// Takes a sub-batch that another server forwarded; `false` if there is no room. One of a later attempt replaces
    /// what waits of the same server's earlier ones. Where none waits, one of any size is taken: it would never be otherwise.
    pub fn forwarded(&mut self, batch: SubBatch) -> bool {
        let newer = |other: &Span| {
            other.server == batch.span.server
                && (other.incarnation, other.attempt) < (batch.span.incarnation, batch.span.attempt)
        };
        if self.foreign.iter().any(|waiting| newer(&waiting.span)) {
            self.foreign.retain(|waiting| !newer(&waiting.span));
            self.foreign_bytes = self.foreign.iter().map(cost).sum();
        }
        let is_alone = self.foreign.is_empty() && !planted::is(Bug::LargeForwardRefused);
        if self.foreign_bytes + cost(&batch) > self.foreign_limit && !is_alone {
            return false;
        }
        self.foreign_bytes += cost(&batch);
        self.foreign.push_back(batch);
        true
    }

    /// Drops the forwarded commands that wait: this server leads no more, and their origin sends them again. Returns
    /// whose they were.
    pub fn drop_forwarded(&mut self) -> Vec<Span> {
        self.foreign_bytes = 0;
        self.foreign.drain(..).map(|batch| batch.span).collect()
    }

    /// The next commands for one entry: about `max_bytes`, the lane and the forwarded ones in turn.
    pub fn cut(&mut self, source: &mut impl LaneSource, max_bytes: usize) -> Vec<SubBatch> {
        let mut entry = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes && entry.len() + 1 < MOST_SUB_BATCHES {
            let before = entry.len();
            if let Some(own) = self.next_own(source, max_bytes - bytes, bytes == 0) {
                bytes += own.body.len();
                entry.push(own);
            }
            let room = |batch: &mut SubBatch| bytes == 0 || bytes + batch.body.len() <= max_bytes;
            if let Some(foreign) = self.foreign.pop_front_if(room) {
                self.foreign_bytes -= cost(&foreign);
                bytes += foreign.body.len();
                entry.push(foreign);
            }
            if entry.len() == before {
                break;
            }
        }
        entry
    }

    /// The lane's next sub-batch that was not sent in this attempt, if it has at most `room` bytes or `any_size` goes.
    pub fn next_own(
        &mut self,
        source: &mut impl LaneSource,
        room: usize,
        any_size: bool,
    ) -> Option<SubBatch> {
        if self.unsent == self.lane.len() && !source.is_empty() {
            source.take(room, &mut self.taken);
            self.taken_end = self.taken.last().map_or(self.taken_end, SubBatch::end);
            self.lane.extend(self.taken.drain(..));
        }
        let batch = self.lane.get_mut(self.unsent).filter(|batch| any_size || batch.body.len() <= room)?;
        batch.span.attempt = self.attempt;
        self.unsent += 1;
        self.sent_bytes += batch.body.len();
        Some(batch.clone())
    }
}

/// What a waiting sub-batch takes: without its head, any number of empty ones would fit.
fn cost(batch: &SubBatch) -> usize {
    SUB_BATCH_HEAD + batch.body.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    struct Queue(VecDeque<SubBatch>);

    impl LaneSource for Queue {
        fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        fn take(&mut self, max_bytes: usize, out: &mut Vec<SubBatch>) {
            let mut bytes = 0;
            while let Some(batch) =
                self.0.pop_front_if(|batch| bytes == 0 || bytes + batch.body.len() <= max_bytes)
            {
                bytes += batch.body.len();
                out.push(batch);
            }
        }
    }

    fn batch(server: u64, attempt: u32, first: u64, bytes: usize) -> SubBatch {
        let span = Span { server, incarnation: 1, lane: 0, attempt, first, count: 1 };
        SubBatch { span, lone: true, body: Bytes::from(vec![0; bytes]) }
    }

    #[test]
    fn what_was_sent_stays_until_executed_and_goes_again_in_order() {
        let mut intake = Intake::new(1000);
        let mut queue = Queue((1..=3).map(|first| batch(1, 0, first, 10)).collect());
        assert_eq!(intake.cut(&mut queue, 25).iter().map(|b| b.span.first).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(intake.sent_bytes(), 20);
        intake.executed(2);
        assert_eq!(intake.sent_bytes(), 10);
        intake.send_again();
        let again = intake.cut(&mut queue, 100);
        assert_eq!(
            again.iter().map(|b| (b.span.first, b.span.attempt)).collect::<Vec<_>>(),
            [(2, 1), (3, 1)]
        );
        assert!(!intake.has_work(&queue));
    }

    #[test]
    fn own_and_forwarded_commands_share_an_entry() {
        let mut intake = Intake::new(100);
        let mut queue = Queue([batch(1, 0, 1, 10), batch(1, 0, 2, 10)].into());
        assert!(intake.forwarded(batch(2, 0, 1, 10)));
        let servers: Vec<_> = intake.cut(&mut queue, 1000).iter().map(|b| b.span.server).collect();
        assert_eq!(servers, [1, 2, 1]);
    }

    #[test]
    fn a_later_attempt_replaces_what_waits_and_a_full_queue_refuses() {
        let mut intake = Intake::new(25 + 2 * SUB_BATCH_HEAD);
        assert!(intake.forwarded(batch(2, 0, 1, 10)));
        assert!(intake.forwarded(batch(2, 0, 2, 10)));
        assert!(!intake.forwarded(batch(3, 0, 1, 10)));
        assert!(intake.forwarded(batch(2, 1, 1, 10)));
        assert_eq!(intake.drop_forwarded().len(), 1);
    }

    #[test]
    fn a_forwarded_one_beyond_the_bound_is_taken_if_it_is_alone() {
        let mut intake = Intake::new(100);
        assert!(intake.forwarded(batch(2, 0, 1, 500)));
        assert!(!intake.forwarded(batch(3, 0, 1, 1)));
        assert!(intake.forwarded(batch(2, 1, 1, 500)), "it replaces the one before");
    }

    #[test]
    fn one_larger_than_an_entry_goes_alone() {
        let mut intake = Intake::new(1 << 20);
        let mut queue = Queue([batch(1, 0, 1, 500), batch(1, 0, 2, 10)].into());
        assert_eq!(intake.cut(&mut queue, 100).len(), 1);
        assert_eq!(intake.cut(&mut queue, 100).len(), 1);
    }
}
