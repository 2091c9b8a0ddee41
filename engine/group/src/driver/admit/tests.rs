use bytes::Bytes;
use raft::eraftpb::Entry;

use super::super::fixture::NoCommands;
use super::super::{Contradiction, DriverConfig, Output, View};
use super::*;
use crate::batch::{encode_commands, encode_skip};
use crate::epoch_end::encode_end;
use crate::wire::Wire;
use niagara_sequencer::epoch::{Epoch, Terms};

/// Replica of server 1 of three.
struct Replica {
    driver: Driver,
    output: Output,
}

impl Replica {
    fn new() -> Self {
        Replica { driver: Driver::in_memory(DriverConfig::small()), output: Output::default() }
    }

    fn turn(&mut self) {
        self.driver.turn(&View::default(), &[&NoCommands], &mut self.output);
        self.driver.disk_finishes(&mut self.output);
        self.driver.turn(&View::default(), &[&NoCommands], &mut self.output);
    }

    fn receive(&mut self, message: Message) {
        self.driver.receive(2, Wire::Raft(Box::new(message)));
        self.turn();
    }

    /// A follower of server 2 with three entries, two of them committed.
    fn following() -> Self {
        let mut replica = Replica::new();
        replica.receive(Message {
            commit: 2,
            entries: entries(1, 3).into(),
            ..from_leader(MessageType::MsgAppend)
        });
        assert_eq!((replica.driver.commit(), replica.driver.last_index()), (2, 3));
        replica
    }

    fn asking_for_votes() -> Self {
        let mut replica = Replica::following();
        while replica.driver.role() != StateRole::Candidate {
            replica.driver.tick(&View::default());
            replica.turn();
            let term = replica.driver.term() + 1;
            replica.receive(Message { term, ..from_leader(MessageType::MsgRequestPreVoteResponse) });
        }
        replica
    }

    fn leading() -> Self {
        let mut replica = Replica::asking_for_votes();
        let term = replica.driver.term();
        replica.receive(Message { term, ..from_leader(MessageType::MsgRequestVoteResponse) });
        assert!(replica.driver.leads());
        replica
    }

    fn standing(&self) -> (u64, StateRole, u64, u64, u64) {
        let driver = &self.driver;
        (driver.term(), driver.role(), driver.leader(), driver.commit(), driver.last_index())
    }
}

/// A message of term 1 from server 2.
fn from_leader(msg_type: MessageType) -> Message {
    Message { msg_type, from: 2, to: 1, term: 1, ..Message::default() }
}

fn entries(from: u64, count: u64) -> Vec<Entry> {
    let entry = |index| Entry { index, term: 1, context: encode_skip(index), ..Entry::default() };
    (from..from + count).map(entry).collect()
}

fn batch(server: u64, incarnation: u64, body: &[u8], count: u32) -> SubBatch {
    let span = Span { server, incarnation, lane: 0, attempt: 0, first: 1, count };
    SubBatch { span, lone: false, body: Bytes::copy_from_slice(body) }
}

/// Appends entry 4 and replaces nothing.
fn append(change: impl FnOnce(&mut Entry)) -> Message {
    let mut entry = entries(4, 1).remove(0);
    change(&mut entry);
    Message { index: 3, log_term: 1, entries: vec![entry].into(), ..from_leader(MessageType::MsgAppend) }
}

fn append_commands(batch: SubBatch) -> Message {
    append(|entry| (entry.context, entry.data) = encode_commands(9, &[batch]))
}

/// Asks for an epoch with so many groups, and these members.
fn append_end(members: &[u64], level: u32) -> Message {
    let next = Terms { groups: 5, members: members.to_vec(), level, ..Terms::default() };
    let end = EpochEnd { epoch: Epoch::FIRST, next, request: 7 };
    append(|entry| (entry.context, entry.data) = encode_end(9, &end))
}

fn question(length: usize) -> Message {
    let entry = Entry { data: vec![1; length].into(), ..Entry::default() };
    Message { term: 0, entries: vec![entry].into(), ..from_leader(MessageType::MsgReadIndex) }
}

/// Each of these would end the server, at once or upon execution, or change what must not change.
fn wrong() -> Vec<(&'static str, Message)> {
    use MessageType::*;
    let mut all = vec![
        ("a hint beyond", Message { reject: true, reject_hint: u64::MAX, ..from_leader(MsgAppendResponse) }),
        ("acknowledges the future", Message { index: 1 << 40, ..from_leader(MsgAppendResponse) }),
        (
            "a snapshot is asked for",
            Message { reject: true, request_snapshot: 1, ..from_leader(MsgAppendResponse) },
        ),
        ("a priority", Message { priority: -1, ..from_leader(MsgRequestPreVote) }),
        ("an older one", Message { deprecated_priority: 1, ..from_leader(MsgRequestVote) }),
        ("an entry without a term", Message { term: 9, index: 9, ..from_leader(MsgRequestVote) }),
        (
            "an append beyond, without a term",
            Message { index: 900, log_term: 0, ..append(|entry| entry.index = 901) },
        ),
        ("the greatest index", Message { index: u64::MAX, log_term: 1, ..append(|_| {}) }),
        ("indexes do not follow", append(|entry| entry.index = 7)),
        ("a change of members", append(|entry| entry.entry_type = EntryType::EntryConfChange)),
        ("a term of 0", append(|entry| entry.term = 0)),
        ("a term of the future", append(|entry| entry.term = 99)),
        ("a place again", append(|entry| entry.context = encode_skip(3))),
        ("a place out of reach", append(|entry| entry.context = encode_skip(MAX_PLACE))),
        ("no such place", append(|entry| entry.context = encode_skip(MAX_PLACE + 1))),
        (
            "a broken head",
            append(|entry| entry.context = Bytes::from_static(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 5])),
        ),
        ("data without commands", append(|entry| entry.data = Bytes::from_static(b"x"))),
        (
            "data with another sum",
            append(|entry| {
                (entry.context, _) = encode_commands(9, &[batch(2, 1, b"\x01x", 1)]);
                entry.data = Bytes::from_static(b"\x01y");
            }),
        ),
        ("a command that is cut", append_commands(batch(2, 1, b"\x05x", 1))),
        ("the end of an epoch for a release to come", append_end(&[1, 2, 3], 2)),
        ("fewer commands", append_commands(batch(2, 1, b"\x01x", 2))),
        ("more commands", append_commands(batch(2, 1, b"\x01x\x01x", 1))),
        ("commands in this server's name", append_commands(batch(1, 2, b"\x01x", 1))),
        ("in a later life's", append_commands(batch(1, 3, b"\x01x", 1))),
        ("a vote with entries", Message { entries: entries(1, 1).into(), ..from_leader(MsgRequestVote) }),
        ("no question", Message { term: 0, ..from_leader(MsgReadIndex) }),
        ("a short question", question(8)),
        ("a question that fits no heartbeat", question(70_000)),
        ("a long context", Message { context: vec![1; 70_000].into(), ..from_leader(MsgHeartbeat) }),
        ("from another", Message { from: 3, ..from_leader(MsgHeartbeat) }),
        ("from nobody", Message { from: 0, ..from_leader(MsgHeartbeat) }),
        ("from a stranger", Message { from: 9, ..from_leader(MsgHeartbeat) }),
        ("to another", Message { to: 3, ..from_leader(MsgHeartbeat) }),
    ];
    for kind in [
        MsgHup,
        MsgBeat,
        MsgPropose,
        MsgSnapshot,
        MsgSnapStatus,
        MsgUnreachable,
        MsgCheckQuorum,
        MsgTransferLeader,
    ] {
        all.push(("a replica's own business", from_leader(kind)));
        all.push(("the same, without a term", Message { term: 0, ..from_leader(kind) }));
    }
    for kind in [
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgTimeoutNow,
        MsgReadIndexResp,
        MsgRequestPreVote,
        MsgRequestPreVoteResponse,
    ] {
        for term in [0, 1 << 40, MOST + 1, u64::MAX] {
            all.push(("no such term", Message { term, ..from_leader(kind) }));
        }
        for index in [MOST + 1, u64::MAX] {
            all.push(("no such index", Message { index, log_term: 1, ..from_leader(kind) }));
            all.push(("no such commit", Message { commit: index, ..from_leader(kind) }));
        }
    }
    all
}

#[test]
fn what_no_correct_server_sends_changes_nothing_and_ends_nobody() {
    for make in [Replica::following, Replica::asking_for_votes, Replica::leading] {
        for (what, message) in wrong() {
            let mut replica = make();
            let before = replica.standing();
            // In the replica's own term: messages of earlier terms are checked less.
            let message = if message.term == 1 { Message { term: before.0, ..message } } else { message };
            let kind = message.msg_type;
            replica.receive(message);
            assert_eq!(replica.standing(), before, "{what} ({kind:?})");
        }
    }
    // An empty replica may note a message's term.
    wrong().into_iter().for_each(|(_, message)| Replica::new().receive(message));
}

#[test]
fn what_a_correct_leader_sends_is_taken() {
    let mut replica = Replica::following();
    replica.receive(append_commands(batch(2, 1, b"\x01x\x00\x02yz", 3)));
    assert_eq!(replica.driver.last_index(), 4);
    replica.receive(Message { commit: 4, ..from_leader(MessageType::MsgHeartbeat) });
    assert_eq!(replica.driver.commit(), 4);
    // Commands of an earlier life of this server may still be in flight.
    let earlier = append_commands(batch(1, 1, b"\x01x", 1));
    let mut entry = earlier.entries[0].clone();
    (entry.index, (entry.context, entry.data)) = (5, encode_commands(10, &[batch(1, 1, b"\x01x", 1)]));
    replica.receive(Message {
        index: 4,
        log_term: 1,
        entries: vec![entry].into(),
        ..from_leader(MessageType::MsgAppend)
    });
    assert_eq!(replica.driver.last_index(), 5);
}

#[test]
fn an_epoch_may_end_for_the_same_members() {
    let mut replica = Replica::following();
    replica.receive(append_end(&[3, 1, 2], 1));
    assert_eq!(replica.driver.last_index(), 4);
}

#[test]
fn only_the_leader_answers_a_read() {
    let mut replica = Replica::following();
    replica.driver.ask_read(1);
    replica.turn();
    let asked = replica.output.messages.iter().find_map(|(to, wire)| match wire {
        Wire::Raft(message) if message.msg_type == MessageType::MsgReadIndex => {
            Some((*to, message.entries.to_vec()))
        }
        _ => None,
    });
    let (leader, question) = asked.expect("the leader is asked");
    assert_eq!(leader, 2);
    let answer = |from: u64, term: u64, index: u64| Message {
        from,
        term,
        index,
        entries: question.clone().into(),
        ..from_leader(MessageType::MsgReadIndexResp)
    };
    // A follower that says that nothing is committed would make this server take its leader for one that has lost
    // something; one that says too little would make the read a stale one.
    for (from, term, index) in [(3, 1, 0), (3, 1, 2), (3, 2, 0), (2, 2, 0)] {
        let message = answer(from, term, index);
        replica.driver.receive(from, Wire::Raft(Box::new(message)));
        replica.turn();
        assert_eq!((replica.output.contradicted, replica.output.reads.len()), (None, 0), "from {from}");
    }
    replica.receive(answer(2, 1, 2));
    assert_eq!(replica.output.reads.len(), 1);
}

#[test]
fn a_leader_that_stands_for_election_again_leads_no_more() {
    let stands = |from| {
        let mut replica = Replica::following();
        let question = Message { term: 2, index: 3, log_term: 1, ..from_leader(MessageType::MsgRequestVote) };
        let message = Message { from, ..question };
        replica.driver.receive(from, Wire::Raft(Box::new(message)));
        replica.turn();
        (replica.driver.term(), replica.driver.leader())
    };
    assert_eq!(stands(2), (2, 0), "its vote is for whoever asks first");
    assert_eq!(stands(3), (1, 2), "another one may be wrong about the leader");
}

/// Nothing here can tell whether it is true, so nobody ends, and the replica takes part in nothing.
#[test]
fn who_is_said_to_have_forgotten_something_neither_ends_nor_votes() {
    let mut replica = Replica::following();
    replica.receive(Message { commit: 9, ..from_leader(MessageType::MsgHeartbeat) });
    let forgotten = Contradiction::Forgotten { leader: 2, index: 9, last: 3 };
    assert_eq!(replica.output.contradicted, Some(forgotten));
    let before = replica.standing();
    replica.receive(append(|_| {}));
    let vote = Message { term: 5, index: 9, log_term: 4, ..from_leader(MessageType::MsgRequestVote) };
    replica.receive(vote);
    for _ in 0..100 {
        replica.driver.tick(&View::default());
        replica.turn();
    }
    assert_eq!(replica.standing(), before);
}

#[test]
fn who_sends_what_no_correct_server_sends_is_named_once_a_turn() {
    let mut replica = Replica::following();
    for _ in 0..3 {
        let message = append(|entry| entry.term = 0);
        replica.driver.receive(2, Wire::Raft(Box::new(message)));
    }
    replica.turn();
    assert_eq!((replica.output.refused, &replica.output.offenders[..]), (3, &[2][..]));
    // Too late is not wrong.
    replica.receive(question(CONTEXT_BYTES));
    assert_eq!(replica.output.offenders, [2]);
}

#[test]
fn entries_that_nobody_has_taken_from_raft_count_too() {
    let mut replica = Replica::following();
    let append = |index: u64, place| {
        let entry = Entry { index: index + 1, term: 1, context: encode_skip(place), ..Entry::default() };
        Message { index, log_term: 1, entries: vec![entry].into(), ..from_leader(MessageType::MsgAppend) }
    };
    replica.driver.receive(2, Wire::Raft(Box::new(append(3, 50))));
    replica.driver.receive(2, Wire::Raft(Box::new(append(4, 50))));
    replica.turn();
    assert_eq!(replica.driver.last_index(), 4, "the second fills a place again");
}

#[test]
fn a_term_has_one_leader() {
    let mut replica = Replica::following();
    let other = Message { from: 3, commit: 3, ..from_leader(MessageType::MsgHeartbeat) };
    replica.driver.receive(3, Wire::Raft(Box::new(other)));
    assert_eq!((replica.driver.leader(), replica.driver.commit()), (2, 2));
}

#[test]
fn a_vote_that_nobody_asked_for_makes_no_leader() {
    let mut replica = Replica::following();
    // Entry 4 is appended but not durable.
    replica.driver.receive(2, Wire::Raft(Box::new(append(|_| {}))));
    replica.driver.turn(&View::default(), &[&NoCommands], &mut replica.output);
    while replica.driver.role() != StateRole::Candidate {
        replica.driver.tick(&View::default());
        let term = replica.driver.term() + 1;
        let vote = Message { term, ..from_leader(MessageType::MsgRequestPreVoteResponse) };
        replica.driver.receive(2, Wire::Raft(Box::new(vote)));
    }
    let term = replica.driver.term();
    let vote = Message { term, ..from_leader(MessageType::MsgRequestVoteResponse) };
    replica.driver.receive(2, Wire::Raft(Box::new(vote)));
    assert_eq!(replica.driver.role(), StateRole::Candidate);
}

#[test]
fn no_request_to_pad_uses_up_all_places() {
    let mut replica = Replica::leading();
    for _ in 0..3 {
        replica.driver.receive(2, Wire::PadRequest { level: MAX_PLACE });
        replica.driver.receive(2, Wire::PadRequest { level: u64::MAX });
        replica.turn();
        replica.driver.tick(&View::default());
    }
    let level = replica.driver.level();
    assert!((1 << 32..1 << 40).contains(&level), "{level}");
}

#[test]
fn forwarded_commands_and_snapshots_are_checked() {
    let mut replica = Replica::leading();
    let last = replica.driver.last_index();
    let lone = |body| SubBatch { lone: true, ..batch(2, 1, body, 1) };
    for wrong in [
        batch(3, 1, b"\x01x", 1),
        batch(2, 1, b"\x05x", 1),
        batch(2, 1, b"\x01x", 0),
        batch(2, 1, b"", 1),
        SubBatch { lone: true, ..batch(2, 1, b"x", 2) },
        SubBatch { span: Span { lane: 7, ..batch(2, 1, b"", 1).span }, ..batch(2, 1, b"\x01x", 1) },
        SubBatch { span: Span { first: u64::MAX, ..batch(2, 1, b"", 1).span }, ..batch(2, 1, b"\x01x", 1) },
        lone(&[1; (1 << 10) + 1]),
    ] {
        replica.output.messages.clear();
        replica.driver.receive(2, Wire::Forward(wrong.clone()));
        replica.turn();
        assert_eq!(replica.driver.last_index(), last, "{wrong:?}");
        assert!(
            replica.output.messages.contains(&(2, Wire::Nack { lane: wrong.span.lane, attempt: 0 })),
            "{wrong:?} is refused"
        );
    }
    replica.driver.receive(2, Wire::Forward(lone(&[1; 1 << 10])));
    replica.turn();
    assert_eq!(replica.driver.last_index(), last + 1);

    let mut replica = Replica::following();
    for (term, round) in [(0, 1), (1, 0), (u64::MAX, 1), (1, MAX_PLACE + 1)] {
        replica.driver.receive(2, Wire::Snapshot { term, round });
    }
    replica.driver.receive(3, Wire::Snapshot { term: 1, round: 1 });
    replica.turn();
    assert_eq!(replica.output.need, None);
    replica.driver.receive(2, Wire::Snapshot { term: 1, round: 1 });
    replica.turn();
    assert_eq!(replica.output.need, Some((2, 1)));
}
