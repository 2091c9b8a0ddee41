//! What the corpus of the driver begins with: the states that a replica can be in, and for each of them what ought not to come.

use bytes::Bytes;
use niagara_group::epoch_end::encode_end;
use niagara_group::wire::Wire;
use niagara_sequencer::epoch::{Epoch, EpochEnd, Terms};
use raft::eraftpb::{Entry, Message, MessageType};

use super::seeds::named;

/// Waits for its election, is voted for, and has its first entry acknowledged.
const ELECTED: [u8; 18] = [0, 25, 3, 4, 2, 1, 2, 4, 3, 4, 3, 4, 3, 0, 3, 4, 3, 4];
/// Follows a leader, with some entries.
const FOLLOWS: [u8; 11] = [5, 0, 3, 3, 5, 0, 3, 3, 5, 1, 2];

/// Whole messages, in each state; and the script that makes messages by itself.
pub fn driver() -> Vec<(String, Vec<u8>)> {
    let states: [(&str, &[u8]); 4] =
        [("new", &[]), ("follows", &FOLLOWS), ("asks-for-votes", &[0, 25, 3, 4, 2]), ("leads", &ELECTED)];
    let mut seeds = named([
        ("nothing", vec![]),
        ("elected", [&ELECTED[..], &[6, 3, b'a', b'b', b'c', 3, 4, 3, 4, 3]].concat()),
        ("follows", FOLLOWS.to_vec()),
        (
            "made-up",
            (0..12)
                .flat_map(|kind| [&FOLLOWS[..3], &[9, kind, kind * 21, 3, 5, 4, 2, 6, 1, 9]].concat())
                .collect(),
        ),
        ("pads", [&ELECTED[..], &[8, 1, 3, 3, 8, 1, 4, 3, 0, 9, 3, 4, 3]].concat()),
        (
            "forwards",
            [&ELECTED[..], &[8, 4, 2, 1, 1, 2, 1, b'x', 8, 4, 2, 3, 1, 2, 0x7f, b'x', 3, 4, 3]].concat(),
        ),
    ]);
    for (state, script) in states {
        for (what, message) in wrong() {
            let body = Wire::Raft(Box::new(message)).encode().parts().concat();
            let length = (body.len() as u16).to_le_bytes();
            let input = [script, &[7], &length, &body, &[3, 0, 3]].concat();
            seeds.push((format!("{what}-{state}"), input));
        }
    }
    seeds
}

/// An entry that asks for another epoch.
fn end(groups: u16, members: Vec<u64>) -> Entry {
    let end = EpochEnd {
        epoch: Epoch::FIRST,
        next: Terms { groups, members, level: 1, ..Terms::default() },
        request: 7,
    };
    let (context, data) = encode_end(1, &end);
    Entry { term: 1, context, data, ..Entry::default() }
}

/// Messages that no correct server sends, and ends of epochs.
fn wrong() -> Vec<(&'static str, Message)> {
    let of = |msg_type| Message { msg_type, from: 2, to: 1, term: 1, ..Message::default() };
    let append = of(MessageType::MsgAppend);
    let entry = |context: &'static [u8], data: &'static [u8]| Entry {
        term: 1,
        context: Bytes::from_static(context),
        data: Bytes::from_static(data),
        ..Entry::default()
    };
    let mut body = vec![1; 49];
    body[1..9].copy_from_slice(&9u64.to_le_bytes());
    body[9..].fill(0);
    // Server 2, incarnation 1, command 1, one of them, in two bytes.
    for (at, value) in [(9, 2), (17, 1), (25, 1), (33, 1), (37, 2)] {
        body[at] = value;
    }
    let broken = Entry { context: body.into(), ..entry(b"", b"\x05x") };
    vec![
        ("term-0", Message { term: 0, ..of(MessageType::MsgRequestPreVote) }),
        ("greatest-term", Message { term: u64::MAX, ..of(MessageType::MsgRequestVote) }),
        ("no-priority", Message { priority: -1, ..of(MessageType::MsgRequestPreVote) }),
        ("hint", Message { reject: true, reject_hint: u64::MAX, ..of(MessageType::MsgAppendResponse) }),
        (
            "beyond-without-term",
            Message { index: 900, entries: vec![entry(b"", b"")].into(), ..append.clone() },
        ),
        ("broken-commands", Message { entries: vec![broken].into(), ..append.clone() }),
        ("end", Message { entries: vec![end(3, vec![1, 2, 3])].into(), ..append.clone() }),
        ("end-for-strangers", Message { entries: vec![end(3, vec![1, 2, 9])].into(), ..append.clone() }),
        (
            "end-with-too-many-groups",
            Message { entries: vec![end(u16::MAX, vec![1, 2, 3])].into(), ..append },
        ),
        (
            "long-question",
            Message {
                term: 0,
                entries: vec![Entry { data: vec![1; 300].into(), ..Entry::default() }].into(),
                ..of(MessageType::MsgReadIndex)
            },
        ),
    ]
}
