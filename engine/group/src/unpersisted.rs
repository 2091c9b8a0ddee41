//! What waits for this server's disk: how much, for how long, and which messages may leave only afterwards.
//!
//! A quorum of other servers commits without this one, so nothing else slows down what arrives while the disk
//! hangs.

use std::collections::VecDeque;

use niagara_log::LogEntry;
use raft::eraftpb::{Entry, Message, MessageType};

use crate::planted::{self, Bug};

/// Readys on their way to the disk, in order.
#[derive(Debug)]
pub(super) struct Unpersisted {
    waiting: VecDeque<WaitingReady>,
    limit: u64,
    /// Bytes of entries in `waiting`.
    writing: u64,
    /// Bytes of entries that raft-rs has accepted but not handed back in a Ready.
    arriving: u64,
}

#[derive(Debug)]
struct WaitingReady {
    /// Number of the Ready that is being written.
    write: u64,
    /// Number of the last Ready after it that needs no write of its own.
    through: u64,
    /// Bytes of its entries.
    bytes: u64,
    /// When it was handed to the disk, in ticks.
    since: u64,
    voted: bool,
    messages: Vec<Message>,
}

impl Unpersisted {
    /// `limit` is the most bytes of entries that may wait.
    pub fn new(limit: usize) -> Self {
        Unpersisted { waiting: VecDeque::new(), limit: limit as u64, writing: 0, arriving: 0 }
    }

    /// Bytes of entries that wait for the disk.
    pub fn bytes(&self) -> u64 {
        self.writing + self.arriving
    }

    /// Bytes of entries that raft-rs has accepted but not handed back in a Ready.
    pub fn arriving(&self) -> u64 {
        self.arriving
    }

    /// Whether a leader should stop cutting entries.
    pub fn is_full(&self) -> bool {
        self.bytes() >= self.limit && !planted::is(Bug::DiskQueueUnbounded)
    }

    /// Whether a follower has room for `bytes` more. An entry larger than the limit is accepted on its own.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        self.bytes() == 0 || self.bytes() + bytes <= self.limit || planted::is(Bug::DiskQueueUnbounded)
    }

    /// Notes that raft-rs was given entries of `bytes`.
    pub fn arrived(&mut self, bytes: u64) {
        self.arriving += bytes;
    }

    /// Notes that raft-rs has handed everything back in Readys.
    pub fn all_handed_over(&mut self) {
        self.arriving = 0;
    }

    /// Notes a Ready that was handed to the disk.
    pub fn push(&mut self, ready: u64, entries: &[LogEntry], voted: bool, messages: Vec<Message>, now: u64) {
        let bytes = entries.iter().map(LogEntry::memory_bytes).sum();
        self.writing += bytes;
        self.waiting.push_back(WaitingReady {
            write: ready,
            through: ready,
            bytes,
            since: now,
            voted,
            messages,
        });
    }

    /// Queues a Ready that needs no write of its own behind what waits. Returns its messages if nothing
    /// waits.
    ///
    /// Any number of these may queue behind a disk that hangs, so messages that a later one makes redundant
    /// are dropped: every answer says all that the previous one said.
    pub fn follow(&mut self, ready: u64, messages: Vec<Message>) -> Result<(), Vec<Message>> {
        let Some(last) = self.waiting.back_mut() else { return Err(messages) };
        last.through = ready;
        for message in messages {
            if let Some(before) = last.messages.iter_mut().find(|before| is_said_again(before, &message)) {
                *before = message;
            } else {
                last.messages.push(message);
            }
        }
        Ok(())
    }

    /// Whether a vote or a term is waiting.
    pub fn has_vote(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.voted)
    }

    /// Notes that everything up to the write of this Ready is durable. Returns the last Ready that waits for
    /// nothing any more, if there is a new one, and the messages that may leave.
    pub fn persisted(&mut self, ready: u64) -> Option<(u64, Vec<Message>)> {
        let mut done = None;
        let mut messages = Vec::new();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.write <= ready) {
            self.writing -= waiting.bytes;
            done = Some(waiting.through);
            messages.extend(waiting.messages);
        }
        done.map(|through| (through, messages))
    }

    /// Ticks for which the oldest write has been waiting.
    pub fn waits_for(&self, now: u64) -> u64 {
        self.waiting.front().map_or(0, |oldest| now - oldest.since)
    }
}

/// Whether the later of two messages says all that the earlier one does.
fn is_said_again(earlier: &Message, later: &Message) -> bool {
    let same = earlier.to == later.to && earlier.msg_type == later.msg_type && earlier.term <= later.term;
    same && match later.msg_type {
        MessageType::MsgAppendResponse => earlier.reject || !later.reject && earlier.index <= later.index,
        MessageType::MsgHeartbeatResponse => earlier.context == later.context,
        MessageType::MsgRequestPreVote | MessageType::MsgRequestPreVoteResponse => true,
        _ => false,
    }
}

/// Approximate memory of entries while they wait, in bytes.
pub(super) fn bytes_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| LogEntry::bytes_in_memory(&entry.context, &entry.data)).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry(bytes: usize) -> LogEntry {
        LogEntry { index: 1, term: 1, kind: 0, context: Bytes::new(), data: vec![0; bytes].into() }
    }

    fn message(msg_type: MessageType, to: u64, index: u64) -> Message {
        Message { msg_type, to, index, ..Message::default() }
    }

    #[test]
    fn what_waits_is_counted_until_it_is_durable() {
        let mut unpersisted = Unpersisted::new(1000);
        assert!(unpersisted.has_room_for(5000), "one that exceeds all the room goes alone");
        unpersisted.arrived(700);
        assert!(!unpersisted.has_room_for(400));
        unpersisted.push(1, &[entry(700)], false, vec![message(MessageType::MsgAppendResponse, 1, 1)], 3);
        unpersisted.all_handed_over();
        assert!(unpersisted.bytes() >= 700 && !unpersisted.is_full());
        unpersisted.push(2, &[entry(700)], true, Vec::new(), 9);
        assert!(unpersisted.is_full() && unpersisted.has_vote());
        assert_eq!(unpersisted.waits_for(13), 10);
        let (through, messages) = unpersisted.persisted(1).unwrap();
        assert_eq!((through, messages.len(), unpersisted.waits_for(13)), (1, 1, 4));
        assert_eq!(unpersisted.persisted(2).map(|(through, _)| through), Some(2));
        assert_eq!((unpersisted.bytes(), unpersisted.waits_for(99)), (0, 0));
        assert!(unpersisted.persisted(2).is_none());
    }

    #[test]
    fn what_follows_a_write_waits_with_it_and_is_said_once() {
        let mut unpersisted = Unpersisted::new(1000);
        assert!(unpersisted.follow(1, Vec::new()).is_err(), "nothing is waited for");
        unpersisted.push(2, &[entry(1)], false, vec![message(MessageType::MsgAppendResponse, 1, 2)], 0);
        for ready in 3..1000 {
            let answers = vec![
                message(MessageType::MsgAppendResponse, 1, ready),
                message(MessageType::MsgHeartbeatResponse, 1, 0),
            ];
            unpersisted.follow(ready, answers).unwrap();
        }
        let (through, messages) = unpersisted.persisted(2).unwrap();
        assert_eq!((through, messages.len(), messages[0].index), (999, 2, 999));
    }

    #[test]
    fn a_refusal_does_not_stand_for_an_acknowledgement() {
        let acknowledged = message(MessageType::MsgAppendResponse, 1, 7);
        let refused = Message { reject: true, ..acknowledged.clone() };
        assert!(!is_said_again(&acknowledged, &refused));
        assert!(is_said_again(&refused, &acknowledged) && is_said_again(&refused, &refused));
        let to_another = message(MessageType::MsgAppendResponse, 2, 7);
        assert!(!is_said_again(&acknowledged, &to_another));
    }
}
