//! Commands on their way into one group's log: this server's lane, and what other servers forwarded.

use crate::batch::SubBatch;
use crate::forwarded::Forwarded;
use crate::lane_source::LaneSource;
use crate::own_lane::OwnLane;

/// The most sub-batches that share an entry: they keep its context below 64 KiB.
pub const MOST_SUB_BATCHES: usize = 1024;

/// This server's lane in one group, and commands forwarded from other servers' lanes.
#[derive(Debug)]
pub(crate) struct Intake {
    pub own: OwnLane,
    pub forwarded: Forwarded,
}

impl Intake {
    /// Whether the lane, its queue included, or the forwarded commands have something to send.
    pub fn has_work(&self, source: &impl LaneSource) -> bool {
        self.own.has_work(source) || !self.forwarded.is_empty()
    }

    /// Bytes of the commands that wait.
    pub fn waiting_bytes(&self, source: &impl LaneSource) -> usize {
        self.own.waiting_bytes(source) + self.forwarded.bytes()
    }

    /// The next commands for one entry: about `max_bytes`, from the lane and the forwarded ones in turn.
    pub fn cut(&mut self, source: &mut impl LaneSource, max_bytes: usize) -> Vec<SubBatch> {
        let mut entry = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes && entry.len() + 1 < MOST_SUB_BATCHES {
            let before = entry.len();
            if let Some(own) = self.own.next(source, max_bytes - bytes, bytes == 0) {
                bytes += own.body.len();
                entry.push(own);
            }
            let room = max_bytes.checked_sub(bytes);
            if let Some(forwarded) = room.and_then(|room| self.forwarded.next(room, bytes == 0)) {
                bytes += forwarded.body.len();
                entry.push(forwarded);
            }
            if entry.len() == before {
                break;
            }
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::*;
    use crate::batch::{SUB_BATCH_HEAD, Span};
    use crate::own_lane::Signs;

    struct Queue(VecDeque<SubBatch>);

    impl LaneSource for Queue {
        fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        fn bytes(&self) -> usize {
            self.0.iter().map(|batch| batch.body.len()).sum()
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

    fn intake(limit: usize) -> Intake {
        Intake { own: OwnLane::new(10), forwarded: Forwarded::new(limit) }
    }

    fn batch(server: u64, attempt: u32, first: u64, bytes: usize) -> SubBatch {
        let span = Span { server, incarnation: 1, lane: 0, attempt, first, count: 1 };
        SubBatch { span, lone: true, body: Bytes::from(vec![0; bytes]) }
    }

    #[test]
    fn what_was_sent_stays_until_executed_and_goes_again_in_order() {
        let mut intake = intake(1000);
        let mut queue = Queue((1..=3).map(|first| batch(1, 0, first, 10)).collect());
        assert_eq!(intake.cut(&mut queue, 25).iter().map(|b| b.span.first).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(intake.own.sent_bytes(), 20);
        intake.own.executed(2);
        assert_eq!(intake.own.sent_bytes(), 10);
        intake.own.lost(0);
        let signs =
            Signs { now: 1, next_command: 2, gap_attempt: None, leader: (1, 2), is_out_of_sight: false };
        assert!(intake.own.resend_if_lost(&signs));
        assert!(!intake.own.resend_if_lost(&signs), "once is enough");
        let again = intake.cut(&mut queue, 100);
        assert_eq!(
            again.iter().map(|b| (b.span.first, b.span.attempt)).collect::<Vec<_>>(),
            [(2, 1), (3, 1)]
        );
        assert!(!intake.has_work(&queue));
    }

    #[test]
    fn own_and_forwarded_commands_share_an_entry() {
        let mut intake = intake(100);
        let mut queue = Queue([batch(1, 0, 1, 10), batch(1, 0, 2, 10)].into());
        assert!(intake.forwarded.take(batch(2, 0, 1, 10)));
        let servers: Vec<_> = intake.cut(&mut queue, 1000).iter().map(|b| b.span.server).collect();
        assert_eq!(servers, [1, 2, 1]);
    }

    #[test]
    fn a_later_attempt_replaces_what_waits_and_a_full_queue_refuses() {
        let mut intake = intake(25 + 2 * SUB_BATCH_HEAD);
        assert!(intake.forwarded.take(batch(2, 0, 1, 10)));
        assert!(intake.forwarded.take(batch(2, 0, 2, 10)));
        assert!(!intake.forwarded.take(batch(3, 0, 1, 10)));
        assert!(intake.forwarded.take(batch(2, 1, 1, 10)));
        assert_eq!(intake.forwarded.drop_all().len(), 1);
    }

    #[test]
    fn a_forwarded_one_beyond_the_bound_is_taken_if_it_is_alone() {
        let mut intake = intake(100);
        assert!(intake.forwarded.take(batch(2, 0, 1, 500)));
        assert!(!intake.forwarded.take(batch(3, 0, 1, 1)));
        assert!(intake.forwarded.take(batch(2, 1, 1, 500)), "it replaces the one before");
    }

    #[test]
    fn one_larger_than_an_entry_goes_alone() {
        let mut intake = intake(1 << 20);
        let mut queue = Queue([batch(1, 0, 1, 500), batch(1, 0, 2, 10)].into());
        assert_eq!(intake.cut(&mut queue, 100).len(), 1);
        assert_eq!(intake.cut(&mut queue, 100).len(), 1);
    }
}
