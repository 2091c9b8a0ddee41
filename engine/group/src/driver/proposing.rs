//! How commands become entries: a leader proposes and pads, a follower forwards.

use std::ops::Deref;

use niagara_sequencer::{Padding, next_place};
use raft::eraftpb::{Entry, Message, MessageType};

use super::Driver;
use super::turn::{Output, View};
use crate::batch::{Span, encode_commands, encode_skip};
use crate::epoch_end::encode_end;
use crate::lane_source::LaneSource;
use crate::own_lane::Signs;
use crate::planted::{self, Bug};
use crate::unpersisted::bytes_of;
use crate::wire::Wire;

/// What keeps waiting commands from being cut or forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldBack {
    /// Nothing holds them back.
    No,
    /// The window is full. They wait until the merge has emptied half of it, or less if little of it is on
    /// its way.
    Window,
    /// This server's disk is too slow or too full.
    Disk,
    /// There is no leader, a transfer is in progress, or what was forwarded to the leader has not been
    /// executed or sent.
    Other,
}

impl Driver {
    /// The leader's part of a turn: proposes commands, then the padding that is still needed, in one message.
    pub(super) fn propose<L: Deref<Target: LaneSource>>(
        &mut self,
        view: &View,
        lanes: &[L],
        output: &mut Output,
    ) {
        let was_full = std::mem::replace(&mut self.held, HeldBack::No) == HeldBack::Window;
        if self.raft.raft.lead_transferee.is_some() {
            self.held = HeldBack::Other;
            return;
        }
        let waits = was_full && self.slots.unmerged_commands() > self.resumes_at();
        let in_flight = self.slots.unmerged_bytes() as usize + self.intake.waiting_bytes(lanes);
        let entry_bytes = self.pacing.entry_bytes(in_flight, self.config.entry_bytes);
        let mut place = self.slots.last_place();
        if planted::is(Bug::SlotsNotRising) {
            place = self.slots.place_at(self.commit());
        }
        let (mut entries, mut foreign) = (Vec::new(), Vec::new());
        while self.intake.has_work(lanes) {
            if view.read_only || self.unpersisted.is_full() {
                self.held = HeldBack::Disk;
                break;
            }
            if waits || !self.pacing.may_cut(self.slots.unmerged_commands() + entries.len()) {
                self.held = HeldBack::Window;
                break;
            }
            let batches = self.intake.cut(lanes, entry_bytes);
            if batches.is_empty() {
                break;
            }
            place = next_place(place, self.level);
            self.level = self.level.max(place);
            output.cut.entries += 1;
            for batch in &batches {
                output.cut.commands += u64::from(batch.span.count);
                output.cut.bytes += batch.body.len() as u64;
            }
            foreign.extend(
                batches.iter().map(|batch| batch.span).filter(|span| span.server != self.config.server),
            );
            let (context, data) = encode_commands(place, &batches);
            entries.push(Entry { context, data, ..Entry::default() });
            self.unpersisted.arrived(bytes_of(&entries[entries.len() - 1..]));
        }
        if let Some(end) = self.end.take_if(|_| !self.unpersisted.is_full()) {
            place = next_place(place, self.level);
            self.level = self.level.max(place);
            let (context, data) = encode_end(place, &end);
            entries.push(Entry { context, data, ..Entry::default() });
        }
        if !entries.is_empty() {
            self.last_cut = self.ticks;
        }
        let mut skip_to = (Padding { last: place, ..self.padding(view, lanes) }).skip_to();
        if planted::is(Bug::PadsAsCount) {
            let committed = self.slots.place_at(self.commit());
            skip_to = (committed < self.level).then(|| place + self.level - committed);
        }
        if planted::is(Bug::PadsWhenIdle) && self.ticks > self.last_cut + 2 && entries.is_empty() {
            self.last_cut = self.ticks;
            skip_to = Some(place + 1);
        }
        if let Some(target) = skip_to
            && !self.unpersisted.is_full()
        {
            output.skips += 1;
            entries.push(Entry { context: encode_skip(target), ..Entry::default() });
        }
        if !entries.is_empty() && !self.append_as_leader(entries) {
            self.refuse(foreign);
        }
    }

    /// How many entries may be ahead of the merge when commands that the window held back proceed.
    pub(super) fn resumes_at(&self) -> usize {
        let committed = self.slots.unmerged_commands_through(self.commit());
        self.pacing.goes_on_at(self.slots.unmerged_commands() - committed)
    }

    /// Proposes entries. Returns whether raft-rs has accepted them.
    fn append_as_leader(&mut self, entries: Vec<Entry>) -> bool {
        let propose = Message {
            msg_type: MessageType::MsgPropose,
            from: self.config.server,
            entries: entries.into(),
            ..Message::default()
        };
        let result = self.raft.step(propose);
        if let Err(error) = &result {
            // Leadership is changing: the lanes are resent afterwards.
            tracing::debug!(%error, "raft refused a proposal");
            self.intake.lost(self.ticks);
        }
        result.is_ok()
    }

    /// Notifies other servers that their commands were not appended.
    fn refuse(&mut self, spans: Vec<Span>) {
        for span in spans {
            self.outbox.push((span.server, Wire::Nack { lane: span.lane, attempt: span.attempt }));
        }
    }

    /// A leader is idle when it has cut nothing for two ticks and its own last commands are merged. Before
    /// two ticks, skipping ahead between the commands of a steady trickle would only waste places; before the
    /// commands are merged, this group may be about to become the anchor.
    pub(super) fn padding<L: Deref<Target: LaneSource>>(&self, view: &View, lanes: &[L]) -> Padding {
        let quiet = self.ticks - self.last_cut >= 2 && self.slots.unmerged_commands() == 0;
        let idle = quiet && !self.intake.has_work(lanes);
        let level = self.level.max(view.level);
        let may_be_ahead = !view.anchor || planted::is(Bug::AnchorSkipsAhead);
        Padding { last: self.slots.last_place(), level, ahead: idle && may_be_ahead }
    }

    /// Resends those of this server's lanes that may have been lost on their way to a leader.
    pub(super) fn resend_if_lost<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L], output: &mut Output) {
        let leader = (self.term(), self.leader());
        // A leader knows what is in its log; and behind a slow link, commands are not lost but wait for their
        // turn.
        let is_out_of_sight = !self.leads() && self.outbox.has_room(leader.1);
        for (own, lane) in self.intake.own.iter_mut().zip(lanes) {
            let (next_command, gap_attempt) = (lane.next_command(), lane.gap_attempt());
            let signs = Signs { now: self.ticks, next_command, gap_attempt, leader, is_out_of_sight };
            output.attempts += u64::from(own.resend_if_lost(&signs));
        }
    }

    /// The state of one of this server's lanes, in words.
    pub fn describe_lane(&self, lane: u16) -> String {
        let described = self.intake.lane(lane).map(|own| own.describe(self.ticks));
        format!("{}, held {:?}", described.unwrap_or_default(), self.held)
    }

    /// A follower's part of a turn: forwards its clients' commands to the leader.
    pub(super) fn pass_on<L: Deref<Target: LaneSource>>(&mut self, lanes: &[L]) {
        let forwarded = self.intake.forwarded.drop_all();
        self.refuse(forwarded);
        self.end = None;
        let leader = self.leader();
        self.held = if leader == 0 { HeldBack::Other } else { HeldBack::No };
        while leader != 0 && self.intake.own_have_work(lanes) {
            let is_full = self.intake.sent_bytes() >= self.config.entry_bytes * self.config.window;
            if is_full || !self.outbox.has_room(leader) {
                self.held = HeldBack::Other;
                break;
            }
            let Some(batch) = self.intake.next_own(lanes, self.config.entry_bytes) else { break };
            self.outbox.push((leader, Wire::Forward(batch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bytes::Bytes;

    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output, View};
    use super::*;
    use crate::batch::SubBatch;
    use crate::own_lane::MOST_PATIENCE_ELECTIONS;

    #[test]
    fn whose_commands_are_in_a_proposal_that_is_refused_is_told() {
        let mut driver = Driver::in_memory(DriverConfig::small());
        let span = Span { server: 2, incarnation: 1, lane: 0, attempt: 7, first: 1, count: 1 };
        assert!(driver.intake.forwarded.take(SubBatch {
            span,
            lone: true,
            body: Bytes::from_static(b"command")
        }));
        // This replica does not lead, so its proposal is refused.
        let mut output = Output::default();
        driver.propose(&View::default(), &[&NoCommands], &mut output);
        driver.outbox.release(&mut output.messages);
        assert_eq!(output.messages, [(2, Wire::Nack { lane: 0, attempt: 7 })]);
        assert!(driver.intake.is_about_to_resend(), "and its own are sent again");
    }

    /// A lane with one command.
    struct One(RefCell<Option<SubBatch>>);

    impl LaneSource for One {
        fn is_empty(&self) -> bool {
            self.0.borrow().is_none()
        }
        fn bytes(&self) -> usize {
            self.0.borrow().as_ref().map_or(0, |batch| batch.body.len())
        }
        fn take(&self, _: usize, out: &mut Vec<SubBatch>) {
            out.extend(self.0.take());
        }
        fn next_command(&self) -> u64 {
            1
        }
        fn gap_attempt(&self) -> Option<u32> {
            None
        }
    }

    #[test]
    fn a_lane_that_does_not_move_is_sent_again_ever_more_rarely_but_never_given_up() {
        let mut follower = Driver::in_memory(DriverConfig::small());
        let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 1 };
        let lane =
            One(RefCell::new(Some(SubBatch { span, lone: true, body: Bytes::from_static(b"command") })));
        let election = u64::from(follower.config.election_ticks);
        let (mut output, mut sent_at) = (Output::default(), Vec::new());
        for tick in 0..200 * election {
            let heartbeat = Message {
                msg_type: MessageType::MsgHeartbeat,
                from: 2,
                to: 1,
                term: 1,
                ..Message::default()
            };
            follower.receive(2, Wire::Raft(Box::new(heartbeat)));
            follower.tick(&View::default());
            output.messages.clear();
            follower.turn(&View::default(), &[&lane], &mut output);
            sent_at.extend(
                output.messages.iter().any(|(_, wire)| matches!(wire, Wire::Forward(_))).then_some(tick),
            );
        }
        let pauses: Vec<u64> = sent_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        let most = MOST_PATIENCE_ELECTIONS * election + 1;
        assert!(pauses[0] <= election + 1 && pauses.iter().all(|pause| *pause <= most), "{pauses:?}");
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}
