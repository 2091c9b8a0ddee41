//! Encodes the messages of a turn, and an append for several followers once.

use niagara_net::Frame;
use raft::eraftpb::{Entry, Message, MessageType};

use crate::wire::Wire;

/// Encodes messages in the order in which they are sent.
///
/// A leader sends the same entries to each follower that keeps up. Such appends share one frame: their
/// payloads are copied once, however many followers there are. Drop the encoder at the end of the
/// turn, since it keeps what it has encoded.
///
/// ```
/// use niagara_group::encoder::Encoder;
/// use niagara_group::wire::Wire;
///
/// let frame = Encoder::default().encode(Wire::Claim);
/// assert_eq!(frame.parts(), Wire::Claim.encode().parts());
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    appends: Vec<(Box<Message>, Frame)>,
}

/// The most appends that are kept, the oldest first. Few turns send more to one follower.
const MOST_KEPT: usize = 8;

impl Encoder {
    /// Encodes a message.
    pub fn encode(&mut self, wire: Wire) -> Frame {
        if let Wire::Raft(message) = &wire
            && let Some((_, frame)) = self.appends.iter().find(|(sent, _)| are_one(sent, message))
        {
            return frame.clone();
        }
        let frame = wire.encode();
        match wire {
            Wire::Raft(message)
                if message.msg_type == MessageType::MsgAppend && !message.entries.is_empty() =>
            {
                if self.appends.len() == MOST_KEPT {
                    self.appends.remove(0);
                }
                self.appends.push((message, frame.clone()));
            }
            _ => {}
        }
        frame
    }
}

/// Whether two appends have the same bytes. Entries are compared by where their payloads are: no payload is
/// read, and two copies of one count as different.
fn are_one(a: &Message, b: &Message) -> bool {
    let numbers = |message: &Message| {
        let Message { msg_type, from, term, log_term, index, commit, commit_term, .. } = *message;
        let Message { reject, reject_hint, request_snapshot, priority, .. } = *message;
        (
            (msg_type, from, term, log_term, index, commit, commit_term),
            (reject, reject_hint, request_snapshot, priority),
        )
    };
    let is_same = |(a, b): (&Entry, &Entry)| {
        (a.term, a.entry_type, &a.context) == (b.term, b.entry_type, &b.context)
            && (a.data.as_ptr(), a.data.len()) == (b.data.as_ptr(), b.data.len())
    };
    b.msg_type == MessageType::MsgAppend
        && numbers(a) == numbers(b)
        && a.context == b.context
        && a.entries.len() == b.entries.len()
        && a.entries.iter().zip(b.entries.iter()).all(is_same)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn append(to: u64, index: u64, payloads: &[Bytes]) -> Message {
        let entries = payloads.iter().zip(index + 1..).map(|(data, index)| Entry {
            index,
            term: 4,
            data: data.clone(),
            context: Bytes::from_static(b"spans"),
            ..Entry::default()
        });
        Message {
            msg_type: MessageType::MsgAppend,
            to,
            from: 1,
            term: 4,
            log_term: 4,
            index,
            commit: 2,
            entries: entries.collect::<Vec<_>>().into(),
            ..Message::default()
        }
    }

    /// Where the first part of a frame is, which clones share.
    fn place(frame: &Frame) -> *const u8 {
        frame.parts()[0].as_ptr()
    }

    #[test]
    fn an_append_to_several_followers_is_encoded_once() {
        let payloads = [Bytes::from(vec![1; 100]), Bytes::from(vec![2; 10_000])];
        let mut encoder = Encoder::default();
        let mut send =
            |to, index, payloads: &[Bytes]| encoder.encode(Wire::Raft(Box::new(append(to, index, payloads))));
        let sent = [send(2, 5, &payloads), send(2, 7, &payloads[..1])];
        let again = [send(3, 5, &payloads), send(3, 7, &payloads[..1])];
        assert_eq!(sent.each_ref().map(place), again.each_ref().map(place));
        assert_ne!(place(&sent[0]), place(&sent[1]));
    }

    /// Every field that the receiver sees counts, and so does every entry.
    #[test]
    fn appends_that_differ_are_encoded_each_by_itself() {
        let payloads = [Bytes::from(vec![1; 100]), Bytes::from(vec![2; 10_000])];
        let first = append(2, 5, &payloads);
        let changes: [fn(&mut Message); 14] = [
            |message| message.from += 1,
            |message| message.term += 1,
            |message| message.log_term += 1,
            |message| message.index += 1,
            |message| message.commit += 1,
            |message| message.commit_term += 1,
            |message| message.reject = true,
            |message| message.reject_hint += 1,
            |message| message.request_snapshot += 1,
            |message| message.priority += 1,
            |message| message.context = Bytes::from_static(b"a read"),
            |message| message.entries[1].term += 1,
            |message| message.entries[0].context = Bytes::new(),
            |message| message.entries[0].data = Bytes::from(vec![3; 100]),
        ];
        for change in changes {
            let mut encoder = Encoder::default();
            encoder.encode(Wire::Raft(Box::new(first.clone())));
            let mut other = append(3, 5, &payloads);
            change(&mut other);
            let wire = Wire::Raft(Box::new(other));
            let body = |frame: Frame| frame.parts().concat();
            let expected = body(wire.encode());
            assert_ne!(expected, body(Wire::Raft(Box::new(first.clone())).encode()));
            assert_eq!(body(encoder.encode(wire)), expected);
        }
    }
}
