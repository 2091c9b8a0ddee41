//! The quorum rounds of strong reads that one replica has begun.

use super::slots::SlotIndex;
use crate::planted::{self, Bug};

/// Rounds on their way, from the question to the place that answers it.
///
/// raft-rs drops a question silently when there is no leader, when the leader has not committed in its term, and when
/// it steps down; and it confuses equal contexts of two servers. So a context names server, start and counter, and
/// a question without an answer is given up here after a while; whoever asked asks again.
#[derive(Debug)]
pub struct PendingReads {
    server: u64,
    boot: u64,
    counter: u64,
    asked: Vec<Asked>,
    age: u64,
}

#[derive(Debug)]
struct Asked {
    counter: u64,
    round: u64,
    since: u64,
    index: Option<u64>,
}

/// Bytes of a question's context.
pub const CONTEXT_BYTES: usize = 24;

/// A question is forgotten after so many ticks; the one who asked has asked again long before.
const GIVE_UP_TICKS: u64 = 200;

impl PendingReads {
    /// For a replica on `server`, whose process is known by the random number `boot`.
    pub fn new(server: u64, boot: u64) -> Self {
        PendingReads { server, boot, counter: 0, asked: Vec::new(), age: 0 }
    }

    /// Begins a round; returns the context to ask raft-rs with.
    pub fn begin(&mut self, round: u64) -> Vec<u8> {
        self.counter += 1;
        self.asked.push(Asked { counter: self.counter, round, since: self.age, index: None });
        [self.server, self.boot, self.counter].iter().flat_map(|part| part.to_le_bytes()).collect()
    }

    /// A quorum has confirmed the leader, whose commit index was `index` when it was asked.
    pub fn indexed(&mut self, context: &[u8], index: u64) {
        let expected =
            [self.server, self.boot].iter().flat_map(|part| part.to_le_bytes()).collect::<Vec<_>>();
        let Some(counter) = context.strip_prefix(expected.as_slice()) else { return };
        let Ok(counter) = counter.try_into().map(u64::from_le_bytes) else { return };
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.counter == counter) {
            asked.index = Some(index);
        }
    }

    /// Answers the rounds whose index this replica knows to be committed: then the log holds, up to it, what the
    /// leader's held, and says which place that was.
    pub fn answer(&mut self, commit: u64, slots: &SlotIndex, out: &mut Vec<(u64, u64)>) {
        self.asked.retain(|asked| match asked.index {
            Some(index) if index <= commit || planted::is(Bug::ReadIndexNotAwaited) => {
                out.push((asked.round, slots.place_at(index)));
                false
            }
            _ => true,
        });
    }

    /// A step of the clock.
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

    #[test]
    fn a_round_is_answered_once_its_index_is_committed_here() {
        let mut slots = SlotIndex::default();
        slots.append(1, &EntryFill::Commands { place: 4 });
        slots.append(2, &EntryFill::Commands { place: 5 });
        let mut reads = PendingReads::new(1, 99);
        let context = reads.begin(7);
        let foreign = PendingReads::new(2, 99).begin(7);
        let mut out = Vec::new();
        reads.indexed(&foreign, 1);
        reads.answer(2, &slots, &mut out);
        assert!(out.is_empty(), "another server's answer is not ours");
        reads.indexed(&context, 2);
        reads.answer(1, &slots, &mut out);
        assert!(out.is_empty(), "not committed here yet");
        reads.answer(2, &slots, &mut out);
        assert_eq!(out, [(7, 5)]);
        reads.answer(2, &slots, &mut out);
        assert_eq!(out.len(), 1, "answered once");
    }
}
