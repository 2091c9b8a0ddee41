//! One client's conversation without its socket: bytes in, commands and reads to the engine, completions
//! back, bytes out.
//!
//! A [`Session`] keeps the rules that both protocols share. Replies leave in the order of their requests, and
//! a connection's pipeline behaves as if it were executed one by one, although much of it runs together:
//!
//! - Runs of writes are in flight together. They take one lane, which applies them in the order proposed.
//! - A read of a few keys in a pipeline with writes is *attached*: the engine executes it right after a command of
//!   its lane that has not been submitted yet. Its place among the connection's writes is where the client put
//!   it, and all are in flight together. If nothing is staged in the lane, a command without effect is, for all
//!   reads of the thread's turn.
//! - Any other run of reads shares one question to the engine: how fresh the state is. It is asked when nothing
//!   of the connection is in flight, and nothing more is parsed until the answer. The requests stay in the
//!   input and are executed from there, so a read costs no memory of its own, and a write behind it waits.
//! - Once the server is about to stop, writes and reads are refused, each in its turn. What was started before
//!   is answered.
//! - A reply without an end of its own is gone on with instead of further requests.
//! - Everything else (a ping, a page of metrics, an error) waits until nothing is in flight.
//! - A client may ask for more than it takes. While many replies wait, its further requests wait, too. They
//!   are still read ([`Allowance`]), so a client that writes everything before it reads can do so.
//!
//! An answer serves only reads that had arrived when the question was asked: a later read must see what
//! others were told in between.

mod replies;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_engine::Consistency;
use niagara_planted::{self as planted, Bug};

use super::allowance::Allowance;
use super::metrics::{Failure, Tally, Work};
use super::slot::{Doing, Slot, Sought};
use super::token::{NOBODY, Origin, Sequence};
use crate::command::encode_nothing;
use crate::protocol::{
    Ask, Circumstances, Engine, Foreign, Input, Outcome, Output, Protocol, Served, Streamed, Unasked, View,
};

/// Most writes and attached reads of one connection without an outcome. 1024 fill an entry with 64-byte commands, and limit what
/// a client can make the server remember.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// Commands of at least this size go to the engine in their own buffer, without being copied into a batch.
const SHARED_COMMAND_BYTES: usize = 32 << 10;

/// A connection that has written this few reads ago is about to write again: if more requests follow, its reads
/// are attached, so that these need not wait.
const READS_BETWEEN_WRITES: u32 = 64;

/// What a session works with in one turn of its thread.
pub(crate) struct Turn<'t, E> {
    pub(crate) allowance: Allowance,
    pub(crate) engine: &'t mut E,
    pub(crate) now: Instant,
    /// The time of the cluster, in milliseconds since 1970, if it is known.
    pub(crate) time: Option<u64>,
    pub(crate) tally: &'t mut Tally,
    /// Where commands are encoded before they are copied into a batch.
    pub(crate) command: &'t mut Vec<u8>,
}

/// Why [`Session::pump`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// The input has no further complete request.
    NeedsInput,
    /// The next request waits for a completion, or for the end of a reply that has none of its own.
    NeedsCompletion,
    /// The next request waits until the client takes some replies.
    NeedsOutput,
    /// The next request waits until clients are not paused any more.
    HeldUp,
    /// No further request will be read.
    Over,
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
    /// Asked for attached reads that were not executed with their commands.
    AskedAnew,
    /// Answered, for these.
    KnownAnew(Option<u64>),
}

/// A command that the protocol has had executed for a request, before the request itself.
#[derive(Clone, Copy)]
struct Prepared {
    position: u64,
    since: Instant,
}

/// See the [module](self).
pub(crate) struct Session<P: Protocol, L> {
    protocol: P,
    origin: Origin,
    slots: VecDeque<Slot<P>>,
    /// How many of them are reads to be executed anew. Nothing more is started until these are.
    detached: usize,
    /// Reads since the last write.
    reads: u32,
    /// The sequence number of the first slot.
    first: Sequence,
    lane: Option<L>,
    /// A write's outcome is unknown, so it may still be applied at any time. Only in its lane can it not
    /// overtake what the connection sends later, so the connection stays there for good (invariant
    /// fifo_per_connection).
    lane_for_good: bool,
    freshness: Freshness,
    /// The protocol's own command that the next request has waited for.
    prepared: Option<Prepared>,
    /// Bytes of the commands and replies in `slots`.
    held: usize,
}

impl<P: Protocol, L: Copy> Session<P, L> {
    pub(crate) fn new(protocol: P, origin: Origin) -> Self {
        Session {
            protocol,
            origin,
            slots: VecDeque::new(),
            detached: 0,
            reads: READS_BETWEEN_WRITES,
            first: Sequence::default(),
            lane: None,
            lane_for_good: false,
            freshness: Freshness::Unasked,
            prepared: None,
            held: 0,
        }
    }

    /// Starts as many requests as possible.
    pub(crate) fn pump<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> Pumped {
        self.answer_finished(output, turn);
        loop {
            if self.protocol.is_over() {
                input.consume(input.len());
                return Pumped::Over;
            }
            if !turn.allowance.may_execute(input, output) || self.is_held_up(output) {
                return Pumped::NeedsOutput;
            }
            if self.is_asking() || self.detached > 0 {
                return Pumped::NeedsCompletion;
            }
            match self.protocol.stream(&*turn.engine, turn.now, output) {
                None => {}
                Some(_) if self.protocol.is_over() => continue,
                Some(Streamed::All) => return Pumped::NeedsCompletion,
                Some(Streamed::Some) => return Pumped::NeedsOutput,
            }
            let is_short = turn.allowance.is_short();
            let now = Circumstances { now: turn.now, time: turn.time, is_short };
            let next = self.protocol.next(input, &*turn.engine, now);
            // It counts for the request that is next now, and for no other.
            let prepared = self.prepared.take();
            let started = match next {
                None => return Pumped::NeedsInput,
                Some(Ask::Write | Ask::Read(_)) if turn.engine.is_retiring() => {
                    self.slots.is_empty() && self.refuse(input, output, turn)
                }
                Some(_) if self.protocol.is_held_up() => return Pumped::HeldUp,
                Some(Ask::Write) => self.slots.len() < MAX_IN_FLIGHT && self.start_write(input, output, turn),
                Some(Ask::Read(Consistency::Strong)) if prepared.is_some() => {
                    self.slots.is_empty()
                        && self.start_read(Consistency::Strong, prepared, input, output, turn)
                }
                Some(Ask::Read(consistency)) if self.attaches(consistency, input, &*turn.engine) => {
                    self.start_attached(consistency, input, output, turn)
                }
                Some(Ask::Read(consistency)) => {
                    self.slots.is_empty() && self.start_read(consistency, None, input, output, turn)
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
        self.reads = 0;
        let lane = self.choose_lane(turn.engine);
        turn.command.clear();
        let shape = self.protocol.write(input, turn.command);
        let token = self.origin.token(self.first.plus(self.slots.len()));
        let bytes = turn.command.len();
        let proposed = if bytes < SHARED_COMMAND_BYTES {
            turn.engine.propose(lane, token, turn.command)
        } else {
            let mut command = std::mem::take(turn.command);
            command.shrink_to_fit();
            turn.engine.propose_shared(lane, token, command.into())
        };
        let outcome = proposed.err().map(Outcome::Refused);
        self.hold(Slot { since: turn.now, bytes, doing: Doing::Write { shape, outcome } });
        self.answer_finished(output, turn);
        true
    }

    /// Whether the next request, which is a read, is attached to a command.
    fn attaches<E: Engine<Lane = L>>(&self, consistency: Consistency, input: &Input, engine: &E) -> bool {
        if self.is_preparing() {
            // Whatever it learns meanwhile, its deadline counts from its arrival, as that of the command does.
            return false;
        }
        let is_behind = !self.slots.is_empty();
        let is_due = match consistency {
            Consistency::Strong => is_behind || self.is_amid_writes(input),
            // Alone, it waits for nothing.
            Consistency::Weak => is_behind,
            // Its command gets a later position than any that is applied.
            Consistency::AtLeast(position) => {
                is_behind && (position <= engine.applied() || planted::is(Bug::AtLeastAttachedUnchecked))
            }
            _ => false,
        };
        is_due && !engine.follows() && self.slots.len() < MAX_IN_FLIGHT && self.protocol.may_attach(input)
    }

    /// Whether the next request waits for a command of the protocol's own.
    fn is_preparing(&self) -> bool {
        let last = self.slots.back().map(|slot| &slot.doing);
        matches!(last, Some(Doing::Write { shape, .. }) if !P::is_request(shape))
    }

    fn is_amid_writes(&self, input: &Input) -> bool {
        let end = self.protocol.length();
        let is_known =
            matches!(self.freshness, Freshness::Known { until, .. } if input.position(end) <= until);
        self.reads < READS_BETWEEN_WRITES && input.len() > end && !is_known
    }

    fn start_attached<E: Engine<Lane = L>>(
        &mut self,
        consistency: Consistency,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        let lane = self.choose_lane(turn.engine);
        turn.command.clear();
        if !turn.engine.is_staged(lane) {
            encode_nothing(turn.command);
            if turn.engine.propose(lane, NOBODY, turn.command).is_err() {
                return self.slots.is_empty() && self.start_read(consistency, None, input, output, turn);
            }
            turn.command.clear();
        }
        self.reads = self.reads.saturating_add(1);
        let look = self.protocol.attach(input, turn.command);
        let token = self.origin.token(self.first.plus(self.slots.len()));
        let attached = turn.engine.attach(lane, token, turn.command);
        let sought = match attached {
            Ok(()) => Sought::Waits,
            Err(_) => {
                // A state machine around the store need not answer its queries.
                self.detached += 1;
                Sought::Anew(Bytes::copy_from_slice(turn.command))
            }
        };
        let bytes = turn.command.len();
        self.hold(Slot { since: turn.now, bytes, doing: Doing::Read { look, consistency, sought } });
        self.answer_finished(output, turn);
        true
    }

    fn hold(&mut self, slot: Slot<P>) {
        self.held += slot.bytes;
        self.slots.push_back(slot);
    }

    /// The lane of what the connection sends next.
    fn choose_lane<E: Engine<Lane = L>>(&mut self, engine: &E) -> L {
        match self.lane {
            Some(lane) if self.must_keep_lane() => lane,
            _ => *self.lane.insert(engine.choose_lane()),
        }
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
        prepared: Option<Prepared>,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        self.reads = self.reads.saturating_add(1);
        let end = input.position(self.protocol.length());
        let (applied, since) = match (self.freshness, prepared) {
            (Freshness::Known { until, consistency: known, since, applied }, _)
                if end <= until && known == consistency =>
            {
                (applied, since)
            }
            // That command was not in a lane yet when the request came: it is later than whatever anybody was told before.
            (_, Some(Prepared { position, since })) => {
                (Some(position.max(turn.engine.applied().get())), since)
            }
            _ => {
                let (until, since) = (input.position(input.len()), turn.now);
                if !turn.engine.read(self.origin.token(Sequence::default()), consistency) {
                    self.freshness = Freshness::Asked { until, consistency, since };
                    return false;
                }
                // Loaded before the state is read, so the state cannot be older.
                let applied = Some(turn.engine.applied().get());
                if consistency == Consistency::Strong {
                    // By a lease: the reads behind this one need not look at it again.
                    self.freshness = Freshness::Known { until, consistency, since, applied };
                }
                (applied, since)
            }
        };
        let diverged = applied.is_none() && turn.engine.is_diverged();
        let waited = turn.now.saturating_duration_since(since);
        let view = View { reader: turn.engine.reader(), waited, applied, diverged };
        self.protocol.read(input, &view, output);
        if applied.is_none() {
            turn.tally.failed(P::WIRE, Failure::NoQuorum);
        }
        turn.tally.answered(P::WIRE, Work::Read, waited);
        true
    }

    fn start_local<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        let served = self.protocol.local(input, &*turn.engine, output);
        match served {
            Served::Malformed => turn.tally.failed(P::WIRE, Failure::Malformed),
            Served::Short => turn.tally.failed(P::WIRE, Failure::Short),
            Served::Answered | Served::Interim => {}
        }
        if served != Served::Interim {
            turn.tally.answered(P::WIRE, Work::Other, Duration::ZERO);
        }
        true
    }

    /// Refuses a request, in its turn, because the server is about to stop.
    fn refuse<E: Engine<Lane = L>>(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) -> bool {
        self.protocol.refuse(input, output);
        turn.tally.failed(P::WIRE, Failure::Refused);
        turn.tally.answered(P::WIRE, Work::Other, Duration::ZERO);
        true
    }

    /// Whether the engine owes an answer about freshness.
    fn is_asking(&self) -> bool {
        matches!(self.freshness, Freshness::Asked { .. } | Freshness::AskedAnew)
    }

    /// Whether nothing is in flight, so no completion will come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.slots.is_empty() && !self.is_asking()
    }

    /// See [`Protocol::publish`].
    pub(crate) fn publish(&self) {
        self.protocol.publish();
    }

    /// See [`Protocol::publish_bytes`].
    pub(crate) fn publish_bytes(&self, requests: usize, replies: usize) {
        self.protocol.publish_bytes(requests, replies);
    }

    /// See [`Protocol::is_spared`].
    pub(crate) fn is_spared(&self) -> bool {
        self.protocol.is_spared()
    }

    /// See [`Protocol::introduce`].
    pub(crate) fn introduce(&mut self, name: &str) {
        self.protocol.introduce(name);
    }

    /// Bytes held for requests that are not finished, besides what is in the input.
    pub(crate) fn held(&self) -> usize {
        self.held + self.protocol.held()
    }

    /// Whether the client still owes the rest of a request.
    pub(crate) fn is_amid_request(&self, input: &Input) -> bool {
        self.protocol.is_amid_request(input)
    }

    /// See [`Protocol::tell`].
    pub(crate) fn tell(&mut self, unasked: Unasked<'_>, output: &mut Output) {
        self.protocol.tell(unasked, output);
    }

    /// See [`Protocol::listens`].
    pub(crate) fn listens(&self) -> bool {
        self.protocol.listens()
    }

    /// See [`Protocol::streams`].
    pub(crate) fn streams(&self) -> bool {
        self.protocol.streams()
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
