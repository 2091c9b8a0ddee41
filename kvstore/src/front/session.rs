//! One client's conversation without its socket: bytes in, commands and reads to the engine, completions
//! back, bytes out.
//!
//! A [`Session`] keeps the rules that both protocols share. Replies leave in the order of their requests, and
//! a connection's pipeline behaves as if it were executed one by one, although much of it runs together:
//!
//! - Runs of writes are in flight together. They take one lane, which applies them in the order proposed.
//! - A run of reads shares one question to the engine: how fresh the state is. It is asked when no write of
//!   the connection is in flight, and nothing more is parsed until the answer. The requests stay in the input
//!   and are executed from there, so a read costs no memory of its own, and a write behind it waits.
//! - Everything else (a ping, a page of metrics, an error) waits until no write is in flight.
//! - A client may ask for more than it takes. While many replies wait, its further requests wait, too. They
//!   are still read ([`Allowance`]), so a client that writes everything before it reads can do so.
//!
//! An answer serves only reads that had arrived when the question was asked: a later read must see what
//! others were told in between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use niagara_engine::{Completion, Consistency};
use niagara_planted::{self as planted, Bug};

use super::allowance::Allowance;
use super::metrics::{Failure, Tally, Work};
use super::token::{Origin, Sequence};
use crate::Reply;
use crate::protocol::{Ask, Engine, Foreign, Input, Outcome, Output, Protocol, Served, View};

/// Most writes of one connection without an outcome. 1024 fill an entry with 64-byte commands, and limit what
/// a client can make the server remember.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// Commands of at least this size go to the engine in their own buffer, without being copied into a batch.
const SHARED_COMMAND_BYTES: usize = 32 << 10;

/// What a completion reports.
pub(crate) enum EngineAnswer {
    /// The outcome of a write.
    Of(Outcome),
    /// How fresh the state is: the applied position, or `None` if no quorum answered.
    Fresh(Option<u64>),
}

impl EngineAnswer {
    /// What a completion reports, and for which request.
    pub(crate) fn from(completion: Completion<Reply>) -> (u64, EngineAnswer) {
        match completion {
            Completion::Applied { token, position, reply } => {
                (token, EngineAnswer::Of(Outcome::Applied { position: position.get(), reply }))
            }
            Completion::Refused { token, refused } => (token, EngineAnswer::Of(Outcome::Refused(refused))),
            Completion::Unknown { token, .. } => (token, EngineAnswer::Of(Outcome::Unknown)),
            Completion::Readable { token, applied } => (token, EngineAnswer::Fresh(Some(applied.get()))),
            Completion::ReadFailed { token } => (token, EngineAnswer::Fresh(None)),
        }
    }
}

/// What a session works with in one turn of its thread.
pub(crate) struct Turn<'t, E> {
    pub(crate) allowance: Allowance,
    pub(crate) engine: &'t mut E,
    pub(crate) now: Instant,
    pub(crate) tally: &'t mut Tally,
    /// Where commands are encoded before they are copied into a batch.
    pub(crate) command: &'t mut Vec<u8>,
}

/// Why [`Session::pump`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// The input has no further complete request.
    NeedsInput,
    /// The next request waits for a completion.
    NeedsCompletion,
    /// The next request waits until the client takes some replies.
    NeedsOutput,
    /// No further request will be read.
    Over,
}

/// A write in flight.
struct Slot<S> {
    shape: S,
    since: Instant,
    outcome: Option<Outcome>,
}

/// The question how fresh the state is, and its answer.
#[derive(Clone, Copy)]
enum Freshness {
    Unasked,
    /// Asked for the reads that end at or before `until` in the stream.
    Asked {
        until: u64,
        consistency: Consistency,
        since: Instant,
    },
    /// Answered, with a position or a failure.
    Known {
        until: u64,
        consistency: Consistency,
        since: Instant,
        applied: Option<u64>,
    },
}

/// See the [module](self).
pub(crate) struct Session<P: Protocol, L> {
    protocol: P,
    origin: Origin,
    slots: VecDeque<Slot<P::Shape>>,
    /// The sequence number of the first slot.
    first: Sequence,
    lane: Option<L>,
    /// A write's outcome is unknown, so it may still be applied at any time. Only in its lane can it not
    /// overtake what the connection sends later, so the connection stays there for good (invariant
    /// fifo_per_connection).
    lane_for_good: bool,
    freshness: Freshness,
}

impl<P: Protocol, L: Copy> Session<P, L> {
    pub(crate) fn new(protocol: P, origin: Origin) -> Self {
        Session {
            protocol,
            origin,
            slots: VecDeque::new(),
            first: Sequence::default(),
            lane: None,
            lane_for_good: false,
            freshness: Freshness::Unasked,
        }
    }

    /// Starts as many requests as possible.
    pub(crate) fn pump<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> Pumped {
        loop {
            if self.protocol.is_over() {
                input.consume(input.len());
                return Pumped::Over;
            }
            if !turn.allowance.may_execute(input, output) {
                return Pumped::NeedsOutput;
            }
            if matches!(self.freshness, Freshness::Asked { .. }) {
                return Pumped::NeedsCompletion;
            }
            let started = match self.protocol.next(input, &*turn.engine) {
                None => return Pumped::NeedsInput,
                Some(Ask::Write) => self.slots.len() < MAX_IN_FLIGHT && self.start_write(input, output, turn),
                Some(Ask::Read(consistency)) => {
                    self.slots.is_empty() && self.start_read(consistency, input, output, turn)
                }
                Some(Ask::Local) => self.slots.is_empty() && self.start_local(input, output, turn),
            };
            if !started {
                return Pumped::NeedsCompletion;
            }
        }
    }

    fn start_write<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        self.freshness = Freshness::Unasked;
        let lane = match self.lane {
            Some(lane) if self.must_keep_lane() => lane,
            _ => *self.lane.insert(turn.engine.choose_lane()),
        };
        turn.command.clear();
        let shape = self.protocol.write(input, turn.command);
        let token = self.origin.token(self.first.plus(self.slots.len()));
        let proposed = if turn.command.len() < SHARED_COMMAND_BYTES {
            turn.engine.propose(lane, token, turn.command)
        } else {
            let mut command = std::mem::take(turn.command);
            command.shrink_to_fit();
            turn.engine.propose_shared(lane, token, command.into())
        };
        let outcome = proposed.err().map(Outcome::Refused);
        self.slots.push_back(Slot { shape, since: turn.now, outcome });
        self.answer_finished(output, turn);
        true
    }

    /// Whether another lane could overtake what is in flight.
    fn must_keep_lane(&self) -> bool {
        let for_good = self.lane_for_good && !planted::is(Bug::LaneLeftAfterUnknown);
        (for_good || !self.slots.is_empty()) && !planted::is(Bug::LaneChangedInFlight)
    }

    /// `false`: the read must wait and stays in the input.
    fn start_read<E: Engine<Lane = L>>(
        &mut self,
        consistency: Consistency,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        let end = input.position(self.protocol.length());
        let (applied, since) = match self.freshness {
            Freshness::Known { until, consistency: known, since, applied }
                if end <= until && known == consistency =>
            {
                (applied, since)
            }
            _ => {
                if !turn.engine.read(self.origin.token(Sequence::default()), consistency) {
                    let until = input.position(input.len());
                    self.freshness = Freshness::Asked { until, consistency, since: turn.now };
                    return false;
                }
                // Loaded before the state is read, so the state cannot be older.
                (Some(turn.engine.applied().get()), turn.now)
            }
        };
        let diverged = applied.is_none() && turn.engine.is_diverged();
        self.protocol.read(input, &View { reader: turn.engine.reader(), applied, diverged }, output);
        if applied.is_none() {
            turn.tally.failed(P::WIRE, Failure::NoQuorum);
        }
        turn.tally.answered(P::WIRE, Work::Read, turn.now.saturating_duration_since(since));
        true
    }

    fn start_local<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        let served = self.protocol.local(input, &*turn.engine, output);
        if served == Served::Malformed {
            turn.tally.failed(P::WIRE, Failure::Malformed);
        }
        if served != Served::Interim {
            turn.tally.answered(P::WIRE, Work::Other, Duration::ZERO);
        }
        true
    }

    /// Takes the outcome of a write.
    pub(crate) fn complete<E>(
        &mut self,
        sequence: Sequence,
        outcome: Outcome,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) {
        self.lane_for_good |= matches!(outcome, Outcome::Unknown);
        let slot = self.slots.get_mut(sequence.since(self.first)).filter(|slot| slot.outcome.is_none());
        slot.expect("each accepted command gets one completion").outcome = Some(outcome);
        self.answer_finished(output, turn);
    }

    /// Takes the answer to a question about freshness: the applied position, or `None` if no quorum answered.
    pub(crate) fn fresh(&mut self, applied: Option<u64>) {
        let Freshness::Asked { until, consistency, since } = self.freshness else {
            panic!("an answer about freshness comes once, and only after a question");
        };
        self.freshness = Freshness::Known { until, consistency, since, applied };
    }

    /// Prints the replies of the writes at the front that have an outcome.
    fn answer_finished<E>(&mut self, output: &mut Output, turn: &mut Turn<'_, E>) {
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.outcome.is_some()) {
            let outcome = slot.outcome.expect("the loop's condition checked it");
            self.first = self.first.next();
            if P::is_request(&slot.shape) {
                match outcome {
                    Outcome::Applied { .. } => {}
                    Outcome::Refused(_) => turn.tally.failed(P::WIRE, Failure::Refused),
                    Outcome::Unknown => turn.tally.failed(P::WIRE, Failure::Unknown),
                }
                turn.tally.answered(P::WIRE, Work::Write, turn.now.saturating_duration_since(slot.since));
            }
            self.protocol.answer(slot.shape, outcome, output);
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }

    /// Whether nothing is in flight, so no completion will come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.slots.is_empty() && !matches!(self.freshness, Freshness::Asked { .. })
    }

    /// Whether the client still owes the rest of a request.
    pub(crate) fn is_amid_request(&self, input: &Input) -> bool {
        self.protocol.is_amid_request(input)
    }

    /// See [`Protocol::take_foreign`].
    pub(crate) fn take_foreign(&mut self) -> Option<Foreign> {
        self.protocol.take_foreign()
    }

    /// See [`Protocol::sink`].
    pub(crate) fn sink(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        self.protocol.sink()
    }
}
