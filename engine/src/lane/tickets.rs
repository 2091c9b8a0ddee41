//! Who waits for which command of a lane, and limits on how many may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use niagara_sequencer::GlobalPosition;

use super::queue::{LaneQueue, Piece};
use super::routing::Traffic;
use crate::outcome::{Completion, Refused};
use crate::planted::{self, Bug};
use crate::sync::{AtomicUsize, Mutex, Ordering::SeqCst};

/// Where completions go: a front end's inbox, or a single ticket.
pub(crate) trait Sink<R>: Send + Sync {
    /// Takes all completions of a batch at once. May leave another buffer in place of theirs.
    fn deliver(&self, completions: &mut Vec<Completion<R>>);
}

/// One lane of this server: numbers its commands, and completes them in that order.
pub(crate) struct Lane<R> {
    pub queue: Arc<LaneQueue>,
    limits: LaneLimits,
    /// Bytes of commands without an outcome in the log: a copy of the tickets' number that can be read
    /// without their lock.
    in_flight: AtomicUsize,
    tickets: Mutex<Tickets<R>>,
}

/// Limits of a lane, and the sizes that it is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    pub commands: usize,
    pub bytes: usize,
    /// Number of entries in a group's window.
    pub window: usize,
}

struct Tickets<R> {
    /// Number that the next command will get.
    next: u64,
    /// Number of the next command to complete.
    done: u64,
    commands: usize,
    bytes: usize,
    runs: VecDeque<SubmittedRun<R>>,
    /// How many runs at the front have expired: their callers were notified that the outcome is unknown.
    expired: usize,
    closed: bool,
}

/// Commands that one caller submitted at once.
struct SubmittedRun<R> {
    first: u64,
    sink: Arc<dyn Sink<R>>,
    tokens: Vec<u64>,
    bytes: usize,
    deadline: Instant,
}

impl<R> SubmittedRun<R> {
    fn end(&self) -> u64 {
        self.first + self.tokens.len() as u64
    }
}

/// A caller's commands for one lane.
pub(crate) struct Submission<'a> {
    pub pieces: &'a mut Vec<Piece>,
    pub tokens: &'a mut Vec<u64>,
    pub bytes: usize,
    pub deadline: Instant,
}

/// Completions collected for their sinks, delivered once per batch.
pub(crate) struct Deliveries<R> {
    sinks: Vec<Delivery<R>>,
    /// Buffers that sinks left at earlier deliveries, for reuse.
    spare: Vec<Vec<Completion<R>>>,
    /// Replies that nobody waits for, dropped at delivery, outside of the lane's lock. They are the
    /// embedder's, and dropping one may do anything.
    unheard: Vec<R>,
    told: Vec<Arc<dyn Sink<R>>>,
}

/// A front end takes one delivery per stretch. The buffers of single tickets are small, so more are not worth
/// keeping.
const MOST_SPARE: usize = 4;

type Delivery<R> = (Arc<dyn Sink<R>>, Vec<Completion<R>>);

impl<R> Lane<R> {
    pub fn new(queue: Arc<LaneQueue>, limits: LaneLimits) -> Self {
        let tickets = Tickets {
            next: 1,
            done: 1,
            commands: 0,
            bytes: 0,
            runs: VecDeque::new(),
            expired: 0,
            closed: false,
        };
        Lane { queue, limits, in_flight: AtomicUsize::new(0), tickets: Mutex::new(tickets) }
    }

    /// Adds a caller's commands to the lane, all or none.
    pub fn submit(&self, submission: Submission<'_>, sink: &Arc<dyn Sink<R>>) -> Result<(), Refused> {
        let Submission { pieces, tokens, bytes, deadline } = submission;
        let mut tickets = self.tickets.lock();
        if tickets.closed {
            return Err(Refused::Stopping);
        }
        if tickets.commands + tokens.len() > self.limits.commands || tickets.bytes + bytes > self.limits.bytes
        {
            return Err(Refused::Overloaded);
        }
        // Deadlines are computed before the lock is taken, so they may be slightly out of order; but they are
        // checked in order.
        let deadline = tickets.runs.back().map_or(deadline, |last| deadline.max(last.deadline));
        let first = tickets.next;
        tickets.next += tokens.len() as u64;
        tickets.commands += tokens.len();
        tickets.bytes += bytes;
        self.in_flight.store(tickets.bytes, SeqCst);
        let tokens = std::mem::take(tokens);
        tickets.runs.push_back(SubmittedRun { first, sink: Arc::clone(sink), tokens, bytes, deadline });
        // Pushed under the tickets' lock, so that the queue sees the numbers in order.
        if planted::is(Bug::NumberedBeforePushed) {
            drop(tickets);
        }
        self.queue.push(first, pieces);
        Ok(())
    }

    /// Completes the commands from number `first` on, which were executed at `position` with these replies.
    pub fn applied(
        &self,
        first: u64,
        position: GlobalPosition,
        replies: impl ExactSizeIterator<Item = R>,
        out: &mut Deliveries<R>,
    ) {
        let end = first + replies.len() as u64;
        let mut tickets = self.tickets.lock();
        assert_eq!(
            tickets.done, first,
            "applied_once: a lane's commands are executed once each and in order"
        );
        let (mut number, mut replies) = (first, replies);
        for (run_at, run) in tickets.runs.iter().enumerate() {
            if number == end {
                break;
            }
            let waiting =
                &run.tokens[(number - run.first) as usize..(end.min(run.end()) - run.first) as usize];
            number += waiting.len() as u64;
            let replies = waiting.iter().zip(&mut replies);
            if run_at < tickets.expired {
                out.unheard.extend(replies.map(|(_, reply)| reply));
            } else {
                let applied = |(&token, reply)| Completion::Applied { token, position, reply };
                out.to(&run.sink).extend(replies.map(applied));
            }
        }
        assert_eq!(number, end, "acked_is_applied: a command of this lane has a ticket");
        tickets.done = end;
        tickets.commands -= (end - first) as usize;
        tickets.forget_below(end, out);
        self.in_flight.store(tickets.bytes, SeqCst);
    }

    /// Ends waiting for the commands below number `next`. They have been executed, but nobody here has seen
    /// their replies: a snapshot that holds them was restored.
    pub fn passed(&self, next: u64, out: &mut Deliveries<R>) {
        let mut tickets = self.tickets.lock();
        assert!(
            next <= tickets.next,
            "applied_once: command {next} has been executed before it was proposed"
        );
        let done = tickets.done;
        if next <= done {
            return;
        }
        let told = if planted::is(Bug::RestoredTicketsToldTwice) { 0 } else { tickets.expired };
        for run in tickets.runs.iter().skip(told).take_while(|run| run.first < next) {
            let (from, to) = (done.max(run.first) - run.first, next.min(run.end()) - run.first);
            let unknown = run.tokens[from as usize..to as usize].iter();
            out.to(&run.sink).extend(unknown.map(|&token| Completion::Unknown { token }));
        }
        tickets.done = next;
        tickets.commands -= (next - done) as usize;
        tickets.forget_below(next, out);
        self.in_flight.store(tickets.bytes, SeqCst);
    }

    /// Notifies the callers whose deadline has passed. Their commands stay in the lane.
    pub fn expire(&self, now: Instant, out: &mut Deliveries<R>) {
        self.tickets.lock().expire(|run| run.deadline <= now, out);
    }

    /// Current load, for the choice between lanes.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            is_saturated: self.queue.is_saturated(),
            in_flight: self.in_flight.load(SeqCst),
            entry: self.queue.entry_bytes(),
            window: self.limits.window,
        }
    }

    /// Number of commands that are not executed.
    pub fn pending(&self) -> usize {
        self.tickets.lock().commands
    }

    /// Refuses further commands, and notifies every waiting caller that the outcome is unknown.
    pub fn close(&self, out: &mut Deliveries<R>) {
        let mut tickets = self.tickets.lock();
        if planted::is(Bug::ClosedAfterEnding) {
            tickets.expire(|_| true, out);
            drop(tickets);
            self.tickets.lock().closed = true;
            return;
        }
        tickets.closed = true;
        tickets.expire(|_| true, out);
    }

    /// The lane's state, in words.
    pub fn describe(&self) -> String {
        let tickets = self.tickets.lock();
        let Tickets { next, done, bytes, expired, .. } = *tickets;
        format!(
            "numbers {done}..{next}, {bytes} bytes, {expired} runs expired; executed below {}, {} in the \
             queue",
            self.queue.next_command(),
            if self.queue.has_commands() { "some" } else { "none" }
        )
    }
}

impl<R> Tickets<R> {
    fn expire(&mut self, is_due: impl Fn(&SubmittedRun<R>) -> bool, out: &mut Deliveries<R>) {
        while let Some(run) = self.runs.get(self.expired).filter(|run| is_due(run)) {
            let done = self.done.saturating_sub(run.first) as usize;
            let unknown = run.tokens.iter().skip(done).map(|&token| Completion::Unknown { token });
            if !planted::is(Bug::UnknownNotTold) {
                out.to(&run.sink).extend(unknown);
            }
            self.expired += 1;
        }
    }

    fn forget_below(&mut self, number: u64, out: &mut Deliveries<R>) {
        while let Some(run) = self.runs.pop_front_if(|run| run.end() <= number) {
            self.bytes -= run.bytes;
            if self.expired > 0 {
                self.expired -= 1;
                out.told.push(run.sink);
            }
        }
    }
}

impl<R> Default for Deliveries<R> {
    fn default() -> Self {
        Deliveries { sinks: Vec::new(), spare: Vec::new(), unheard: Vec::new(), told: Vec::new() }
    }
}

impl<R> Deliveries<R> {
    fn to(&mut self, sink: &Arc<dyn Sink<R>>) -> &mut Vec<Completion<R>> {
        // A batch has few sinks, and neighbours mostly share one: search from the end.
        let at = self.sinks.iter().rposition(|(known, _)| Arc::ptr_eq(known, sink));
        let at = at.unwrap_or_else(|| {
            self.sinks.push((Arc::clone(sink), self.spare.pop().unwrap_or_default()));
            self.sinks.len() - 1
        });
        &mut self.sinks[at].1
    }

    /// Delivers everything.
    pub fn deliver(&mut self) {
        self.unheard.clear();
        self.told.clear();
        for (sink, mut completions) in self.sinks.drain(..) {
            sink.deliver(&mut completions);
            if self.spare.len() < MOST_SPARE {
                completions.clear();
                self.spare.push(completions);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::BytesMut;

    use super::*;
    use crate::lane::Origin;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Completion<u64>>>);

    impl Sink<u64> for Heard {
        fn deliver(&self, completions: &mut Vec<Completion<u64>>) {
            self.0.lock().append(completions);
        }
    }

    struct Fixture {
        lane: Lane<u64>,
        heard: Arc<Heard>,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let queue = LaneQueue::new(Origin { server: 1, incarnation: 1, lane: 0 }, 1 << 10);
            let lane = Lane::new(Arc::new(queue), LaneLimits { commands: 10, bytes: 100, window: 4 });
            Fixture { lane, heard: Arc::default(), start: Instant::now() }
        }

        fn submit(&self, tokens: std::ops::Range<u64>, deadline: u64) -> Result<(), Refused> {
            let mut tokens: Vec<u64> = tokens.collect();
            let piece = Piece::Framed { body: BytesMut::zeroed(tokens.len()), count: tokens.len() as u32 };
            let deadline = self.start + Duration::from_secs(deadline);
            let submission =
                Submission { pieces: &mut vec![piece], bytes: tokens.len(), tokens: &mut tokens, deadline };
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
                Completion::Unknown { token } => (token, false),
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
        assert_eq!(
            fixture.submit(10..11, 3),
            Err(Refused::Overloaded),
            "unknown commands are still in the lane"
        );
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
        let lane = Arc::new(Lane::new(Arc::new(queue), LaneLimits { commands: 10, bytes: 100, window: 4 }));
        let piece = Piece::Framed { body: BytesMut::zeroed(1), count: 1 };
        let deadline = Instant::now();
        let submission = Submission { pieces: &mut vec![piece], bytes: 1, tokens: &mut vec![7], deadline };
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
}
