//! This server's lane on its way into a group's log: queued, sent in an attempt, executed.
//!
//! A command stays here until it has been executed, since a change of leader can lose it on the way. Then the
//! rest of the lane is resent in a new attempt, and execution skips duplicates.
//!
//! When an epoch ends, a lane's commands without outcome move on to a group of the next one: their slots there are
//! void, so they were not executed and will not be. The lane moves as a whole, and its rest is sent in a new attempt.

use std::collections::VecDeque;

use crate::batch::SubBatch;
use crate::lane_source::LaneSource;
use crate::planted::{self, Bug};

/// The most election timeouts until a lane without progress is resent. What was lost while the merge was
/// halted for hours must not wait for hours more.
pub(crate) const MOST_PATIENCE_ELECTIONS: u64 = 16;

/// This server's lane in one group.
#[derive(Debug)]
pub struct OwnLane {
    /// Whether it is with the group. If not, its commands go through another one.
    is_here: bool,
    election_ticks: u64,
    attempt: u32,
    /// Every command that has not been executed, oldest first. Those from `unsent` on have not been sent in
    /// this attempt.
    commands: VecDeque<SubBatch>,
    unsent: usize,
    sent_bytes: usize,
    /// Number after the last command that was taken from the queue.
    taken_end: u64,
    taken: Vec<SubBatch>,
    /// The next command to be executed when the lane last made progress, and the tick of that.
    next_command: u64,
    since: u64,
    /// Ticks without progress after which a follower's lane is resent.
    patience: u64,
    /// Term and leader of the current attempt.
    leader: (u64, u64),
    resend_at: Option<u64>,
}

/// What tells whether the lane may be lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs {
    /// The current tick.
    pub now: u64,
    /// Number of the lane's next command to be executed.
    pub next_command: u64,
    /// Latest attempt in which execution met a gap.
    pub gap_attempt: Option<u32>,
    /// Term and its leader; 0 if the leader is unknown.
    pub leader: (u64, u64),
    /// Whether what was sent has left this server and another server leads: then silence may mean a loss.
    pub is_out_of_sight: bool,
}

impl OwnLane {
    /// An empty lane, in its first attempt.
    pub(crate) fn new(election_ticks: u32) -> OwnLane {
        let election_ticks = u64::from(election_ticks);
        OwnLane {
            is_here: true,
            election_ticks,
            attempt: 0,
            commands: VecDeque::new(),
            unsent: 0,
            sent_bytes: 0,
            taken_end: 0,
            taken: Vec::new(),
            next_command: 0,
            since: 0,
            patience: election_ticks,
            leader: (0, 0),
            resend_at: None,
        }
    }

    /// Takes the lane away from its group. What stays behind knows only what has passed through it.
    pub(crate) fn hand_over(&mut self) -> OwnLane {
        let stub =
            OwnLane { is_here: false, taken_end: self.taken_end, ..OwnLane::new(self.election_ticks as u32) };
        std::mem::replace(self, stub)
    }

    /// The lane goes on with another group: all of it is sent there, in a new attempt.
    pub(crate) fn moved(mut self) -> OwnLane {
        if planted::is(Bug::LaneLostAtMove) {
            self.commands.drain(..self.unsent);
        }
        self.attempt += 1;
        (self.unsent, self.sent_bytes) = (0, 0);
        (self.leader, self.resend_at, self.since) = ((0, 0), None, 0);
        self
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Bytes sent in this attempt and not executed yet.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }

    /// Number after the last command that has left this server, in this life of the server.
    pub(crate) fn taken_end(&self) -> u64 {
        self.taken_end
    }

    /// Whether anything sent in this attempt has not been executed yet.
    pub(crate) fn has_sent(&self) -> bool {
        self.unsent > 0
    }

    /// Whether the lane, its queue included, has something to send.
    pub(crate) fn has_work(&self, source: &(impl LaneSource + ?Sized)) -> bool {
        self.unsent < self.commands.len() || self.is_here && !source.is_empty()
    }

    /// Bytes that wait to be sent, the queue included.
    pub(crate) fn waiting_bytes(&self, source: &(impl LaneSource + ?Sized)) -> usize {
        let unsent = self.commands.iter().skip(self.unsent).map(|batch| batch.body.len());
        unsent.sum::<usize>() + if self.is_here { source.bytes() } else { 0 }
    }

    /// Whether a new attempt is about to start.
    pub(crate) fn is_about_to_resend(&self) -> bool {
        self.resend_at.is_some()
    }

    /// The next sub-batch not sent in this attempt, if it has at most `room` bytes or `any_size` is set.
    pub(crate) fn next(
        &mut self,
        source: &(impl LaneSource + ?Sized),
        room: usize,
        any_size: bool,
    ) -> Option<SubBatch> {
        if self.unsent == self.commands.len() && self.is_here && !source.is_empty() {
            source.take(room, &mut self.taken);
            self.taken_end = self.taken.last().map_or(self.taken_end, SubBatch::end);
            self.commands.extend(self.taken.drain(..));
        }
        let batch =
            self.commands.get_mut(self.unsent).filter(|batch| any_size || batch.body.len() <= room)?;
        batch.span.attempt = self.attempt;
        self.unsent += 1;
        self.sent_bytes += batch.body.len();
        Some(batch.clone())
    }

    /// Drops everything below number `next`, which has been executed.
    pub(crate) fn executed(&mut self, next: u64) {
        while let Some(batch) = self.commands.pop_front_if(|batch| batch.end() <= next) {
            if self.unsent > 0 {
                self.unsent -= 1;
                self.sent_bytes -= batch.body.len();
            }
        }
    }

    /// Notes that what was sent has not arrived: it is resent at the next tick.
    pub(crate) fn lost(&mut self, now: u64) {
        self.resend_at = Some(now + 1);
    }

    /// Starts a new attempt if what was sent may be lost: there is a new leader, execution met a gap, a
    /// server refused, or nothing was executed for a while. Returns whether there is something to resend.
    pub(crate) fn resend_if_lost(&mut self, signs: &Signs) -> bool {
        let Signs { now, next_command, gap_attempt, leader, is_out_of_sight } = *signs;
        let new_leader = leader.1 != 0 && leader != self.leader;
        if next_command != self.next_command || !self.has_sent() {
            (self.next_command, self.since, self.patience) = (next_command, now, self.election_ticks);
        }
        let gap = gap_attempt == Some(self.attempt);
        let refused = self.resend_at.is_some_and(|at| at <= now);
        let stuck = is_out_of_sight && now - self.since > self.patience;
        if !(new_leader || gap || refused || stuck) {
            return false;
        }
        if leader.1 != 0 {
            self.leader = leader;
        }
        self.resend_at = None;
        if planted::is(Bug::NeverSentAgain) {
            return false;
        }
        if stuck {
            // A merge that waits for another group loses nothing; do not fill the log with copies meanwhile.
            let most = MOST_PATIENCE_ELECTIONS * self.election_ticks;
            (self.since, self.patience) = (now, (2 * self.patience).min(most));
        }
        let resends = self.has_sent();
        if resends {
            self.attempt += 1;
            (self.unsent, self.sent_bytes) = (0, 0);
        }
        resends
    }

    /// The lane's state at this tick, in words.
    pub(crate) fn describe(&self, now: u64) -> String {
        format!(
            "attempt {} of {} bytes sent, taken below {}, nothing executed for {} ticks of {}",
            self.attempt,
            self.sent_bytes,
            self.taken_end,
            now - self.since,
            self.patience
        )
    }
}
