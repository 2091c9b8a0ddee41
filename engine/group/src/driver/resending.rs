//! A lane is sent again when it may have been lost on its way to a leader.

use super::Driver;
use super::turn::{Output, View};
use crate::config::DriverConfig;
use crate::planted::{self, Bug};

/// A lane that does not move is sent again after so many election time-outs, at the latest. What was lost while the merge was halted
/// for hours is not to wait for hours more.
const MOST_PATIENCE_ELECTIONS: u64 = 16;

/// When the lane was last seen to move, and when it is sent again if it does not.
#[derive(Debug, Default)]
pub(super) struct LaneProgress {
    next_command: u64,
    since: u64,
    patience: u64,
    leader: (u64, u64),
    pub resend_at: Option<u64>,
}

impl LaneProgress {
    /// Nothing has been sent.
    pub fn new(config: &DriverConfig) -> LaneProgress {
        LaneProgress { patience: u64::from(config.election_ticks), ..LaneProgress::default() }
    }
}

impl Driver {
    /// Sends the lane again when it may have been lost: a leader came, execution found a gap, a server refused, or
    /// nothing was executed for a while (and this server does not lead, else it would know).
    pub(super) fn watch_progress(&mut self, view: &View, output: &mut Output) {
        let leader = (self.term(), self.leader());
        let new_leader = leader.1 != 0 && leader != self.progress.leader;
        let moved = view.next_command != self.progress.next_command || !self.intake.has_sent();
        if moved {
            self.progress.next_command = view.next_command;
            self.progress.since = self.ticks;
            self.progress.patience = u64::from(self.config.election_ticks);
        }
        let gap = view.gap_attempt == Some(self.intake.attempt());
        let refused = self.progress.resend_at.is_some_and(|at| at <= self.ticks);
        // Behind a slow link it waits for its turn, and is not lost.
        let stuck = !self.leads()
            && self.ticks - self.progress.since > self.progress.patience
            && self.outbox.has_room(leader.1);
        if !(new_leader || gap || refused || stuck) {
            return;
        }
        if leader.1 != 0 {
            self.progress.leader = leader;
        }
        self.progress.resend_at = None;
        if planted::is(Bug::NeverSentAgain) {
            return;
        }
        if stuck {
            self.progress.since = self.ticks;
            // A merge that waits for another group is no loss; do not fill the log with copies meanwhile.
            let most = MOST_PATIENCE_ELECTIONS * u64::from(self.config.election_ticks);
            self.progress.patience = (2 * self.progress.patience).min(most);
        }
        if self.intake.has_sent() {
            self.intake.send_again();
            output.attempts += 1;
        }
    }

    /// How this server's lane stands, in words.
    pub fn describe_lane(&self) -> String {
        let (intake, progress) = (&self.intake, &self.progress);
        format!(
            "attempt {} of {} bytes sent, taken below {}, held {:?}, nothing executed for {} ticks of {}",
            intake.attempt(),
            intake.sent_bytes(),
            intake.taken_end(),
            self.held,
            self.ticks - progress.since,
            progress.patience
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::eraftpb::{Message, MessageType};

    use super::super::{DriverConfig, LaneSource, Output, View};
    use super::*;
    use crate::batch::{Span, SubBatch};
    use crate::wire::Wire;

    /// A lane with one command.
    struct One(Option<SubBatch>);

    impl LaneSource for One {
        fn is_empty(&self) -> bool {
            self.0.is_none()
        }
        fn take(&mut self, _: usize, out: &mut Vec<SubBatch>) {
            out.extend(self.0.take());
        }
    }

    #[test]
    fn a_lane_that_does_not_move_is_sent_again_ever_more_rarely_but_never_given_up() {
        let mut follower = Driver::in_memory(DriverConfig::small());
        let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 1 };
        let mut lane = One(Some(SubBatch { span, lone: true, body: Bytes::from_static(b"command") }));
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
            follower.turn(&View { next_command: 1, ..View::default() }, &mut lane, &mut output);
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
