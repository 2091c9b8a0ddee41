//! What the engine has done for a session, and the replies that follow, in the order of the requests.

use std::collections::VecDeque;
use std::time::Instant;

use niagara_engine::Consistency;
use niagara_planted::{self as planted, Bug};

use super::{Freshness, Prepared, Session, Turn};
use crate::front::allowance::PLENTY_OF_OUTPUT_BYTES;
use crate::front::metrics::{Failure, Work};
use crate::front::slot::{Doing, EngineAnswer, Found, Slot, Sought};
use crate::front::token::Sequence;
use crate::protocol::{Engine, Outcome, Output, Protocol, Shown, Unread};

impl<P: Protocol, L: Copy> Session<P, L> {
    /// Takes what the engine reports for the request with this sequence number.
    pub(crate) fn complete<E: Engine<Lane = L>>(
        &mut self,
        sequence: Sequence,
        answer: EngineAnswer,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) {
        match answer {
            EngineAnswer::Of(outcome) => {
                self.lane_for_good |= matches!(outcome, Outcome::Unknown);
                let bytes = if let Outcome::Applied { reply, .. } = &outcome { reply.bytes() } else { 0 };
                self.hold_instead(sequence, bytes).end_write(outcome);
            }
            EngineAnswer::Found(found) => {
                self.hold_instead(sequence, found.reply.bytes()).find(found);
            }
            EngineAnswer::Detached { query, why } => {
                self.detached += usize::from(self.slot(sequence).detach(query, why));
            }
            EngineAnswer::Fresh(applied) => self.fresh(applied),
        }
        self.answer_finished(output, turn);
    }

    fn slot(&mut self, sequence: Sequence) -> &mut Slot<P> {
        let at = sequence.since(self.first);
        self.slots.get_mut(at).expect("what was answered and printed is not completed again")
    }

    /// A request's slot, which from now on holds so many bytes.
    fn hold_instead(&mut self, sequence: Sequence, bytes: usize) -> &mut Slot<P> {
        let slot = self.slot(sequence);
        let before = std::mem::replace(&mut slot.bytes, bytes);
        self.held = self.held + bytes - before;
        self.slot(sequence)
    }

    /// Takes the answer to a question about freshness: the applied position, or `None` if no quorum answered.
    fn fresh(&mut self, applied: Option<u64>) {
        self.freshness = match self.freshness {
            Freshness::Asked { until, consistency, since } => {
                Freshness::Known { until, consistency, since, applied }
            }
            Freshness::AskedAnew => Freshness::KnownAnew(applied),
            _ => panic!("an answer about freshness comes once, and only after a question"),
        };
    }

    /// Prints the replies at the front that are known. Replies to reads wait until the client takes some: a value
    /// that nobody has overwritten takes no memory here.
    pub(super) fn answer_finished<E: Engine<Lane = L>>(
        &mut self,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) {
        loop {
            if self.slots.front().is_some_and(Slot::is_detached) && !self.read_anew(turn) {
                break;
            }
            if self.is_held_up(output) {
                break;
            }
            let Some(Slot { since, bytes, doing }) = self.slots.pop_front_if(|slot| slot.is_finished())
            else {
                break;
            };
            self.held -= bytes;
            self.first = self.first.next();
            match doing {
                Doing::Write { shape, outcome } => {
                    let outcome = outcome.expect("it is finished");
                    self.answer_write(shape, outcome, since, output, turn);
                }
                Doing::Read { look, sought, .. } => self.answer_read(look, sought, since, output, turn),
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }

    fn answer_write<E>(
        &mut self,
        shape: P::Shape,
        outcome: Outcome,
        since: Instant,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) {
        let took = turn.now.saturating_duration_since(since);
        if P::is_request(&shape) {
            match outcome {
                Outcome::Applied { .. } => {}
                Outcome::Refused(_) => turn.tally.failed(P::WIRE, Failure::Refused),
                Outcome::Unknown => turn.tally.failed(P::WIRE, Failure::Unknown),
            }
            turn.tally.answered(P::WIRE, Work::Write, took);
        } else if let Some(waits) = self.slots.front_mut() {
            // It was done for this request, whose client has waited since then.
            waits.since = waits.since.min(since);
        } else if let Outcome::Applied { position, .. } = outcome {
            self.prepared = Some(Prepared { position, since });
        }
        self.protocol.answer(shape, outcome, took, output);
    }

    fn answer_read<E: Engine<Lane = L>>(
        &mut self,
        look: P::Look,
        sought: Sought,
        since: Instant,
        output: &mut Output,
        turn: &mut Turn<'_, E>,
    ) {
        let shown = match sought {
            Sought::Found(Found { applied, reply }) => Shown::Answer { applied, reply },
            Sought::Failed(Unread::NoQuorum) if turn.engine.is_diverged() => Shown::Nothing(Unread::Diverged),
            Sought::Failed(why) => Shown::Nothing(why),
            Sought::Waits | Sought::Anew(_) => panic!("only a finished read is answered"),
        };
        if matches!(shown, Shown::Nothing(_)) {
            turn.tally.failed(P::WIRE, Failure::NoQuorum);
        }
        let took = turn.now.saturating_duration_since(since);
        turn.tally.answered(P::WIRE, Work::Read, took);
        self.protocol.show(look, shown, took, output);
    }

    /// Executes the read at the front, whose command was refused, or executed elsewhere, as an ordinary read. If
    /// a later write of the connection has been executed, or may be, that would show what the client wrote behind
    /// the read, so the read fails. `false`: the outcomes of later writes, or how fresh the state is, must be
    /// awaited.
    fn read_anew<E: Engine<Lane = L>>(&mut self, turn: &mut Turn<'_, E>) -> bool {
        let careless = planted::is(Bug::LostReadAskedTooLate);
        let is_overtaken = self.slots.iter().any(Slot::may_be_executed) && !careless;
        let is_open = self.slots.iter().any(Slot::has_no_outcome) && !careless;
        let front = self.slots.front().expect("there is a read at the front");
        let (consistency, since) = (front.consistency(), front.since);
        let applied = match self.freshness {
            Freshness::KnownAnew(None) if consistency == Consistency::Weak => Ok(turn.engine.applied().get()),
            Freshness::KnownAnew(applied) => applied.ok_or(Unread::NoQuorum),
            Freshness::AskedAnew | Freshness::Asked { .. } => return false,
            _ if is_overtaken => Err(Unread::Overtaken),
            _ if is_open => return false,
            _ if turn.engine.read_since(self.origin.token(Sequence::default()), consistency, since) => {
                Ok(turn.engine.applied().get())
            }
            _ => {
                self.freshness = Freshness::AskedAnew;
                return false;
            }
        };
        self.detached -= 1;
        if self.detached == 0 {
            self.freshness = Freshness::Unasked;
        }
        let front = self.slots.front_mut().expect("there is a read at the front");
        front.read_now(turn.engine.reader(), applied);
        let bytes = match &front.doing {
            Doing::Read { sought: Sought::Found(found), .. } => found.reply.bytes(),
            _ => 0,
        };
        self.held = self.held + bytes - std::mem::replace(&mut front.bytes, bytes);
        true
    }

    /// Whether the reply at the front waits until the client takes some.
    pub(super) fn is_held_up(&self, output: &Output) -> bool {
        output.len() >= PLENTY_OF_OUTPUT_BYTES && self.slots.front().is_some_and(Slot::has_found)
    }
}
