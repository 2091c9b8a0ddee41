//! Whom a follower asks for what. It knows no thread, clock or socket.
//!
//! It follows one member at a time. One that has had nothing new for a while may be cut off from the others without knowing,
//! so then it goes on to the next: in an idle cluster that costs two small messages a second.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_group::digest_mark::DigestMark;
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::Cut;

use super::logs::{Contradiction, FedLogs};
use super::wire::FeedMessage;
use crate::progress::{Executed, Followed, SharedProgress};
use crate::read_gate::ReadGate;

/// A follower's place among the members.
pub(crate) struct Following {
    logs: FedLogs,
    progress: Arc<SharedProgress>,
    executed: Arc<Executed>,
    reads: Arc<ReadGate>,
    /// How long a member may be silent.
    patience: Duration,
    /// The members that are connected.
    up: BTreeSet<u64>,
    /// The one that is followed; it may be gone.
    member: u64,
    /// When it was asked for what follows, if it has yet to answer.
    asked: Option<Instant>,
    /// Whether it has not been asked before.
    is_new: bool,
    /// The question about a barrier that has yet to be answered.
    question: Option<Question>,
}

/// A question about a barrier.
struct Question {
    number: u64,
    member: u64,
    asked: Instant,
}

/// What a message leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// There is more to merge.
    More,
    /// What follows is to be had as a snapshot, at this cut.
    Snapshot(Cut),
    /// The member belongs to another history. Somebody has to look at that.
    OtherChain,
}

impl Following {
    /// Goes on with what these logs lack.
    pub fn new(
        logs: FedLogs,
        progress: &Arc<SharedProgress>,
        executed: &Arc<Executed>,
        reads: &Arc<ReadGate>,
        server: u64,
        patience: Duration,
    ) -> Following {
        Following {
            logs,
            progress: Arc::clone(progress),
            executed: Arc::clone(executed),
            reads: Arc::clone(reads),
            patience,
            up: BTreeSet::new(),
            // Followers begin with different members, as their ids say.
            member: server,
            asked: None,
            is_new: true,
            question: None,
        }
    }

    pub fn logs(&self) -> &FedLogs {
        &self.logs
    }

    /// Goes on with the logs of the next epoch.
    pub fn goes_on_with(&mut self, logs: FedLogs) {
        self.logs = logs;
        self.asked = None;
    }

    /// A member is connected.
    pub fn is_up(&mut self, member: u64) {
        self.up.insert(member);
    }

    /// A member is not connected any more: what it was asked it has forgotten.
    pub fn is_down(&mut self, member: u64) {
        self.up.remove(&member);
        if self.member == member {
            self.asked = None;
        }
        self.question.take_if(|question| question.member == member);
    }

    /// The member that is followed, 0 for none, and the latest position that a member is known to have executed.
    pub fn whom(&self) -> (u64, u64) {
        (self.followed().member(), self.followed().position())
    }

    pub fn is_connected(&self) -> bool {
        !self.up.is_empty()
    }

    /// Handles a message of a member.
    ///
    /// # Errors
    /// If it contradicts what this server has executed.
    pub fn heard(&mut self, from: u64, message: FeedMessage) -> Result<Heard, Contradiction> {
        let is_answer = from == self.member;
        match message {
            FeedMessage::Entries(entries) => {
                self.asked.take_if(|_| is_answer);
                self.followed().reaches(entries.applied);
                let more = self.logs.take(entries)?;
                return Ok(if more { Heard::More } else { Heard::Nothing });
            }
            FeedMessage::Behind { cut } if is_answer => {
                self.asked = None;
                return Ok(Heard::Snapshot(cut));
            }
            // It is asked again when its time is over, after the others.
            FeedMessage::OtherChain if is_answer => return Ok(Heard::OtherChain),
            FeedMessage::Barrier { question: number, position: Some(position) } => {
                self.question.take_if(|question| question.number == number);
                self.followed().reaches(position);
                self.reads.answered_abroad(number, GlobalPosition::new(position));
            }
            FeedMessage::Digests(marks) => self.compare(from, marks),
            // A barrier that could not be found out is asked of the next member when this one's time is over. What only
            // followers send is of no use.
            _ => {}
        }
        Ok(Heard::Nothing)
    }

    fn compare(&self, from: u64, marks: Vec<DigestMark>) {
        let mine = self.executed.digests.lock().kept();
        self.progress.divergence.heard(from, marks, &mine);
        self.progress.divergence.moved_on(&mine);
    }

    fn followed(&self) -> &Followed {
        self.progress.follows.as_ref().expect("this server is a follower")
    }

    /// When to look again, unless something happens before.
    pub fn due(&self) -> Option<Instant> {
        let asked = [self.asked, self.question.as_ref().map(|question| question.asked)];
        asked.into_iter().flatten().map(|asked| asked + self.patience).min()
    }

    /// Asks whom there is to ask. While a snapshot is on its way (`is_fetching`), nothing else is asked for.
    pub fn step(&mut self, now: Instant, is_fetching: bool, out: &mut Vec<(u64, FeedMessage)>) {
        self.logs.drop_mail();
        let is_late = |asked: Instant| now.saturating_duration_since(asked) >= self.patience;
        if !self.up.contains(&self.member) || self.asked.is_some_and(is_late) {
            self.follow_next(out);
        }
        let is_up = self.up.contains(&self.member);
        self.followed().set_member(if is_up { self.member } else { 0 });
        if is_up && self.asked.is_none() && !is_fetching && self.logs.has_room() {
            self.asked = Some(now);
            let wish = self.logs.wish(std::mem::take(&mut self.is_new));
            out.push((self.member, FeedMessage::Follow(wish)));
        }
        if is_up {
            self.ask_for_reads(now, out);
        }
    }

    /// Turns to the connected member with the next id.
    pub fn follow_next(&mut self, out: &mut Vec<(u64, FeedMessage)>) {
        let Some(next) = self.after(self.member) else { return };
        if self.asked.is_some() && self.up.contains(&self.member) && next != self.member {
            out.push((self.member, FeedMessage::Leave));
        }
        self.member = next;
        self.is_new = true;
        self.asked = None;
    }

    fn after(&self, member: u64) -> Option<u64> {
        self.up.range(member + 1..).chain(&self.up).next().copied()
    }

    /// Asks for the barrier of reads that wait for one; another member, if the last one does not answer.
    fn ask_for_reads(&mut self, now: Instant, out: &mut Vec<(u64, FeedMessage)>) {
        let is_late = |asked: Instant| now.saturating_duration_since(asked) >= self.patience;
        let (again, member) = match &self.question {
            Some(question) if !is_late(question.asked) => return,
            Some(question) => (true, self.after(question.member).unwrap_or(self.member)),
            None => (false, self.member),
        };
        self.question = None;
        // After a connection has gone, reads may wait for an answer that nobody will give.
        let number = self.reads.ask_abroad(again).or_else(|| self.reads.ask_abroad(true));
        if let Some(number) = number {
            self.question = Some(Question { number, member, asked: now });
            out.push((member, FeedMessage::AskBarrier { question: number }));
        }
    }
}

#[cfg(test)]
mod tests;
