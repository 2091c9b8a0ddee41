use std::time::Duration;

use bytes::BytesMut;

use super::*;
use crate::lane::Origin;
use crate::lane::heard::Heard;
use crate::outcome::DetachedRead;

struct Fixture {
    lane: Lane<u64>,
    heard: Arc<Heard>,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        let queue = LaneQueue::new(Origin { server: 1, incarnation: 1, lane: 0 }, 1 << 10);
        let lane = Lane::new(
            Arc::new(queue),
            LaneLimits { commands: 10, bytes: 100, window: 4, tick: Duration::from_millis(50) },
        );
        Fixture { lane, heard: Arc::default(), start: Instant::now() }
    }

    fn submit(&self, tokens: std::ops::Range<u64>, deadline: u64) -> Result<(), Refused> {
        self.submit_with(tokens, &mut StagedReads::default(), deadline)
    }

    fn submit_with(
        &self,
        tokens: std::ops::Range<u64>,
        reads: &mut StagedReads,
        deadline: u64,
    ) -> Result<(), Refused> {
        let mut tokens: Vec<u64> = tokens.collect();
        let piece = Piece::Framed { body: BytesMut::zeroed(tokens.len()), count: tokens.len() as u32 };
        let deadline = self.start + Duration::from_secs(deadline);
        let submission = Submission {
            pieces: &mut vec![piece],
            bytes: tokens.len(),
            tokens: &mut tokens,
            reads,
            deadline,
        };
        let sink: Arc<dyn Sink<u64>> = Arc::<Heard>::clone(&self.heard);
        self.lane.submit(submission, &sink)
    }

    fn applied(&self, first: u64, count: u64) {
        let mut out = Deliveries::default();
        let replies: Vec<u64> = (first..first + count).collect();
        self.lane.applied(first, GlobalPosition::new(9), replies.into_iter(), &mut out);
        out.deliver();
    }

    fn expire(&self, at: u64) {
        let mut out = Deliveries::default();
        self.lane.expire(self.start + Duration::from_secs(at), &mut out);
        out.deliver();
    }

    /// Tokens completed since the last call, and whether each was applied.
    fn heard(&self) -> Vec<(u64, bool)> {
        let heard = std::mem::take(&mut *self.heard.0.lock());
        let outcome = |completion| match completion {
            Completion::Applied { token, .. } => (token, true),
            Completion::Unknown { token, .. } => (token, false),
            other => panic!("{other:?}"),
        };
        heard.into_iter().map(outcome).collect()
    }
}

#[test]
fn each_command_has_one_outcome_whichever_comes_first() {
    let fixture = Fixture::new();
    fixture.submit(10..13, 5).unwrap();
    fixture.submit(20..22, 6).unwrap();
    fixture.applied(1, 2);
    assert_eq!(fixture.heard(), [(10, true), (11, true)]);
    fixture.expire(5);
    assert_eq!(fixture.heard(), [(12, false)], "the rest of a run whose deadline has passed");
    fixture.applied(3, 2);
    assert_eq!(fixture.heard(), [(20, true)], "12 has been told already");
    fixture.expire(7);
    fixture.applied(5, 1);
    assert_eq!(fixture.heard(), [(21, false)]);
}

#[test]
fn bounds_count_what_has_no_outcome_in_the_log() {
    let fixture = Fixture::new();
    fixture.submit(0..10, 1).unwrap();
    fixture.expire(2);
    assert_eq!(fixture.submit(10..11, 3), Err(Refused::Overloaded), "unknown commands are still in the lane");
    fixture.applied(1, 10);
    fixture.submit(10..11, 3).unwrap();
}

#[test]
fn commands_that_a_snapshot_holds_end_as_unknown_and_later_ones_go_on() {
    let fixture = Fixture::new();
    fixture.submit(0..3, 100).unwrap();
    fixture.submit(3..5, 100).unwrap();
    fixture.applied(1, 1);
    let mut out = Deliveries::default();
    fixture.lane.passed(5, &mut out);
    fixture.lane.passed(2, &mut out);
    out.deliver();
    assert_eq!(fixture.heard(), [(0, true), (1, false), (2, false), (3, false)]);
    fixture.applied(5, 1);
    assert_eq!(fixture.heard(), [(4, true)]);
    assert_eq!(fixture.lane.pending(), 0);
}

#[test]
fn reads_behind_commands_that_a_snapshot_holds_are_detached_and_later_ones_go_on() {
    let fixture = Fixture::new();
    let mut reads = StagedReads::default();
    reads.push(0, 100, b"");
    reads.push(2, 101, b"");
    fixture.submit_with(0..3, &mut reads, 100).unwrap();
    assert!(fixture.lane.has_reads());
    let (mut out, mut due) = (Deliveries::default(), DueReads::default());
    fixture.lane.passed(3, &mut out);
    out.deliver();
    let heard = std::mem::take(&mut *fixture.heard.0.lock());
    let why = Detached::Unknown(Unknown::ReplyLost);
    assert_eq!(
        heard[0],
        Completion::Detached { token: 100, read: Box::new(DetachedRead { query: Bytes::new(), why }) }
    );
    assert_eq!(heard.len(), 3, "two commands and a read");
    fixture.lane.take_reads(4, &mut due);
    assert_eq!(due.iter().map(|read| read.token).collect::<Vec<_>>(), [101]);
    assert!(!fixture.lane.has_reads());
}

#[test]
fn a_closed_lane_ends_all_waiting() {
    let fixture = Fixture::new();
    fixture.submit(0..2, 100).unwrap();
    let mut out = Deliveries::default();
    fixture.lane.close(&mut out);
    out.deliver();
    assert_eq!(fixture.heard(), [(0, false), (1, false)]);
    assert_eq!(fixture.submit(2..3, 1), Err(Refused::Stopping));
}

#[test]
#[should_panic(expected = "applied_once")]
fn a_command_is_never_executed_twice() {
    let fixture = Fixture::new();
    fixture.submit(0..2, 1).unwrap();
    fixture.applied(1, 1);
    fixture.applied(1, 1);
}

/// Dropping replies and waiting callers runs the embedder's code, which may use the lane again.
#[test]
fn nothing_of_the_embedder_is_dropped_under_the_lock() {
    struct Reply(Arc<Lane<Reply>>);
    impl Drop for Reply {
        fn drop(&mut self) {
            assert!(self.0.tickets.try_lock().is_some(), "dropped under the lane's lock");
        }
    }
    struct Gone(Arc<Lane<Reply>>);
    impl Sink<Reply> for Gone {
        fn deliver(&self, _: &mut Vec<Completion<Reply>>) {}
    }
    impl Drop for Gone {
        fn drop(&mut self) {
            assert!(self.0.tickets.try_lock().is_some(), "dropped under the lane's lock");
        }
    }
    let queue = LaneQueue::new(Origin { server: 1, incarnation: 1, lane: 0 }, 1 << 10);
    let lane = Arc::new(Lane::new(
        Arc::new(queue),
        LaneLimits { commands: 10, bytes: 100, window: 4, tick: Duration::from_millis(50) },
    ));
    let piece = Piece::Framed { body: BytesMut::zeroed(1), count: 1 };
    let deadline = Instant::now();
    let reads = &mut StagedReads::default();
    let submission = Submission { pieces: &mut vec![piece], bytes: 1, tokens: &mut vec![7], reads, deadline };
    let sink: Arc<dyn Sink<Reply>> = Arc::new(Gone(Arc::clone(&lane)));
    lane.submit(submission, &sink).unwrap();
    drop(sink);
    let mut out = Deliveries::default();
    lane.expire(deadline, &mut out);
    out.deliver();
    lane.applied(1, GlobalPosition::new(1), vec![Reply(Arc::clone(&lane))].into_iter(), &mut out);
    out.deliver();
    assert_eq!(Arc::strong_count(&lane), 1, "reply and caller are gone");
}

#[test]
fn each_run_expires_at_its_own_deadline_whatever_was_submitted_before() {
    let fixture = Fixture::new();
    fixture.submit(0..2, 9).unwrap();
    fixture.submit(2..4, 1).unwrap();
    fixture.submit(4..6, 5).unwrap();
    fixture.expire(1);
    assert_eq!(fixture.heard(), [(2, false), (3, false)]);
    fixture.expire(5);
    assert_eq!(fixture.heard(), [(4, false), (5, false)]);
    fixture.applied(1, 6);
    assert_eq!(fixture.heard(), [(0, true), (1, true)], "the others have been told already");
    fixture.submit(6..7, 10).unwrap();
    fixture.expire(10);
    assert_eq!(fixture.heard(), [(6, false)]);
}

/// Single commands, as a client proposes them.
impl Fixture {
    fn propose(&self, at_ms: u64, patience_ms: u64) -> TicketPart<u64> {
        let (now, patience) = (self.start + Duration::from_millis(at_ms), Duration::from_millis(patience_ms));
        let command = Bytes::from_static(b"c");
        let joins = self.lane.join(&command, &mut None, patience);
        joins.unwrap_or_else(|| self.lane.begin(command, None, now, patience).unwrap())
    }

    fn runs(&self) -> usize {
        self.lane.tickets.lock().runs.len()
    }
}

#[test]
fn single_commands_share_a_run_but_no_outcome() {
    let fixture = Fixture::new();
    let tickets: Vec<_> = (0..5).map(|at| fixture.propose(at, 1000)).collect();
    assert_eq!(fixture.runs(), 1);
    fixture.submit(10..12, 1).unwrap();
    let after_a_port = fixture.propose(5, 1000);
    assert_eq!(fixture.runs(), 3, "numbers of a run have no gaps");
    let patient = fixture.propose(5, 1100);
    assert_eq!(fixture.runs(), 4, "a run has one deadline");
    fixture.applied(1, 3);
    fixture.applied(4, 4);
    fixture.expire(2);
    let replies: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap().reply).collect();
    assert_eq!(replies, [1, 2, 3, 4, 5]);
    assert_eq!(fixture.heard(), [(10, true), (11, true)]);
    assert_eq!(after_a_port.wait(), Err(Unknown::Deadline));
    assert_eq!(patient.wait(), Err(Unknown::Deadline));
}

#[test]
fn no_command_that_joins_a_run_expires_early() {
    let is_over = |ticket: &mut TicketPart<u64>| ticket.poll(std::task::Waker::noop()).is_ready();
    let fixture = Fixture::new();
    let at = |ms| fixture.start + Duration::from_millis(ms);
    let expire = |ms| {
        let mut out = Deliveries::default();
        fixture.lane.expire(at(ms), &mut out);
        out.deliver();
    };
    let mut first = fixture.propose(0, 100);
    // No tick lies between the two.
    let mut joined = fixture.propose(49, 100);
    expire(50);
    let mut next = fixture.propose(51, 100);
    assert_eq!(fixture.runs(), 2, "a tick ends a run");
    expire(148);
    assert!(!is_over(&mut first) && !is_over(&mut joined));
    expire(150);
    assert!(is_over(&mut first) && is_over(&mut joined) && !is_over(&mut next));
    expire(151);
    assert!(is_over(&mut next), "alone in its run, it expires in time");
}

#[test]
fn replies_of_dropped_tickets_are_dropped_and_the_others_arrive() {
    let queue = LaneQueue::new(Origin { server: 1, incarnation: 1, lane: 0 }, 1 << 10);
    let lane = Lane::new(
        Arc::new(queue),
        LaneLimits { commands: 1000, bytes: 1000, window: 4, tick: Duration::from_millis(50) },
    );
    let (now, patience) = (Instant::now(), Duration::ZERO);
    let propose = || {
        let command = Bytes::from_static(b"c");
        lane.join(&command, &mut None, patience)
            .unwrap_or_else(|| lane.begin(command, None, now, patience).unwrap())
    };
    let reply = Arc::new(());
    let mut tickets: Vec<_> = (0..150).map(|_| propose()).collect();
    tickets.retain({
        let mut at = 0;
        move |_| {
            at += 1;
            at % 3 == 0
        }
    });
    let mut out = Deliveries::default();
    lane.applied(1, GlobalPosition::new(1), (0..150).map(|_| Arc::clone(&reply)), &mut out);
    out.deliver();
    assert_eq!(Arc::strong_count(&reply), 1 + tickets.len(), "what nobody waits for is gone");
    for ticket in tickets {
        assert!(ticket.wait().is_ok());
    }
    assert_eq!(Arc::strong_count(&reply), 1);
}

#[test]
fn waiters_for_room_are_woken_when_half_is_done_at_their_deadline_and_at_the_end() {
    let woken = |promise: &RoomPromise| promise.poll(std::task::Waker::noop()).is_ready();
    let later = |fixture: &Fixture, deadline| match fixture.lane.room(deadline) {
        Ok(Room::Later(promise)) => promise,
        _ => panic!("the lane is full"),
    };
    let fixture = Fixture::new();
    assert!(matches!(fixture.lane.room(fixture.start), Ok(Room::Here)));
    fixture.submit(0..10, 100).unwrap();
    let waits = later(&fixture, fixture.start + Duration::from_secs(50));
    let hasty = later(&fixture, fixture.start + Duration::from_secs(1));
    fixture.expire(2);
    assert!(woken(&hasty) && !woken(&waits));
    fixture.applied(1, 4);
    assert!(!woken(&waits), "a caller that is woken for one place at a time costs as much as a wake-up");
    fixture.applied(5, 6);
    assert!(woken(&waits));
    fixture.submit(0..10, 100).unwrap();
    let waits = later(&fixture, fixture.start + Duration::from_secs(50));
    let mut out = Deliveries::default();
    fixture.lane.close(&mut out);
    out.deliver();
    assert!(woken(&waits) && matches!(fixture.lane.room(fixture.start), Err(Refused::Stopping)));
}
