//! Which messages are useless once a newer one to the same server has arrived.
//!
//! Raft tolerates lost messages, and so do lanes and padding: only messages that would be repeated anyway are
//! dropped.

use raft::eraftpb::{Message, MessageType};

use crate::wire::Wire;

/// Whether `newer` says everything in `older` that still matters. Both go to the same server, and `older` has
/// not been sent yet.
pub fn supersedes(newer: &Wire, older: &Wire) -> bool {
    match (newer, older) {
        (Wire::Raft(newer), Wire::Raft(older)) => raft_supersedes(newer, older),
        // Any later append also announces the commit.
        (Wire::Raft(newer) | Wire::Notice(newer), Wire::Notice(older)) => {
            newer.msg_type == MessageType::MsgAppend
                && newer.term >= older.term
                && newer.commit >= older.commit
        }
        // A lane is resent as a whole.
        (Wire::Forward(newer), Wire::Forward(older)) => {
            let (newer, older) = (&newer.span, &older.span);
            (newer.server, newer.incarnation, newer.lane) == (older.server, older.incarnation, older.lane)
                && newer.attempt > older.attempt
        }
        (Wire::Nack { lane, attempt: newer }, Wire::Nack { lane: other, attempt: older }) => {
            lane == other && newer >= older
        }
        (Wire::Snapshot { .. }, Wire::Snapshot { .. }) | (Wire::Claim, Wire::Claim) => true,
        (Wire::PadRequest { level: newer }, Wire::PadRequest { level: older }) => newer >= older,
        // A later promise lasts longer.
        (Wire::AskPromise { term: newer, asked }, Wire::AskPromise { term: older, asked: before })
        | (Wire::Promise { term: newer, asked }, Wire::Promise { term: older, asked: before }) => {
            newer > older || newer == older && asked >= before
        }
        _ => false,
    }
}

fn raft_supersedes(newer: &Message, older: &Message) -> bool {
    if newer.msg_type != older.msg_type || newer.term < older.term {
        return false;
    }
    match newer.msg_type {
        // Entries are never dropped, nor is the point that they are appended to.
        MessageType::MsgAppend => older.entries.is_empty() && newer.index >= older.index,
        MessageType::MsgAppendResponse => {
            newer.reject == older.reject && (newer.reject || newer.index >= older.index)
        }
        // A heartbeat confirms the leader for all reads that were requested before the one that it names.
        MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse => {
            !newer.context.is_empty() || older.context.is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::eraftpb::Entry;

    use super::*;
    use crate::batch::{Span, SubBatch};

    fn message(msg_type: MessageType, term: u64, index: u64) -> Message {
        Message { msg_type, term, index, ..Message::default() }
    }

    fn raft(message: Message) -> Wire {
        Wire::Raft(Box::new(message))
    }

    fn forward(attempt: u32, first: u64) -> Wire {
        let span = Span { server: 1, incarnation: 1, lane: 0, attempt, first, count: 1 };
        Wire::Forward(SubBatch { span, lone: true, body: Bytes::from_static(b"a command") })
    }

    #[test]
    fn a_newer_answer_stands_for_an_older_one() {
        let answer = |term, index| raft(message(MessageType::MsgAppendResponse, term, index));
        assert!(supersedes(&answer(1, 8), &answer(1, 7)));
        assert!(!supersedes(&answer(1, 7), &answer(1, 8)), "more is acknowledged already");
        assert!(!supersedes(&answer(1, 8), &answer(2, 7)));
        let refusal = Message { reject: true, ..message(MessageType::MsgAppendResponse, 1, 9) };
        assert!(!supersedes(&raft(refusal), &answer(1, 7)), "a refusal acknowledges nothing");
    }

    #[test]
    fn a_read_that_is_to_be_confirmed_is_not_forgotten() {
        let beat = |context: &'static [u8]| {
            raft(Message { context: context.into(), ..message(MessageType::MsgHeartbeat, 1, 0) })
        };
        assert!(supersedes(&beat(b"2"), &beat(b"1")));
        assert!(supersedes(&beat(b"2"), &beat(b"")));
        assert!(!supersedes(&beat(b""), &beat(b"1")));
    }

    #[test]
    fn entries_and_commands_wait_for_their_turn() {
        let entries = vec![Entry::default()].into();
        let entry = raft(Message { entries, ..message(MessageType::MsgAppend, 1, 7) });
        let question = |index| raft(message(MessageType::MsgAppend, 1, index));
        assert!(!supersedes(&question(8), &entry));
        assert!(supersedes(&question(8), &question(7)));
        assert!(supersedes(&entry, &question(7)));
        assert!(!supersedes(&forward(1, 2), &forward(1, 1)), "commands of one attempt");
        assert!(supersedes(&forward(2, 1), &forward(1, 1)), "the lane is sent again");
    }

    #[test]
    fn a_commit_is_told_by_a_later_one() {
        let notice =
            |commit| Wire::Notice(Box::new(Message { commit, ..message(MessageType::MsgAppend, 1, 7) }));
        assert!(supersedes(&notice(6), &notice(5)));
        assert!(!supersedes(&notice(5), &notice(6)));
        let beat = raft(Message { commit: 9, ..message(MessageType::MsgHeartbeat, 1, 0) });
        assert!(!supersedes(&beat, &notice(5)), "a heartbeat says it only as far as is known to be there");
    }
}
