//! Quorum rounds of strong reads that one replica has started.

use super::slots::SlotIndex;
use crate::planted::{self, Bug};

/// Rounds in flight, from the question to the place that answers it.
///
/// raft-rs drops a question silently when there is no leader, when the leader has not committed in its term,
/// and when it steps down; the network loses questions and answers; and equal contexts of two servers would
/// be confused. So a context names server, start and counter, and the newest question is repeated until it is
/// answered: at once to a new leader, and every few heartbeats to the same one. Its answer also serves those
/// who wait for an older one.
#[derive(Debug)]
pub struct PendingReads {
    server: u64,
    boot: u64,
    counter: u64,
    asked: Vec<Asked>,
    age: u64,
    retry_ticks: u64,
    /// Leader that the newest question was last sent to.
    put_to: KnownLeader,
    put_at: u64,
}

/// A leader by term and id, and whether it is known to answer: it does so once it has committed in its term, which the others
/// learn with the commit index.
pub type KnownLeader = (u64, u64, bool);

#[derive(Debug)]
struct Asked {
    counter: u64,
    round: u64,
    since: u64,
    /// What was known to be committed when the question was asked.
    commit: u64,
    index: Option<u64>,
}

/// Bytes of a question's context.
pub const CONTEXT_BYTES: usize = 24;

/// Ticks after which a question is forgotten. The asker has asked again long before.
const GIVE_UP_TICKS: u64 = 200;

impl PendingReads {
    /// For a replica on `server`, whose process has drawn the random number `boot`. A question without an
    /// answer counts as lost after `retry_ticks`.
    pub fn new(server: u64, boot: u64, retry_ticks: u64) -> Self {
        let put_to = (0, 0, false);
        PendingReads { server, boot, counter: 0, asked: Vec::new(), age: 0, retry_ticks, put_to, put_at: 0 }
    }

    /// Starts a round. `commit` is what this replica knows to be committed. Returns the context to ask the
    /// leader with.
    pub fn begin(&mut self, round: u64, leader: KnownLeader, commit: u64) -> Vec<u8> {
        self.counter += 1;
        self.asked.push(Asked { counter: self.counter, round, since: self.age, commit, index: None });
        (self.put_to, self.put_at) = (leader, self.age);
        self.context(self.counter)
    }

    /// Context of the question to repeat now, if there is one.
    pub fn again(&mut self, leader: KnownLeader) -> Option<Vec<u8>> {
        let newest = self.asked.last().filter(|asked| asked.index.is_none())?;
        let is_due = leader != self.put_to || self.age - self.put_at >= self.retry_ticks;
        if leader.1 == 0 || !is_due {
            return None;
        }
        let counter = newest.counter;
        (self.put_to, self.put_at) = (leader, self.age);
        Some(self.context(counter))
    }

    fn context(&self, counter: u64) -> Vec<u8> {
        [self.server, self.boot, counter].iter().flat_map(|part| part.to_le_bytes()).collect()
    }

    /// Handles a quorum's confirmation of the leader, whose commit index was `index` when it was asked. If
    /// that is below what was committed here by then, the leader's log lacks it: the read gets no answer, and
    /// the commit index of this replica is returned.
    pub fn indexed(&mut self, context: &[u8], index: u64) -> Option<u64> {
        let expected =
            [self.server, self.boot].iter().flat_map(|part| part.to_le_bytes()).collect::<Vec<_>>();
        let counter = context.strip_prefix(expected.as_slice())?.try_into().map(u64::from_le_bytes).ok()?;
        let at = self.asked.iter().position(|asked| asked.counter == counter)?;
        let commit = self.asked[at].commit;
        if index < commit {
            self.asked.remove(at);
            return Some(commit);
        }
        self.asked[at].index = Some(index);
        None
    }

    /// Answers the rounds whose index this replica knows to be committed: up to it, the log equals the
    /// leader's, so it yields the place.
    pub fn answer(&mut self, commit: u64, slots: &SlotIndex, out: &mut Vec<(u64, u64)>) {
        self.asked.retain(|asked| match asked.index {
            Some(index) if index <= commit || planted::is(Bug::ReadIndexNotAwaited) => {
                out.push((asked.round, slots.place_at(index)));
                false
            }
            _ => true,
        });
    }

    /// Ages the questions by one tick, and forgets old ones.
    pub fn tick(&mut self) {
        self.age += 1;
        let age = self.age;
        self.asked.retain(|asked| age - asked.since < GIVE_UP_TICKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::EntryFill;

    const LEADER: KnownLeader = (1, 2, true);

    #[test]
    fn a_lost_question_is_put_again_to_whoever_leads() {
        let mut reads = PendingReads::new(1, 99, 4);
        assert_eq!(reads.again(LEADER), None, "nothing was asked");
        reads.begin(6, LEADER, 0);
        let newest = reads.begin(7, LEADER, 0);
        assert_eq!(reads.again(LEADER), None, "it may be on its way");
        assert_eq!(reads.again((2, 3, true)), Some(newest.clone()), "there is a new leader");
        assert_eq!(reads.again((3, 0, false)), None, "there is none");
        (0..3).for_each(|_| reads.tick());
        assert_eq!(reads.again((2, 3, true)), None);
        reads.tick();
        assert_eq!(reads.again((2, 3, true)), Some(newest.clone()), "it is late");
        reads.indexed(&newest, 1);
        (0..100).for_each(|_| reads.tick());
        assert_eq!(reads.again((2, 3, true)), None, "it has its answer");
    }

    #[test]
    fn a_round_is_answered_once_its_index_is_committed_here() {
        let mut slots = SlotIndex::default();
        slots.append(1, &EntryFill::Commands { place: 4 }, 10);
        slots.append(2, &EntryFill::Commands { place: 5 }, 10);
        let mut reads = PendingReads::new(1, 99, 4);
        let context = reads.begin(7, LEADER, 0);
        let mut out = Vec::new();
        for (server, boot) in [(2, 99), (1, 98)] {
            let foreign = PendingReads::new(server, boot, 4).begin(7, LEADER, 0);
            reads.indexed(&foreign, 1);
            reads.answer(2, &slots, &mut out);
            assert!(out.is_empty(), "the answer of another server, or another life, is not ours");
        }
        reads.indexed(&context, 2);
        reads.answer(1, &slots, &mut out);
        assert!(out.is_empty(), "not committed here yet");
        reads.answer(2, &slots, &mut out);
        assert_eq!(out, [(7, 5)]);
        reads.answer(2, &slots, &mut out);
        assert_eq!(out.len(), 1, "answered once");
    }

    /// A quorum's answer is at least as high as everything committed before the question, on any server.
    #[test]
    fn an_answer_below_what_was_committed_here_is_none() {
        let slots = SlotIndex::default();
        let mut reads = PendingReads::new(1, 99, 4);
        let (equal, below) = (reads.begin(7, LEADER, 5), reads.begin(8, LEADER, 5));
        assert_eq!((reads.indexed(&equal, 5), reads.indexed(&below, 4)), (None, Some(5)));
        let mut out = Vec::new();
        reads.answer(9, &slots, &mut out);
        assert_eq!(out, [(7, 0)]);
    }
}
