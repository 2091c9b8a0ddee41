//! Flow control: how much a leader sends to a follower.
//!
//! raft-rs sends ahead as long as few messages are unacknowledged, however many bytes those are. And it
//! repeats a probe at each answer to a heartbeat, however slowly the first one travels. Behind a slow link,
//! both would fill the memory. So a follower whose send queue is full is paused; what raft-rs creates for it
//! anyway is put back, and read from the log again later.

use raft::ProgressState;
use raft::eraftpb::{Message, MessageType};

use super::Driver;
use crate::planted::{self, Bug};

/// The most unacknowledged messages with entries to one follower.
pub(super) const MOST_IN_FLIGHT: usize = 64;

/// The most bytes of entries in one message, unless a single entry has more: what a fast link carries in a
/// few milliseconds.
pub(super) const MOST_MESSAGE_BYTES: usize = 1 << 20;

/// Followers that are paused, and probes in flight.
#[derive(Debug, Default)]
pub(super) struct Flow {
    paused: Vec<Paused>,
    probes: Vec<Probe>,
}

#[derive(Debug)]
struct Paused {
    follower: u64,
    /// Whether a probe was put back, which raft-rs believes sent.
    probe: bool,
}

/// Entries sent to find out what a follower holds.
#[derive(Debug)]
struct Probe {
    follower: u64,
    term: u64,
    index: u64,
    /// When it was last sent, in ticks.
    at: u64,
    /// Ticks after which it counts as lost.
    patience: u64,
}

impl Flow {
    pub fn is_paused(&self, follower: u64) -> bool {
        self.paused.iter().any(|paused| paused.follower == follower)
    }

    /// Whether a probe may be sent now. `patience` is how long to wait for an answer at first; it doubles
    /// with each repetition.
    fn may_probe(&mut self, message: &Message, now: u64, patience: u64) -> bool {
        let Message { to: follower, term, index, .. } = *message;
        let known = self.probes.iter_mut().find(|probe| probe.follower == follower);
        match known {
            Some(probe) if (probe.term, probe.index) == (term, index) => {
                let due = now >= probe.at + probe.patience;
                if due {
                    (probe.at, probe.patience) = (now, probe.patience.saturating_mul(2));
                }
                due
            }
            Some(probe) => {
                *probe = Probe { follower, term, index, at: now, patience };
                true
            }
            None => {
                self.probes.push(Probe { follower, term, index, at: now, patience });
                true
            }
        }
    }

    /// Forgets the last probe, since the follower has answered or has a new connection. The next probe is not
    /// a repetition.
    pub fn forget_probe(&mut self, follower: u64) {
        self.probes.retain(|probe| probe.follower != follower);
    }
}

impl Driver {
    /// Reports how many bytes the transport has queued for a peer; `None` without a connection. Call it
    /// before each turn.
    pub fn queue_holds(&mut self, peer: u64, bytes: Option<usize>) {
        self.outbox.report(peer, bytes);
        let has_room = self.outbox.has_room(peer) || planted::is(Bug::SentWithoutRoom);
        match (has_room, self.flow.is_paused(peer)) {
            (false, false) => self.pause(peer, false),
            (true, true) => self.resume(peer),
            _ => {}
        }
    }

    /// Bytes that wait for a peer, here and in the transport.
    pub fn waiting_bytes(&self, peer: u64) -> usize {
        self.outbox.bytes(peer)
    }

    fn pause(&mut self, follower: u64, probe: bool) {
        match self.flow.paused.iter_mut().find(|paused| paused.follower == follower) {
            Some(paused) => paused.probe |= probe,
            None => {
                self.flow.paused.push(Paused { follower, probe });
                self.raft.raft.adjust_max_inflight_msgs(follower, 0);
            }
        }
    }

    fn resume(&mut self, follower: u64) {
        let paused = self.flow.paused.iter().position(|paused| paused.follower == follower);
        let Some(Paused { probe, .. }) = paused.map(|at| self.flow.paused.swap_remove(at)) else { return };
        let raft = &mut self.raft.raft;
        raft.adjust_max_inflight_msgs(follower, MOST_IN_FLIGHT);
        let last = raft.raft_log.last_index();
        if !self.leads() {
            return;
        }
        let raft = &mut self.raft.raft;
        let Some(progress) = raft.mut_prs().get_mut(follower) else { return };
        if probe && progress.state == ProgressState::Probe {
            progress.resume();
        }
        if progress.next_idx <= last {
            raft.send_append(follower);
        }
    }

    /// Whether to send a message from raft-rs. One with entries is put back if the follower's queue is full,
    /// or if it repeats a probe in flight.
    pub(super) fn may_leave(&mut self, message: &Message) -> bool {
        if message.msg_type != MessageType::MsgAppend
            || message.entries.is_empty()
            || planted::is(Bug::SentWithoutRoom)
        {
            return true;
        }
        let follower = message.to;
        let has_room = self.outbox.has_room(follower);
        let patience = 3 * u64::from(self.config.heartbeat_ticks);
        let Some(progress) = self.raft.raft.mut_prs().get_mut(follower) else { return has_room };
        let probes = progress.state == ProgressState::Probe;
        if has_room {
            return !probes || self.flow.may_probe(message, self.ticks, patience);
        }
        if progress.state == ProgressState::Replicate {
            progress.next_idx = progress.next_idx.min(message.index + 1).max(progress.matched + 1);
        }
        self.pause(follower, probes);
        false
    }

    /// Steps a message through raft-rs. The response to a paused follower would be put back, so it is kept
    /// small.
    pub(super) fn step(&mut self, message: Message) -> raft::Result<()> {
        let answers = message.msg_type == MessageType::MsgHeartbeatResponse;
        if !answers || !self.flow.is_paused(message.from) {
            return self.raft.step(message);
        }
        let most = std::mem::replace(&mut self.raft.raft.max_msg_size, 0);
        let result = self.raft.step(message);
        self.raft.raft.max_msg_size = most;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_repeated_ever_later_until_it_is_answered() {
        let mut flow = Flow::default();
        let probe = |index| Message { to: 2, term: 1, index, ..Message::default() };
        let sent = (0..100).filter(|now| flow.may_probe(&probe(7), *now, 6)).collect::<Vec<_>>();
        assert_eq!(sent, [0, 6, 18, 42, 90]);
        assert!(flow.may_probe(&probe(3), 100, 6), "the follower has less than was thought");
        assert!(!flow.may_probe(&probe(3), 101, 6));
        flow.forget_probe(2);
        assert!(flow.may_probe(&probe(3), 102, 6));
    }
}
