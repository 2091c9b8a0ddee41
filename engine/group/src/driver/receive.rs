//! Handles other servers' messages.

use std::cmp::Ordering;

use raft::INVALID_ID;
use raft::eraftpb::{Message, MessageType};

use super::Driver;
use super::admit::Refused;
use crate::batch::Span;
use crate::behind::PendingInstall;
use crate::planted::{self, Bug};
use crate::wire::Wire;

impl Driver {
    /// Handles a message from another server. The transport has checked that the sender is a member.
    pub fn receive(&mut self, from: u64, wire: Wire) {
        self.contact.heard(from, self.ticks);
        match wire {
            Wire::Raft(message) => self.receive_raft(from, *message),
            Wire::Notice(message) => self.receive_notice(from, *message),
            Wire::Forward(batch) => {
                let Span { lane, attempt, .. } = batch.span;
                let admitted = self.admit_forward(from, &batch);
                if !self.is_taken(from, &"Forward", admitted)
                    || !self.leads()
                    || !self.intake.forwarded.take(batch)
                {
                    self.outbox.push((from, Wire::Nack { lane, attempt }));
                }
            }
            Wire::Nack { lane, attempt } => {
                if let Some(lane) = self.intake.lane_mut(lane)
                    && attempt == lane.attempt()
                    && !lane.is_about_to_resend()
                {
                    // The server that refused may not know the leader yet either: give it a tick.
                    lane.lost(self.ticks);
                }
            }
            Wire::Snapshot { term, round } => {
                let admitted = self.admit_snapshot(from, term, round);
                if self.is_taken(from, &"Snapshot", admitted) {
                    self.snapshot_named(PendingInstall { from, term, round });
                }
            }
            Wire::PadRequest { level } => self.request_pad(level),
            Wire::AskPromise { term, asked } => self.promise(from, term, asked),
            Wire::Promise { term, asked } => self.is_promised(from, term, asked),
            // Concerns servers, not replicas: the driver's owner handles it.
            Wire::Digests(_) => {}
            Wire::Claim => {
                let election = u64::from(self.config.election_ticks);
                let steady = self.contact.is_steady(from, self.ticks, 2 * election)
                    || planted::is(Bug::FlappingServerLeads);
                if self.leads()
                    && from == self.config.wanted_leader
                    && self.placement.may_transfer(self.ticks)
                    && steady
                {
                    self.hand_leadership_over(Some(from));
                }
            }
        }
    }

    /// Whether a message is accepted. Reports one that no correct server sends.
    fn is_taken(&mut self, from: u64, kind: &dyn std::fmt::Debug, admitted: Result<(), Refused>) -> bool {
        if let Err(Refused::Wrong(why)) = admitted {
            self.refusals.note(self.ticks, from, kind, why);
        }
        admitted.is_ok()
    }

    pub(super) fn receive_raft(&mut self, from: u64, mut message: Message) {
        if message.msg_type == MessageType::MsgAppend && message.to == 0 {
            message.to = self.config.server;
        }
        let admitted = self.admit(from, &message);
        if !self.is_taken(from, &message.msg_type, admitted) {
            return;
        }
        // A server that gives its leaderships away gets no others: the leader tries somebody else.
        if message.msg_type == MessageType::MsgTimeoutNow && self.drains {
            return;
        }
        if self.asks_to_break_a_promise(&message) {
            return;
        }
        self.forget_leader_that_stands(&message);
        if self.keeps(&message) {
            return;
        }
        if self.contradicted.is_none() {
            self.contradicted = self.contradiction(&message);
        }
        if self.contradicted.is_some() {
            return;
        }
        if message.msg_type == MessageType::MsgAppendResponse {
            self.flow.forget_probe(from);
        }
        self.note_answer(from, &message);
        if !self.takes(&mut message) {
            return;
        }
        // What is asked for a term that is over, or in which this replica has voted, is refused whatever the logs hold.
        let is_open = match message.term.cmp(&self.term()) {
            Ordering::Less => false,
            Ordering::Equal => self.raft.raft.vote == INVALID_ID,
            Ordering::Greater => true,
        };
        let before = self.raft.raft.msgs.len();
        if let Err(error) = self.step(message) {
            tracing::debug!(from, %error, "raft refused a message");
        }
        let refused =
            |answer: &Message| answer.msg_type == MessageType::MsgRequestPreVoteResponse && answer.reject;
        if is_open && self.raft.raft.msgs.iter().skip(before).any(refused) {
            self.failover.has_longer_log(self.ticks);
        }
    }

    /// Notes that a follower takes this replica for its leader.
    fn note_answer(&mut self, from: u64, message: &Message) {
        let answers =
            matches!(message.msg_type, MessageType::MsgHeartbeatResponse | MessageType::MsgAppendResponse);
        if answers && message.term == self.term() && self.leads() {
            self.answers.heard(from, self.ticks);
        }
    }

    /// Handles an append whose acknowledgement would say nothing new.
    fn receive_notice(&mut self, from: u64, message: Message) {
        if message.msg_type != MessageType::MsgAppend || !message.entries.is_empty() {
            let wrong = Err(Refused::Wrong("a notice is an append without entries"));
            self.is_taken(from, &message.msg_type, wrong);
            return;
        }
        let before = self.raft.raft.msgs.len();
        self.receive_raft(from, message);
        let answers = self.raft.raft.msgs.iter().skip(before);
        let acknowledged =
            |answer: &Message| answer.msg_type == MessageType::MsgAppendResponse && !answer.reject;
        if answers.map(acknowledged).eq([true]) {
            self.raft.raft.msgs.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output, View};
    use super::*;

    /// Server 1 of five, which has lost its leader with one entry in its log, and has voted for server 3 in term 2.
    struct Voter(Driver);

    impl Voter {
        fn new() -> Voter {
            let voter = Voter::asked_for_a_vote(1);
            assert_eq!((voter.0.term(), voter.0.hard_state().vote), (2, 3));
            voter
        }

        /// The same, but server 3 has a shorter log.
        fn without_vote() -> Voter {
            let voter = Voter::asked_for_a_vote(0);
            assert_eq!((voter.0.term(), voter.0.hard_state().vote), (2, 0));
            voter
        }

        fn asked_for_a_vote(last: u64) -> Voter {
            let config =
                DriverConfig { voters: vec![1, 2, 3, 4, 5], wanted_leader: 3, ..DriverConfig::small() };
            let mut voter = Voter(Driver::in_memory(config));
            (2..=5).for_each(|peer| voter.0.link_up(peer));
            let entry = Entry { index: 1, term: 1, ..Entry::default() };
            voter.receive(2, MessageType::MsgAppend, 1, &[entry]);
            voter.0.link_down(2);
            voter.0.peer_ended(2);
            let asks = Message { index: last, log_term: last, ..message(3, MessageType::MsgRequestVote, 2) };
            voter.0.receive(3, Wire::Raft(Box::new(asks)));
            voter.turn();
            voter
        }

        fn receive(&mut self, from: u64, kind: MessageType, term: u64, entries: &[Entry]) {
            let message = Message { entries: entries.to_vec().into(), ..message(from, kind, term) };
            self.0.receive(from, Wire::Raft(Box::new(message)));
        }

        /// Whether it campaigns now.
        fn turn(&mut self) -> bool {
            let mut output = Output::default();
            for _ in 0..2 {
                self.0.turn(&View::default(), &[&NoCommands], &mut output);
                self.0.disk_finishes(&mut output);
            }
            let asks = |wire: &Wire| matches!(wire, Wire::Raft(message) if message.msg_type == MessageType::MsgRequestPreVote);
            output.messages.iter().any(|(_, wire)| asks(wire))
        }
    }

    fn message(from: u64, msg_type: MessageType, term: u64) -> Message {
        Message { msg_type, from, to: 1, term, ..Message::default() }
    }

    #[test]
    fn nobody_stands_against_its_candidate_since_another_one_asks_too_late() {
        let mut voter = Voter::new();
        voter.receive(4, MessageType::MsgRequestPreVote, 2, &[]);
        assert!(!voter.turn(), "server 4 had not heard of term 2");
        voter.receive(4, MessageType::MsgRequestPreVote, 1, &[]);
        assert!(!voter.turn(), "nor of term 1");
        voter.receive(4, MessageType::MsgRequestPreVote, 3, &[]);
        assert!(voter.turn(), "server 4 cannot win term 3, since its log is shorter");
    }

    #[test]
    fn who_has_voted_for_nobody_stands_against_a_shorter_log_also_in_a_term_that_has_come() {
        let mut voter = Voter::without_vote();
        voter.receive(4, MessageType::MsgRequestPreVote, 2, &[]);
        assert!(voter.turn(), "server 4 cannot win term 2, nor has anybody else");
    }
}
