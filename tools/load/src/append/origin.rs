//! The thread of a server that stands for its clients: it proposes commands, and completes each one's own ticket.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Instant;

use bytes::Bytes;
use hdrhistogram::Histogram;
use niagara_engine::{Completion, Consistency, Engine, LaneId, Port, Refused, Wake};
use niagara_measure::nanoseconds;

use super::appender::Appender;
use super::assignment::Assignment;
use super::pace::OriginPace;
use super::tickets::Tickets;

/// Commands that are handed over at once: the first of many are under way while the others are still being made.
const COMMANDS_PER_FLUSH: usize = 1024;
/// From this size on a command's buffer is shared rather than copied, as an application would that has received it.
const SHARED_FROM: usize = 32 << 10;
/// Tickets of reads have this bit.
const READ: u64 = 1 << 63;

/// What an origin and the rest of its process say to each other.
pub(super) struct Control {
    /// To generate no more.
    pub drain: AtomicBool,
    /// That nothing is in flight: what was asked for has been drained, or nothing was.
    pub drained: AtomicBool,
    pub seen: Mutex<OriginSeen>,
    /// Commands that the engine did not take, and that were proposed again.
    pub refused: AtomicU64,
    /// Commands and reads whose outcome the engine does not know.
    pub unknown: AtomicU64,
}

/// What was completed since this was last taken.
#[derive(Clone)]
pub(super) struct OriginSeen {
    /// Nanoseconds from the (intended) start of a command to the completion of its ticket.
    pub commands: Histogram<u64>,
    /// The same for strong reads.
    pub reads: Histogram<u64>,
}

impl OriginSeen {
    /// Nothing yet.
    pub fn nothing() -> OriginSeen {
        OriginSeen { commands: nanoseconds(), reads: nanoseconds() }
    }
}

impl Control {
    pub fn new() -> Arc<Control> {
        Arc::new(Control {
            drain: AtomicBool::new(false),
            drained: AtomicBool::new(true),
            seen: Mutex::new(OriginSeen::nothing()),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// The thread's own.
pub(super) struct Origin {
    port: Port<Appender>,
    control: Arc<Control>,
    /// Whether commands go to groups led by this server only, and how many batches have gone there.
    led_groups: bool,
    turn: usize,
    reads_wanted: u64,
    reads_in_flight: u64,
    tickets: Tickets,
    /// When commands that were refused had been meant to begin.
    again: Vec<u64>,
    done: Vec<Completion<()>>,
    command: Vec<u8>,
    shared: Bytes,
    number: u64,
    stopped: bool,
    zero: Instant,
}

impl Origin {
    /// To be called on the thread that it is for.
    pub fn new(engine: &Engine<Appender>, control: Arc<Control>, assignment: &Assignment) -> Origin {
        let payload = assignment.payload as usize;
        Origin {
            port: engine.client().port(Arc::new(Unpark(thread::current()))),
            control,
            led_groups: assignment.led_groups,
            turn: 0,
            reads_wanted: assignment.reads,
            reads_in_flight: 0,
            tickets: Tickets::new(),
            again: Vec::new(),
            done: Vec::new(),
            command: vec![0x5a; payload],
            shared: Bytes::from(vec![0x5a; payload]),
            number: 0,
            stopped: false,
            zero: Instant::now(),
        }
    }

    /// The thread's life: it generates at each pace that it is given, until that is to be drained. Ends with the sender.
    pub fn run(mut self, paces: &Receiver<OriginPace>) {
        for pace in paces {
            self.generate(pace);
            // What the engine has not taken has no effect, and no part in the next measurement.
            self.again.clear();
            self.control.drained.store(true, SeqCst);
            if self.stopped {
                return;
            }
        }
    }

    fn generate(&mut self, mut pace: OriginPace) {
        self.zero = Instant::now();
        loop {
            let now = self.now();
            let draining = self.control.drain.load(SeqCst);
            if !draining {
                self.propose(&mut pace, now);
                self.read(now);
            }
            if self.stopped || (draining && self.tickets.in_flight() == 0) {
                return;
            }
            self.port.collect(&mut self.done);
            if self.done.is_empty() {
                if self.port.may_sleep() {
                    thread::park_timeout(pace.pause(now));
                }
                self.port.awake();
                self.port.collect(&mut self.done);
            }
            self.complete();
        }
    }

    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    fn propose(&mut self, pace: &mut OriginPace, now: u64) {
        loop {
            let lane = self.choose_lane();
            let mut staged = 0;
            while staged < COMMANDS_PER_FLUSH {
                let commands_in_flight = self.tickets.in_flight() - self.reads_in_flight;
                let Some(began) = self.again.pop().or_else(|| pace.next(now, commands_in_flight)) else {
                    break;
                };
                let ticket = self.tickets.issue(began);
                let taken = if self.command.len() < SHARED_FROM {
                    self.number += 1;
                    self.command[..8].copy_from_slice(&self.number.to_le_bytes());
                    self.port.propose(lane, ticket, &self.command)
                } else {
                    self.port.propose_shared(lane, ticket, self.shared.clone())
                };
                if let Err(refused) = taken {
                    self.refuse(ticket, refused);
                    break;
                }
                staged += 1;
            }
            self.port.flush();
            // A refusal arrives as a completion: what was taken back is not offered again before others are done.
            if staged < COMMANDS_PER_FLUSH || !self.again.is_empty() {
                return;
            }
        }
    }

    /// Where the next batch goes.
    fn choose_lane(&mut self) -> LaneId {
        if !self.led_groups {
            return self.port.choose_lane();
        }
        self.turn += 1;
        let turn = self.turn % self.port.lanes_led_here().count().max(1);
        // While a group has another leader than it is meant to have, there may be none.
        self.port.lanes_led_here().nth(turn).unwrap_or_else(|| self.port.choose_lane())
    }

    fn read(&mut self, now: u64) {
        if self.reads_in_flight >= self.reads_wanted {
            return;
        }
        while self.reads_in_flight < self.reads_wanted {
            let ticket = self.tickets.issue(now);
            self.port.read(ticket | READ, Consistency::Strong);
            self.reads_in_flight += 1;
        }
        self.port.flush();
    }

    /// Completes tickets one by one. Neighbours that began together are recorded together, under one lock a batch.
    fn complete(&mut self) {
        if self.done.is_empty() {
            return;
        }
        let now = self.now();
        let mut done = std::mem::take(&mut self.done);
        let control = Arc::clone(&self.control);
        let mut seen = control.seen.lock().expect("nobody panics with it");
        let (mut since, mut count) = (now, 0);
        for completion in done.drain(..) {
            match completion {
                Completion::Applied { token, .. } => {
                    let began = self.tickets.end(token);
                    if began != since {
                        record(&mut seen.commands, now, since, count);
                        (since, count) = (began, 0);
                    }
                    count += 1;
                }
                Completion::Readable { token, .. } => {
                    let began = self.end_read(token);
                    record(&mut seen.reads, now, began, 1);
                }
                Completion::Refused { token, refused } => self.refuse(token, refused),
                Completion::Unknown { token, .. } => {
                    self.tickets.end(token);
                    control.unknown.fetch_add(1, SeqCst);
                }
                Completion::ReadFailed { token } => {
                    self.end_read(token);
                    control.unknown.fetch_add(1, SeqCst);
                }
                Completion::Answered { .. } | Completion::Detached { .. } => {
                    unreachable!("no read is attached here")
                }
            }
        }
        record(&mut seen.commands, now, since, count);
        self.done = done;
    }

    fn end_read(&mut self, token: u64) -> u64 {
        self.reads_in_flight -= 1;
        self.tickets.end(token & !READ)
    }

    /// Not taken: the command waits for its next attempt, and its clock goes on.
    fn refuse(&mut self, ticket: u64, refused: Refused) {
        match refused {
            Refused::Overloaded => {}
            // The parent has ended, and the engine ends with this process.
            Refused::Stopping => self.stopped = true,
            _ => panic!("this cluster takes commands of this size, and has leaders: {refused}"),
        }
        let began = self.tickets.end(ticket);
        self.again.push(began);
        self.control.refused.fetch_add(1, SeqCst);
    }
}

fn record(into: &mut Histogram<u64>, now: u64, began: u64, count: u64) {
    if count > 0 {
        into.saturating_record_n(now.saturating_sub(began).max(1), count);
    }
}
