//! Which of a leader's messages only announce a commit and need no answer.
//!
//! raft-rs announces each new commit to the followers by an append without entries, and each follower answers
//! it: with one command in flight at a time, that is half of all messages. The answers are redundant, since
//! followers have acknowledged what they hold or are about to. So such an append travels as a notice, which a
//! follower answers only to refuse it.
//!
//! An append without entries that announces *no* commit is a question (a probe, or a reminder after lost
//! acknowledgements), and stays one.

use raft::eraftpb::{Message, MessageType};

/// The commit index that this leader last sent to each follower.
#[derive(Debug, Default)]
pub struct Notices {
    term: u64,
    told: Vec<(u64, u64)>,
}

impl Notices {
    /// Notes a message on its way to a follower, and returns whether it needs no answer. `replicating` says
    /// that the leader sends ahead to the follower, rather than probing what it holds.
    pub fn needs_no_answer(&mut self, message: &Message, replicating: bool) -> bool {
        if message.msg_type != MessageType::MsgAppend {
            return false;
        }
        if message.term != self.term {
            *self = Notices { term: message.term, told: Vec::new() };
        }
        let known = self.told.iter_mut().find(|(follower, _)| *follower == message.to);
        let Some((_, told)) = known else {
            self.told.push((message.to, message.commit));
            return false;
        };
        let is_news = message.commit > *told;
        *told = message.commit;
        is_news && replicating && message.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::*;

    fn append(term: u64, to: u64, commit: u64, entries: usize) -> Message {
        let entries = vec![Entry::default(); entries].into();
        Message { msg_type: MessageType::MsgAppend, term, to, commit, entries, ..Message::default() }
    }

    #[test]
    fn only_news_of_a_commit_needs_no_answer() {
        let mut notices = Notices::default();
        assert!(!notices.needs_no_answer(&append(1, 2, 5, 0), true), "the first message to a follower");
        assert!(notices.needs_no_answer(&append(1, 2, 6, 0), true));
        assert!(!notices.needs_no_answer(&append(1, 2, 6, 0), true), "nothing new: a question");
        assert!(!notices.needs_no_answer(&append(1, 2, 7, 1), true), "entries are acknowledged");
        assert!(!notices.needs_no_answer(&append(1, 2, 7, 0), true), "the entries have told it already");
        assert!(!notices.needs_no_answer(&append(1, 2, 8, 0), false), "a probe is answered");
        assert!(!notices.needs_no_answer(&append(1, 3, 8, 0), true), "another follower");
        assert!(!notices.needs_no_answer(&append(2, 2, 9, 0), true), "a new term");
    }
}
