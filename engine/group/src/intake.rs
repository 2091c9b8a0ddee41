//! Commands on their way into one group's log: this server's lanes, and what other servers forwarded.

use std::ops::Deref;

use crate::batch::SubBatch;
use crate::config::DriverConfig;
use crate::forwarded::Forwarded;
use crate::lane_source::LaneSource;
use crate::own_lane::OwnLane;

/// The most sub-batches that share an entry: they keep its context below 64 KiB.
pub const MOST_SUB_BATCHES: usize = 1024;

/// This server's lanes in one group, and commands forwarded from other servers' lanes.
///
/// Methods that take `lanes` want the sources of [`DriverConfig::lanes`], in that order.
#[derive(Debug)]
pub(crate) struct Intake {
    numbers: Vec<u16>,
    pub own: Vec<OwnLane>,
    pub forwarded: Forwarded,
    /// Whose turn it is: an index of `own`, or the number of these for the forwarded ones.
    turn: usize,
}

impl Intake {
    /// Nothing is on its way yet.
    pub fn new(config: &DriverConfig) -> Intake {
        let mut intake = Intake {
            numbers: config.lanes.clone(),
            own: config.lanes.iter().map(|_| OwnLane::new(config.election_ticks)).collect(),
            forwarded: Forwarded::new(config.foreign_bytes),
            turn: 0,
        };
        for (number, own) in intake.numbers.iter().zip(&mut intake.own) {
            if *number < config.lanes_before {
                own.hand_over();
            }
        }
        intake
    }

    /// This server's lane with this number, if it belongs to the group.
    pub fn lane(&self, number: u16) -> Option<&OwnLane> {
        self.own.get(self.numbers.iter().position(|own| *own == number)?)
    }

    /// The same, to be changed.
    pub fn lane_mut(&mut self, number: u16) -> Option<&mut OwnLane> {
        self.own.get_mut(self.numbers.iter().position(|own| *own == number)?)
    }

    /// Whether the lanes, their queues included, or the forwarded commands have something to send.
    pub fn has_work<L: Deref<Target: LaneSource>>(&self, lanes: &[L]) -> bool {
        self.own_have_work(lanes) || !self.forwarded.is_empty()
    }

    /// Whether the lanes, their queues included, have something to send.
    pub fn own_have_work<L: Deref<Target: LaneSource>>(&self, lanes: &[L]) -> bool {
        self.own.iter().zip(lanes).any(|(own, lane)| own.has_work(lane.deref()))
    }

    /// Bytes of the commands that wait.
    pub fn waiting_bytes<L: Deref<Target: LaneSource>>(&self, lanes: &[L]) -> usize {
        let own = self.own.iter().zip(lanes).map(|(own, lane)| own.waiting_bytes(lane.deref()));
        own.sum::<usize>() + self.forwarded.bytes()
    }

    /// Takes the lanes away, in the order of their numbers in the configuration.
    pub fn hand_over(&mut self) -> Vec<OwnLane> {
        self.own.iter_mut().map(OwnLane::hand_over).collect()
    }

    /// Goes on with a lane that comes from a group of the epoch before.
    pub fn adopt(&mut self, number: u16, lane: OwnLane) {
        let mine = self.lane_mut(number).expect("lanes go to the groups that take them");
        *mine = lane.moved();
    }

    /// Bytes that the lanes have sent in their present attempts and that are not executed yet.
    pub fn sent_bytes(&self) -> usize {
        self.own.iter().map(OwnLane::sent_bytes).sum()
    }

    /// Whether a new attempt of any lane is about to start.
    pub fn is_about_to_resend(&self) -> bool {
        self.own.iter().any(OwnLane::is_about_to_resend)
    }

    /// Drops what has been executed.
    pub fn executed<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L]) {
        self.own.iter_mut().zip(lanes).for_each(|(own, lane)| own.executed(lane.next_command()));
    }

    /// Notes that nothing of what was proposed has arrived.
    pub fn lost(&mut self, now: u64) {
        self.own.iter_mut().for_each(|own| own.lost(now));
    }

    /// Notes that what was sent may not have arrived.
    pub fn sent_is_lost(&mut self, now: u64) {
        self.own.iter_mut().filter(|own| own.has_sent()).for_each(|own| own.lost(now));
    }

    /// The next commands for one entry: about `max_bytes`, from the lanes and the forwarded ones in turn.
    pub fn cut<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L], max_bytes: usize) -> Vec<SubBatch> {
        let mut entry = Vec::new();
        let (mut bytes, mut idle) = (0, 0);
        while bytes < max_bytes && entry.len() < MOST_SUB_BATCHES && idle <= self.own.len() {
            let (room, any_size) = (max_bytes - bytes, bytes == 0);
            let next = match self.own.get_mut(self.turn) {
                Some(own) => own.next(&*lanes[self.turn], room, any_size),
                None => self.forwarded.next(room, any_size),
            };
            self.turn = (self.turn + 1) % (self.own.len() + 1);
            idle = if next.is_some() { 0 } else { idle + 1 };
            bytes += next.as_ref().map_or(0, |batch| batch.body.len());
            entry.extend(next);
        }
        entry
    }

    /// The next sub-batch of a lane, of any size, from the lanes in turn.
    pub fn next_own<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L], room: usize) -> Option<SubBatch> {
        for _ in 0..=self.own.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % (self.own.len() + 1);
            let next = self.own.get_mut(turn).and_then(|own| own.next(&*lanes[turn], room, true));
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::*;
    use crate::batch::{SUB_BATCH_HEAD, Span};
    use crate::own_lane::Signs;

    struct Queue(RefCell<VecDeque<SubBatch>>);

    fn queue<const COUNT: usize>(batches: [SubBatch; COUNT]) -> Queue {
        Queue(RefCell::new(batches.into()))
    }

    impl LaneSource for Queue {
        fn is_empty(&self) -> bool {
            self.0.borrow().is_empty()
        }
        fn bytes(&self) -> usize {
            self.0.borrow().iter().map(|batch| batch.body.len()).sum()
        }
        fn take(&self, max_bytes: usize, out: &mut Vec<SubBatch>) {
            let mut bytes = 0;
            while let Some(batch) =
                self.0.borrow_mut().pop_front_if(|batch| bytes == 0 || bytes + batch.body.len() <= max_bytes)
            {
                bytes += batch.body.len();
                out.push(batch);
            }
        }
        fn next_command(&self) -> u64 {
            2
        }
        fn gap_attempt(&self) -> Option<u32> {
            None
        }
    }

    fn intake(limit: usize) -> Intake {
        intake_of(vec![0], limit)
    }

    fn intake_of(lanes: Vec<u16>, foreign_bytes: usize) -> Intake {
        Intake::new(&DriverConfig { lanes, foreign_bytes, ..DriverConfig::small() })
    }

    fn batch(server: u64, attempt: u32, first: u64, bytes: usize) -> SubBatch {
        let span = Span { server, incarnation: 1, lane: 0, attempt, first, count: 1 };
        SubBatch { span, lone: true, body: Bytes::from(vec![0; bytes]) }
    }

    #[test]
    fn what_was_sent_stays_until_executed_and_goes_again_in_order() {
        let mut intake = intake(1000);
        let queue = queue([1, 2, 3].map(|first| batch(1, 0, first, 10)));
        assert_eq!(intake.cut(&[&queue], 25).iter().map(|b| b.span.first).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(intake.sent_bytes(), 20);
        intake.executed(&[&queue]);
        assert_eq!(intake.sent_bytes(), 10);
        intake.lost(0);
        let signs =
            Signs { now: 1, next_command: 2, gap_attempt: None, leader: (1, 2), is_out_of_sight: false };
        assert!(intake.own[0].resend_if_lost(&signs));
        assert!(!intake.own[0].resend_if_lost(&signs), "once is enough");
        let again = intake.cut(&[&queue], 100);
        assert_eq!(
            again.iter().map(|b| (b.span.first, b.span.attempt)).collect::<Vec<_>>(),
            [(2, 1), (3, 1)]
        );
        assert!(!intake.has_work(&[&queue]));
    }

    #[test]
    fn own_and_forwarded_commands_share_an_entry() {
        let mut intake = intake(100);
        let queue = queue([batch(1, 0, 1, 10), batch(1, 0, 2, 10)]);
        assert!(intake.forwarded.take(batch(2, 0, 1, 10)));
        let servers: Vec<_> = intake.cut(&[&queue], 1000).iter().map(|b| b.span.server).collect();
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
        let queue = queue([batch(1, 0, 1, 500), batch(1, 0, 2, 10)]);
        assert_eq!(intake.cut(&[&queue], 100).len(), 1);
        assert_eq!(intake.cut(&[&queue], 100).len(), 1);
    }

    #[test]
    fn lanes_and_forwarded_commands_take_turns_however_full_they_are() {
        let mut intake = intake_of(vec![1, 4], 1000);
        let of = |lane, first| {
            let batch = batch(1, 0, first, 100);
            SubBatch { span: Span { lane, ..batch.span }, ..batch }
        };
        let queues = [queue([of(1, 1), of(1, 2)]), queue([of(4, 1), of(4, 2)])];
        let lanes = [&queues[0], &queues[1]];
        assert!(intake.forwarded.take(batch(2, 0, 1, 100)));
        let mut cut = || intake.cut(&lanes, 100).pop().map(|batch| (batch.span.server, batch.span.lane));
        let taken: Vec<_> = std::iter::from_fn(&mut cut).collect();
        assert_eq!(taken, [(1, 1), (1, 4), (2, 0), (1, 1), (1, 4)]);
        assert_eq!(intake.lane(4).map(OwnLane::sent_bytes), Some(200));
        assert!(intake.lane(0).is_none(), "it belongs to another group");
    }

    #[test]
    fn a_lane_goes_on_with_another_group_in_a_new_attempt() {
        let queue = queue([1, 2, 3].map(|first| batch(1, 0, first, 10)));
        let (mut old, mut new) = (intake(1000), intake(1000));
        new.hand_over();
        assert!(!new.has_work(&[&queue]) && new.cut(&[&queue], 100).is_empty(), "not yet");
        assert_eq!(old.cut(&[&queue], 20).len(), 2);
        old.executed(&[&queue]);
        for lane in old.hand_over() {
            new.adopt(0, lane);
        }
        assert!(!old.has_work(&[&queue]) && old.sent_bytes() == 0);
        assert_eq!(old.lane(0).map(OwnLane::taken_end), Some(3), "its log may show up to here");
        let sent: Vec<_> = new.cut(&[&queue], 100).iter().map(|b| (b.span.first, b.span.attempt)).collect();
        assert_eq!(sent, [(2, 1), (3, 1)]);
    }

    #[test]
    fn a_lane_that_is_refused_says_nothing_about_another() {
        let mut intake = intake_of(vec![0, 1], 1000);
        let forwarded = |lane, attempt| {
            let batch = batch(2, attempt, 1, 10);
            SubBatch { span: Span { lane, ..batch.span }, ..batch }
        };
        assert!(intake.forwarded.take(forwarded(0, 0)) && intake.forwarded.take(forwarded(1, 0)));
        assert!(intake.forwarded.take(forwarded(1, 1)), "it replaces what its own lane sent before");
        let left: Vec<_> = intake.forwarded.drop_all().iter().map(|span| (span.lane, span.attempt)).collect();
        assert_eq!(left, [(0, 0), (1, 1)]);
        intake.lane_mut(1).unwrap().lost(3);
        assert!(intake.is_about_to_resend() && !intake.lane(0).unwrap().is_about_to_resend());
    }
}
