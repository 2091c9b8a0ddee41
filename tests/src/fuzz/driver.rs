//! What other servers' replicas of a group say to this one, whatever state it is in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::internals::example;
use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Config, Consistency, Durability, Member};
use niagara_group::batch::{Span, SubBatch, encode_commands, encode_skip};
use niagara_group::digest_mark::DigestMark;
use niagara_group::epoch_end::encode_end;
use niagara_group::wire::Wire;
use niagara_log::{LogEntry, SystemFiles};
use niagara_net::{Event, Frame};
use niagara_sequencer::epoch::{Epoch, EpochEnd, Terms};
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::script::Script;

const SERVER: u64 = 1;
const GROUP: usize = 0;
/// Steps of a script that are carried out: each costs some microseconds.
const MOST_STEPS: usize = 200;

/// **Whatever a member sends, and whenever, it ends no other server.** Terms and the commit index never fall, what is committed
/// never changes, terms rise along the log, and what is committed is executed.
///
/// The data is a script: time passes, the disk writes, honest peers vote, acknowledge and append, clients write and read; and in
/// between comes what no correct server sends, made of numbers near those that matter, or of any bytes. What a command means is
/// the state machine's business; this one counts them, whatever they are.
///
/// # Panics
/// When the property does not hold.
pub fn driver(data: &[u8]) {
    let mut script = Script(data);
    let mut server = Server::open();
    for _ in 0..MOST_STEPS {
        if script.is_empty() {
            break;
        }
        server.step(&mut script);
        server.check();
    }
    server.settle();
    server.check();
}

/// The server, and what has been seen of it.
struct Server {
    machine: SimServer<example::Counter>,
    clock: Arc<ManualClock>,
    ticks: u64,
    sent: Vec<(u64, Wire)>,
    term: u64,
    committed: Vec<LogEntry>,
}

impl Server {
    fn open() -> Server {
        let member = |server| {
            let address = || "nowhere:0".to_owned();
            Member { server, addresses: vec![address()], transfer: address() }
        };
        let mut config = Config::new(1, SERVER, (1..=3).map(member).collect());
        config.durability = Durability::Memory;
        config.entry_bytes = 1 << 10;
        let clock = Arc::new(ManualClock::new());
        let environment = Environment {
            boot: 7,
            clock: Clock::Manual(Arc::clone(&clock)),
            files: Arc::new(SystemFiles),
            prepare_beside: false,
            election_seed: Some(1),
        };
        let machine =
            SimServer::open(&config, &environment, example::Counter::default()).expect("an empty log opens");
        Server { machine, clock, ticks: 0, sent: Vec::new(), term: 0, committed: Vec::new() }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let code = script.byte();
        let from = 2 + u64::from(code >> 7);
        match code & 0x0f {
            0 => (0..script.byte() % 32).for_each(|_| self.tick()),
            1 => self.machine.write_log(GROUP).expect("memory can be written"),
            2 => self.turn(),
            3 => self.settle(),
            4 => self.answer(),
            5 => self.lead_honestly(from, script),
            6 => {
                let command = Bytes::copy_from_slice(script.sized(false));
                drop(self.machine.client().propose(command));
                drop(self.machine.client().read(Consistency::Strong));
            }
            7 => self.receive_bytes(from, Bytes::copy_from_slice(script.sized(true))),
            8 => self.receive(from, &other_message(script)),
            _ => {
                let message = self.raft_message(from, script);
                self.receive(from, &Wire::Raft(Box::new(message)));
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.clock.set(Duration::from_millis(50) * self.ticks as u32);
        self.machine.tick_group(GROUP);
        self.machine.tick();
        self.turn();
    }

    fn turn(&mut self) {
        for (to, frame) in self.machine.turn(GROUP) {
            let wire = Wire::decode(&body(&frame)).expect("the server understands what it sends");
            self.sent.push((to, wire));
        }
        self.sent.drain(..self.sent.len().saturating_sub(100));
    }

    /// Everything that can be done without time, peers and clients is done.
    fn settle(&mut self) {
        for _ in 0..10 {
            self.turn();
            self.machine.write_log(GROUP).expect("memory can be written");
            while self.machine.merge() {}
            while self.machine.execute() {}
        }
    }

    /// Peers that hold everything, and grant everything, answer what has been sent.
    fn answer(&mut self) {
        for (to, wire) in std::mem::take(&mut self.sent) {
            let (Wire::Raft(asked) | Wire::Notice(asked)) = wire else { continue };
            let kind = match asked.msg_type {
                MessageType::MsgRequestPreVote => MessageType::MsgRequestPreVoteResponse,
                MessageType::MsgRequestVote => MessageType::MsgRequestVoteResponse,
                MessageType::MsgAppend => MessageType::MsgAppendResponse,
                MessageType::MsgHeartbeat => MessageType::MsgHeartbeatResponse,
                _ => continue,
            };
            let index = if kind == MessageType::MsgAppendResponse {
                asked.index + asked.entries.len() as u64
            } else {
                0
            };
            let answer = Message {
                msg_type: kind,
                from: to,
                to: SERVER,
                term: asked.term,
                index,
                context: asked.context.clone(),
                ..Message::default()
            };
            self.receive(to, &Wire::Raft(Box::new(answer)));
        }
    }

    /// A correct leader goes on where the log ends.
    fn lead_honestly(&mut self, from: u64, script: &mut Script<'_>) {
        let standing = self.machine.standing(GROUP);
        let another = ![0, from].contains(&standing.leader);
        let term = standing.term.min(1 << 40)
            + u64::from(another || standing.term == 0 || script.byte().is_multiple_of(4));
        let place = 1 + self.last_place();
        let entry = |(index, place): (u64, u64)| {
            let (context, data) = encode_commands(place, &[sub_batch(from, 1, place, b"\x01a\x02bb", 2)]);
            Entry { term, index, context, data, ..Entry::default() }
        };
        let count = u64::from(script.byte() % 4);
        let message = Message {
            msg_type: MessageType::MsgAppend,
            from,
            to: SERVER,
            term,
            index: standing.last,
            log_term: self.term_of(standing.last),
            commit: standing.last,
            entries: (standing.last + 1..).zip(place..place + count).map(entry).collect::<Vec<_>>().into(),
            ..Message::default()
        };
        self.receive(from, &Wire::Raft(Box::new(message)));
    }

    fn last_place(&self) -> u64 {
        let last = self.machine.standing(GROUP).last;
        let places = self.entries(1, last);
        let places = places.iter().rev().filter_map(|entry| entry.context.get(1..9)?.try_into().ok());
        places.map(u64::from_le_bytes).next().unwrap_or(0)
    }

    /// A message of Raft's made of numbers near those that matter.
    fn raft_message(&self, from: u64, script: &mut Script<'_>) -> Message {
        let standing = self.machine.standing(GROUP);
        let (term, commit, last) = (standing.term, standing.commit, standing.last);
        let near = |near: &[u64], code: u8| {
            let far = [0, 1, 1 << 53, 1 << 62, (1 << 62) + 1, u64::MAX - 1, u64::MAX];
            let at = usize::from(code) % (3 * near.len() + far.len());
            near.get(at / 3)
                .map_or_else(|| far[at - 3 * near.len()], |near| (near + (at % 3) as u64).saturating_sub(1))
        };
        let a_term = |script: &mut Script<'_>| near(&[term, self.term_of(last)], script.byte());
        let an_index = |script: &mut Script<'_>| near(&[commit, last], script.byte());
        let kinds = KINDS.len();
        let msg_type = KINDS[usize::from(script.byte()) % kinds];
        let flags = script.byte();
        let term = a_term(script);
        let index = an_index(script);
        // Mostly what the log says there: then the rest of the message matters.
        let log_term = if flags & 1 == 0 { self.term_of(index) } else { a_term(script) };
        let count = usize::from(flags >> 1 & 3);
        Message {
            msg_type,
            from: if flags & 0x80 == 0 { from } else { u64::from(script.byte() % 5) },
            to: if flags & 0x40 == 0 { SERVER } else { u64::from(script.byte() % 5) },
            term,
            log_term,
            index,
            commit: an_index(script),
            commit_term: if flags & 0x20 == 0 { 0 } else { a_term(script) },
            reject: flags & 0x10 != 0,
            reject_hint: an_index(script),
            priority: if flags & 0x08 == 0 { 0 } else { i64::from(script.byte()) - 128 },
            request_snapshot: if flags & 0x28 == 0x28 { an_index(script) } else { 0 },
            context: Bytes::copy_from_slice(script.sized(false)),
            entries: (0..count).map(|_| self.an_entry(script)).collect::<Vec<_>>().into(),
            ..Message::default()
        }
    }

    fn an_entry(&self, script: &mut Script<'_>) -> Entry {
        let code = script.byte();
        let place = match code >> 5 {
            0 => 0,
            1 => self.last_place(),
            2 => 1 << 53,
            3 => u64::MAX,
            further => self.last_place() + u64::from(further) - 3,
        };
        let (context, data) = match code & 3 {
            0 => (Bytes::new(), Bytes::copy_from_slice(script.sized(false))),
            1 => (encode_skip(place), Bytes::new()),
            2 if code & 0x10 != 0 => encode_end(place, &an_end(script)),
            2 => encode_commands(place, &[a_batch(script)]),
            _ => (Bytes::copy_from_slice(script.sized(false)), Bytes::copy_from_slice(script.sized(false))),
        };
        let term = self.machine.standing(GROUP).term.saturating_add(u64::from(code >> 2 & 1));
        let entry_type =
            if code & 0x18 == 0x18 { EntryType::EntryConfChangeV2 } else { EntryType::EntryNormal };
        Entry { term, entry_type, context, data, ..Entry::default() }
    }

    fn receive(&mut self, from: u64, wire: &Wire) {
        self.receive_bytes(from, body(&wire.encode()));
    }

    fn receive_bytes(&mut self, from: u64, bytes: Bytes) {
        self.machine.handle(GROUP, Event::Frame { from, body: bytes });
    }

    fn entries(&self, low: u64, high: u64) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        let mut next = low;
        while next <= high {
            self.machine.log(GROUP).read(next, high, 1 << 20, &mut entries).expect("the log can be read");
            let last = entries.last().expect("a log reads at least one").index;
            assert!(last >= next, "reading goes on");
            next = last + 1;
        }
        entries
    }

    fn term_of(&self, index: u64) -> u64 {
        if index == 0 { 0 } else { self.machine.log(GROUP).term(index).unwrap_or(0) }
    }

    fn check(&mut self) {
        // What has been received is in the log from the next turn on.
        self.turn();
        let standing = self.machine.standing(GROUP);
        assert!(standing.term >= self.term, "the term falls from {} to {}", self.term, standing.term);
        self.term = standing.term;
        let known = self.committed.len() as u64;
        assert!(standing.commit >= known, "the commit index falls from {known} to {}", standing.commit);
        assert!(standing.commit <= standing.last, "{standing:?}");
        let entries = self.entries(1, standing.last);
        assert!(entries.is_sorted_by_key(|entry| entry.term), "terms rise along a log");
        assert!(entries.starts_with(&self.committed), "what is committed never changes");
        self.committed = entries;
        self.committed.truncate(standing.commit as usize);
    }
}

/// The messages of Raft that cross the network.
pub(super) const KINDS: [MessageType; 11] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

fn body(frame: &Frame) -> Bytes {
    frame.parts().concat().into()
}

fn sub_batch(server: u64, incarnation: u64, first: u64, body: &[u8], count: u32) -> SubBatch {
    let span = Span { server, incarnation, lane: 0, attempt: 0, first, count };
    SubBatch { span, lone: false, body: Bytes::copy_from_slice(body) }
}

/// Commands, or what passes for them.
fn a_batch(script: &mut Script<'_>) -> SubBatch {
    let (code, count, first) = (script.byte(), script.byte(), script.byte());
    let body = script.sized(false);
    let incarnation = u64::from(code >> 2 & 3);
    let mut batch = sub_batch(u64::from(code & 3), incarnation, first.into(), body, count.into());
    batch.span.lane = u16::from(code >> 4 & 1);
    batch.lone = code & 0x20 != 0;
    if code & 0x40 != 0 {
        batch.span.first = u64::MAX - u64::from(first);
    }
    batch
}

/// The end of an epoch, or what asks for something that cannot follow.
fn an_end(script: &mut Script<'_>) -> EpochEnd {
    let (code, groups) = (script.byte(), script.byte());
    let members = match code >> 1 & 3 {
        0 | 1 => vec![1, 2, 3],
        2 => vec![1, 2, 3, 9],
        _ => (0..u64::from(groups & 7)).collect(),
    };
    let groups = if code & 0x10 == 0 { u16::from(groups) } else { u16::from(groups) << 8 };
    let level = u32::from(code & 1 == 0) + u32::from(code & 0x20 != 0) * (u32::MAX - 1);
    let epoch = Epoch::new(1 + u32::from(code >> 6));
    EpochEnd { epoch, next: Terms { groups, members, level, ..Terms::default() }, request: code.into() }
}

fn a_mark(script: &mut Script<'_>) -> DigestMark {
    let (position, digest) = (script.byte(), script.byte());
    DigestMark { position: 1 << (position & 63), log: digest.into(), state: (digest & 1 != 0).then_some(0) }
}

fn other_message(script: &mut Script<'_>) -> Wire {
    let code = script.byte();
    let far = [0, 1, 2, 1 << 53, (1 << 53) + 1, 1 << 62, u64::MAX - 1, u64::MAX];
    let number = |script: &mut Script<'_>| far[usize::from(script.byte() & 7)];
    match code % 8 {
        0 => Wire::Snapshot { term: number(script), round: number(script) },
        1 => Wire::PadRequest { level: number(script) },
        2 => Wire::Nack { lane: u16::from(script.byte() % 2), attempt: script.byte().into() },
        3 => Wire::Claim,
        7 => Wire::Digests((0..script.byte() % 4).map(|_| a_mark(script)).collect()),
        4 => Wire::AskPromise { term: number(script), asked: Duration::from_nanos(number(script)) },
        5 => Wire::Promise { term: number(script), asked: Duration::from_nanos(number(script)) },
        _ => Wire::Forward(a_batch(script)),
    }
}
