//! Who waits for which command of a lane, and limits on how many may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use niagara_group::LaneSource;
use niagara_group::batch::{LONE_COMMAND_BYTES, put_command};
use niagara_sequencer::GlobalPosition;

use super::attached::{AttachedReads, DueReads, StagedReads};
use super::backpressure::{RoomPromise, RoomWaiters};
use super::deliveries::{Deliveries, Sink};
use super::looks::{AttachedLooks, LOOK_BYTES, Look};
use super::queue::{LaneQueue, Piece};
use super::routing::Traffic;
use super::ticket_block::{TICKETS_IN_A_BLOCK, TicketBlock, TicketPart};
use crate::outcome::{Completion, Detached, Refused, Unknown};
use crate::planted::{self, Bug};
use crate::sync::{AtomicUsize, Mutex, Ordering::SeqCst};

/// One lane of this server: numbers its commands, and completes them in that order.
pub(crate) struct Lane<R> {
    pub queue: Arc<LaneQueue>,
    limits: LaneLimits,
    /// Its [load](Tickets::load), to be read without the tickets' lock.
    in_flight: AtomicUsize,
    /// Number of turns with reads, and of looks, that wait for their commands, likewise.
    with_reads: AtomicUsize,
    tickets: Mutex<Tickets<R>>,
}

/// Limits of a lane, and the sizes that it is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    pub commands: usize,
    pub bytes: usize,
    /// Number of entries in a group's window.
    pub window: usize,
    /// Time between two checks of deadlines.
    pub tick: Duration,
}

struct Tickets<R> {
    /// Number that the next command will get.
    next: u64,
    /// Number of the next command to complete.
    done: u64,
    commands: usize,
    bytes: usize,
    runs: VecDeque<SubmittedRun<R>>,
    reads: AttachedReads<R>,
    looks: AttachedLooks,
    /// No run's deadline is earlier. `None` if no run has one.
    first_deadline: Option<Instant>,
    /// Where the next single command's promise is, unless the block is full.
    open: Option<OpenBlock<R>>,
    room: RoomWaiters,
    closed: bool,
}

/// Commands that were submitted at once, or shortly after each other.
struct SubmittedRun<R> {
    first: u64,
    sink: Arc<dyn Sink<R>>,
    tokens: Vec<u64>,
    bytes: usize,
    deadline: Instant,
    /// Whether commands have joined it after its deadline was computed.
    is_joined: bool,
    /// Whether the callers were notified that the outcome is unknown.
    is_told: bool,
}

/// A block of tickets with promises that no command has yet.
struct OpenBlock<R> {
    block: Arc<TicketBlock<R>>,
    sink: Arc<dyn Sink<R>>,
    used: usize,
    /// How patient the callers of its last run are, if more commands may join that run: those of the same
    /// patience that are proposed before the next check of deadlines. So they need no clock.
    joined_by: Option<Duration>,
}

/// Commands of this size and more choose their lane anew if the last one is saturated.
const ENTRY_PART_BYTES: usize = 1 << 10;

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
    /// Reads that follow these commands.
    pub reads: &'a mut StagedReads,
    pub deadline: Instant,
}

/// Whether a lane has room for a command.
pub(crate) enum Room {
    Here,
    /// Kept when it is worth looking again.
    Later(Arc<RoomPromise>),
}

impl<R> Lane<R> {
    pub fn new(queue: Arc<LaneQueue>, limits: LaneLimits) -> Self {
        let tickets = Tickets {
            next: 1,
            done: 1,
            commands: 0,
            bytes: 0,
            runs: VecDeque::new(),
            reads: AttachedReads::default(),
            looks: AttachedLooks::default(),
            first_deadline: None,
            open: None,
            room: RoomWaiters::default(),
            closed: false,
        };
        let (in_flight, with_reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Lane { queue, limits, in_flight, with_reads, tickets: Mutex::new(tickets) }
    }

    /// Adds a caller's commands to the lane, all or none.
    pub fn submit(&self, submission: Submission<'_>, sink: &Arc<dyn Sink<R>>) -> Result<(), Refused> {
        let Submission { pieces, tokens, bytes, reads, deadline } = submission;
        let mut tickets = self.tickets.lock();
        tickets.check_room(&self.limits, tokens.len(), bytes + reads.bytes())?;
        let first = tickets.number(tokens.len(), bytes);
        self.in_flight.store(tickets.load(&self.limits), SeqCst);
        if !reads.is_empty() {
            tickets.reads.add(first, reads, deadline, Arc::clone(sink));
            self.with_reads.store(tickets.with_reads(), SeqCst);
        }
        tickets.add_run(first, std::mem::take(tokens), bytes, deadline, Arc::clone(sink));
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
        for run in &tickets.runs {
            if number == end {
                break;
            }
            let waiting =
                &run.tokens[(number - run.first) as usize..(end.min(run.end()) - run.first) as usize];
            number += waiting.len() as u64;
            let replies = waiting.iter().zip(&mut replies);
            if run.is_told {
                out.drop_later(replies.map(|(_, reply)| reply));
            } else {
                let applied = |(&token, reply)| Completion::Applied { token, position, reply };
                out.to(&run.sink).extend(replies.map(applied));
            }
        }
        assert_eq!(number, end, "acked_is_applied: a command of this lane has a ticket");
        tickets.finish_below(end, &self.limits, out);
        self.in_flight.store(tickets.load(&self.limits), SeqCst);
    }

    /// The planted bug: attaches a read to the last command that was submitted, unless that is executed.
    pub fn attach_late(&self, token: u64, query: &[u8], deadline: Instant, sink: &Arc<dyn Sink<R>>) -> bool {
        let mut tickets = self.tickets.lock();
        if tickets.done == tickets.next || tickets.closed {
            return false;
        }
        let mut reads = StagedReads::default();
        reads.push(0, token, query);
        let last = tickets.next - 1;
        tickets.reads.add(last, &mut reads, deadline, Arc::clone(sink));
        self.with_reads.store(tickets.with_reads(), SeqCst);
        true
    }

    /// Whether reads wait for commands of this lane.
    pub fn has_reads(&self) -> bool {
        self.with_reads.load(SeqCst) > 0
    }

    /// Takes the reads that follow commands below number `end`, which are about to be executed.
    pub fn take_reads(&self, end: u64, due: &mut DueReads<R>) {
        let mut tickets = self.tickets.lock();
        tickets.reads.take_below(end, due);
        tickets.looks.take_below(end, &mut due.looks);
        self.with_reads.store(tickets.with_reads(), SeqCst);
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
        let mut lost_reads = DueReads::default();
        tickets.reads.take_below(next, &mut lost_reads);
        tickets.looks.take_below(next, &mut lost_reads.looks);
        self.with_reads.store(tickets.with_reads(), SeqCst);
        if !planted::is(Bug::LostReadsForgotten) {
            lost_reads.detach(Detached::Unknown(Unknown::ReplyLost), out);
        }
        let tells_twice = planted::is(Bug::RestoredTicketsToldTwice);
        for run in tickets.runs.iter().take_while(|run| run.first < next) {
            if run.is_told && !tells_twice {
                continue;
            }
            let (from, to) = (done.max(run.first) - run.first, next.min(run.end()) - run.first);
            let lost = run.tokens[from as usize..to as usize].iter();
            let unknown = |&token| Completion::Unknown { token, unknown: Unknown::ReplyLost };
            out.to(&run.sink).extend(lost.map(unknown));
        }
        tickets.finish_below(next, &self.limits, out);
        self.in_flight.store(tickets.load(&self.limits), SeqCst);
    }

    /// Notifies the callers whose deadline has passed. Their commands stay in the lane.
    pub fn expire(&self, now: Instant, out: &mut Deliveries<R>) {
        let mut tickets = self.tickets.lock();
        if let Some(open) = &mut tickets.open {
            open.joined_by = None;
        }
        if tickets.first_deadline.is_some_and(|first| first <= now) {
            tickets.give_up(Unknown::Deadline, Some(now), out);
            self.with_reads.store(tickets.with_reads(), SeqCst);
        }
        out.wake(tickets.room.take_due(now));
    }

    /// Current load, for the choice between lanes.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            is_saturated: self.queue.is_saturated(),
            in_flight: self.in_flight.load(SeqCst),
            surplus: 0,
            servers: 1,
            entry: self.queue.entry_bytes(),
            window: self.limits.window,
            most: self.limits.bytes,
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
            tickets.give_up(Unknown::Stopping, None, out);
            drop(tickets);
            self.tickets.lock().closed = true;
            return;
        }
        tickets.closed = true;
        tickets.give_up(Unknown::Stopping, None, out);
        self.with_reads.store(0, SeqCst);
        out.wake(tickets.room.take_all());
    }

    /// Whether the lane has room for a command. If not, the promise is kept when it has emptied by half, when
    /// it is closed, or at the deadline.
    pub fn room(&self, deadline: Instant) -> Result<Room, Refused> {
        let mut tickets = self.tickets.lock();
        match tickets.check_room(&self.limits, 1, 1) {
            Ok(()) => Ok(Room::Here),
            Err(Refused::Overloaded) => {
                if planted::is(Bug::RoomAwaitedUnlocked) {
                    drop(tickets);
                    tickets = self.tickets.lock();
                }
                Ok(Room::Later(tickets.room.add(deadline)))
            }
            Err(refused) => Err(refused),
        }
    }

    /// The lane's state, in words.
    pub fn describe(&self) -> String {
        let tickets = self.tickets.lock();
        let Tickets { next, done, bytes, .. } = *tickets;
        let told = tickets.runs.iter().filter(|run| run.is_told).count();
        format!(
            "numbers {done}..{next}, {bytes} bytes, {told} runs expired; executed below {}, {} in the queue",
            self.queue.next_command(),
            if self.queue.has_commands() { "some" } else { "none" }
        )
    }
}

/// Single commands, each with a ticket.
impl<R: Send + 'static> Lane<R> {
    /// Adds a command to the run that the last single command began, if both were proposed between the same
    /// two ticks. Whatever was checked for that run holds for this command, too, so nothing is checked but the
    /// lane's own limits. `None` if the caller has to check, choose a lane and [`begin`](Self::begin) a run.
    pub fn join(
        &self,
        command: &Bytes,
        look: &mut Option<Box<dyn Look>>,
        patience: Duration,
    ) -> Option<TicketPart<R>> {
        // A block of smaller commands is about an entry, which may as well wait behind another one.
        let is_small = command.len() < ENTRY_PART_BYTES;
        if command.len() >= LONE_COMMAND_BYTES || !is_small && self.queue.is_saturated() {
            return None;
        }
        let mut tickets = self.tickets.lock();
        if !tickets.may_join(patience) || tickets.check_room(&self.limits, 1, command.len()).is_err() {
            return None;
        }
        let number = tickets.number(1, command.len());
        self.in_flight.store(tickets.load(&self.limits), SeqCst);
        self.add_look(&mut tickets, number, look.take());
        let Tickets { runs, open: Some(open), .. } = &mut *tickets else { unreachable!("it may join") };
        let run = runs.back_mut().expect("it may join");
        let at = open.used;
        open.used += 1;
        run.tokens.push(at as u64);
        run.bytes += command.len();
        if !run.is_joined {
            run.deadline += self.limits.tick;
            run.is_joined = true;
        }
        let block = Arc::clone(&open.block);
        self.queue.push_small(number, command);
        Some(TicketPart::new(block, at))
    }

    /// Adds a command, and begins a run with it.
    pub fn begin(
        &self,
        command: Bytes,
        look: Option<Box<dyn Look>>,
        now: Instant,
        patience: Duration,
    ) -> Result<TicketPart<R>, Refused> {
        let deadline = now + patience;
        let bytes = command.len();
        let mut piece = vec![piece(command)];
        let mut tickets = self.tickets.lock();
        tickets.check_room(&self.limits, 1, bytes)?;
        let number = tickets.number(1, bytes);
        self.in_flight.store(tickets.load(&self.limits), SeqCst);
        self.add_look(&mut tickets, number, look);
        let (block, sink, at) = tickets.open_promise(patience);
        let mut tokens = Vec::with_capacity(8);
        tokens.push(at as u64);
        tickets.add_run(number, tokens, bytes, deadline, sink);
        self.queue.push(number, &mut piece);
        Ok(TicketPart::new(block, at))
    }

    fn add_look(&self, tickets: &mut Tickets<R>, after: u64, look: Option<Box<dyn Look>>) {
        if let Some(look) = look {
            tickets.looks.add(after, look);
            self.with_reads.store(tickets.with_reads(), SeqCst);
        }
    }
}

fn piece(command: Bytes) -> Piece {
    if command.len() >= LONE_COMMAND_BYTES {
        return Piece::Lone(command);
    }
    let mut body = BytesMut::with_capacity(command.len() + 5);
    put_command(&mut body, &command);
    Piece::Framed { body, count: 1 }
}

impl<R> Tickets<R> {
    fn check_room(&self, limits: &LaneLimits, commands: usize, bytes: usize) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Stopping);
        }
        let bytes = self.bytes + self.reads.bytes() + self.looks.count() * LOOK_BYTES + bytes;
        let has_room = self.commands + commands <= limits.commands && bytes <= limits.bytes;
        if has_room { Ok(()) } else { Err(Refused::Overloaded) }
    }

    /// Bytes in flight, for the choice between lanes. A lane that is full by the number of its commands counts
    /// as full of bytes.
    fn load(&self, limits: &LaneLimits) -> usize {
        if self.commands < limits.commands { self.bytes } else { self.bytes.max(limits.bytes) }
    }

    /// Number of turns with reads, and of looks, that wait for their commands.
    fn with_reads(&self) -> usize {
        self.reads.runs() + self.looks.count()
    }

    /// Numbers commands. Returns the first number.
    fn number(&mut self, commands: usize, bytes: usize) -> u64 {
        let first = self.next;
        self.next += commands as u64;
        self.commands += commands;
        self.bytes += bytes;
        first
    }

    fn add_run(
        &mut self,
        first: u64,
        tokens: Vec<u64>,
        bytes: usize,
        deadline: Instant,
        sink: Arc<dyn Sink<R>>,
    ) {
        self.first_deadline = Some(self.first_deadline.map_or(deadline, |first| first.min(deadline)));
        self.runs.push_back(SubmittedRun {
            first,
            sink,
            tokens,
            bytes,
            deadline,
            is_joined: false,
            is_told: false,
        });
    }

    /// Whether the last run is one of single commands of that patience, and has a promise left.
    fn may_join(&self, patience: Duration) -> bool {
        let (Some(open), Some(run)) = (&self.open, self.runs.back()) else { return false };
        open.joined_by == Some(patience)
            && open.used < TICKETS_IN_A_BLOCK
            && Arc::ptr_eq(&run.sink, &open.sink)
    }

    /// Gives up waiting for all runs whose deadline has passed; `None`: for all.
    fn give_up(&mut self, unknown: Unknown, now: Option<Instant>, out: &mut Deliveries<R>) {
        let mut first_deadline = None;
        for run in self.runs.iter_mut().filter(|run| !run.is_told) {
            if now.is_some_and(|now| run.deadline > now) {
                first_deadline =
                    Some(first_deadline.map_or(run.deadline, |first: Instant| first.min(run.deadline)));
                continue;
            }
            let done = self.done.saturating_sub(run.first) as usize;
            let ends = run.tokens.iter().skip(done).map(|&token| Completion::Unknown { token, unknown });
            if !planted::is(Bug::UnknownNotTold) {
                out.to(&run.sink).extend(ends);
            }
            run.is_told = true;
            for look in self.looks.take_behind(run.first..run.end()) {
                out.tell(look, Some(Detached::Unknown(unknown)));
            }
        }
        self.first_deadline = first_deadline;
        self.reads.give_up(now, Detached::Unknown(unknown), out);
    }

    /// Forgets the commands below a number, and wakes callers if that has made room.
    fn finish_below(&mut self, number: u64, limits: &LaneLimits, out: &mut Deliveries<R>) {
        self.commands -= (number - self.done) as usize;
        self.done = number;
        while let Some(run) = self.runs.pop_front_if(|run| run.end() <= number) {
            self.bytes -= run.bytes;
            if run.is_told {
                out.forget(run.sink);
            }
        }
        if !self.room.is_empty() && self.commands <= limits.commands / 2 && self.bytes <= limits.bytes / 2 {
            out.wake(self.room.take_all());
        }
    }
}

impl<R: Send + 'static> Tickets<R> {
    /// The next free promise, for the first command of a run.
    fn open_promise(&mut self, patience: Duration) -> (Arc<TicketBlock<R>>, Arc<dyn Sink<R>>, usize) {
        let open = match &mut self.open {
            Some(open) if open.used < TICKETS_IN_A_BLOCK => open,
            full => {
                let block = Arc::new(TicketBlock::new());
                let sink: Arc<dyn Sink<R>> = Arc::<TicketBlock<R>>::clone(&block);
                full.insert(OpenBlock { block, sink, used: 0, joined_by: None })
            }
        };
        let at = open.used;
        open.used += 1;
        open.joined_by = Some(patience);
        (Arc::clone(&open.block), Arc::clone(&open.sink), at)
    }
}

#[cfg(test)]
mod tests;
