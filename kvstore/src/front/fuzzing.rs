//! Conversations without sockets, for fuzzing: bytes in, in any pieces, and the bytes of the replies out.
//!
//! This is not part of the crate's interface. The sessions are those of production. The engine below them
//! keeps its state in memory and gives each command its own position, so replies depend only on the client's
//! bytes.

use std::cell::RefCell;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use niagara_engine::{
    Completion, Consistency, Durability, GlobalPosition, NotAttached, Refused, StateMachine, Status, Wake,
};

use super::allowance::Allowance;
use super::metrics::Tally;
use super::session::{Pumped, Session, Turn};
use super::slot::EngineAnswer;
use super::token::{NOBODY, Origin};
use crate::access::{Entrance, Names};
use crate::changes::Lookout;
use crate::clients::{Arrival, Clients};
use crate::http::{Clock, HttpConnection, Site};
use crate::protocol::{Engine, Input, Output, Protocol};
use crate::pubsub::{Audience, Subscriber};
use crate::resp::{Failover, RedisSite, RespConnection};
use crate::tracking::{Tracker, Trackers};
use crate::{Kv, KvReader, Life, Reply};

/// Like a thread's buffer in production, but smaller: a conversation of a few KiB should outgrow it now and
/// then.
const BUFFER_BYTES: usize = 2 << 10;

/// The client takes each reply at once.
const ALLOWANCE: Allowance = Allowance::SCANT;

/// What requests of the fuzzers call the server.
const NAMES: [&str; 2] = ["h", "golden"];

const ORIGIN: Origin = Origin { index: 3, generation: 9 };

/// Some bytes of a client that arrive together.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the engine answers before the next piece comes, or leaves everything in flight.
    pub answered: bool,
}

/// Nobody sleeps here.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// What the client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The bytes of all replies.
    pub replies: Vec<u8>,
    /// Whether the server has ended the conversation.
    pub over: bool,
}

/// Where conversations start: an empty state. All that start here scan keys in the same order.
#[derive(Debug, Default)]
pub struct Beginning(Kv);

impl Beginning {
    /// Runs a conversation over the Redis protocol.
    ///
    /// # Panics
    /// If the session misbehaves, for example ends with something in flight.
    pub fn redis<'a>(&self, pieces: impl IntoIterator<Item = Piece<'a>>) -> Received {
        let site = RedisSite::new(0, address(7002), Failover::default(), Arc::default());
        // Messages would come when the engine answers: what is sent to a client would depend on the pieces.
        let audience = Rc::new(RefCell::new(Audience::new(Arc::default(), Arc::new(Nobody))));
        let subscriber = Subscriber::new(audience, ORIGIN.number());
        let arrival = Arrival { id: 7, peer: Some(address(40_000)), ..Arrival::default() };
        let now = Instant::now();
        let member = Arc::new(Clients::new([], 1, now)).admit(arrival, now);
        let entrance = Entrance::open(&Arc::default());
        let trackers = Rc::new(RefCell::new(Trackers::new(Arc::default(), Arc::new(Nobody))));
        let tracker = Tracker::new(trackers, ORIGIN.number());
        let redis = RespConnection::new(member, Rc::new(site), (subscriber, tracker), entrance);
        self.converse(redis, pieces)
    }

    /// Runs a conversation over HTTP.
    ///
    /// # Panics
    /// As for [`redis`](Beginning::redis).
    pub fn http<'a>(&self, pieces: impl IntoIterator<Item = Piece<'a>>) -> Received {
        let clock = Clock::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let site = Site {
            clock,
            http: address(7001),
            redis: address(7002),
            tls: None,
            life: Life::new(1).expect("1 is not 0"),
            members: Vec::new(),
            members_https: Vec::new(),
            names: Names::new(NAMES, &[]),
            lookout: Lookout::new(Arc::new(Nobody)),
            handover: Arc::default(),
        };
        self.converse(HttpConnection::new(Rc::new(site), Entrance::open(&Arc::default())), pieces)
    }

    fn converse<'a, P: Protocol>(
        &self,
        protocol: P,
        pieces: impl IntoIterator<Item = Piece<'a>>,
    ) -> Received {
        let mut talk = Conversation {
            session: Session::new(protocol, ORIGIN),
            engine: Memory::new(self.0.emptied()),
            input: Input::default(),
            output: Output::default(),
            buffer: vec![0; BUFFER_BYTES],
            command: Vec::new(),
            tally: Tally::default(),
            now: Instant::now(),
            pumped: Pumped::NeedsInput,
            replies: Vec::new(),
        };
        for piece in pieces {
            talk.hear(piece);
        }
        talk.settle(true);
        assert!(talk.session.is_quiet(), "nothing stays in flight once the engine has answered");
        assert!(
            matches!(talk.pumped, Pumped::NeedsInput | Pumped::HeldUp | Pumped::Over)
                || talk.session.streams(),
            "a session that has every answer continues"
        );
        Received { replies: talk.replies, over: talk.pumped == Pumped::Over }
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A client and its server.
struct Conversation<P: Protocol> {
    session: Session<P, ()>,
    engine: Memory,
    input: Input,
    output: Output,
    buffer: Vec<u8>,
    command: Vec<u8>,
    tally: Tally,
    /// It stands still: what clients are told must not depend on how long anything takes.
    now: Instant,
    pumped: Pumped,
    replies: Vec<u8>,
}

impl<P: Protocol> Conversation<P> {
    fn hear(&mut self, piece: Piece<'_>) {
        let mut rest = piece.bytes;
        while !rest.is_empty() {
            let lent = self.input.lend(&mut self.buffer);
            self.turn(piece.answered);
            rest = self.receive(rest);
            self.settle(piece.answered);
            if lent {
                self.input.give_back(&mut self.buffer);
            }
        }
    }

    /// One read, into the input or directly into the command that waits for the bytes. Returns what is left
    /// to read.
    fn receive<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if let Some((command, missing)) = self.session.sink().filter(|_| self.input.is_empty()) {
            let (straight, rest) = bytes.split_at(missing.min(bytes.len()));
            command.extend_from_slice(straight);
            return rest;
        }
        let space = self.input.space(bytes.len());
        let (read, rest) = bytes.split_at(space.len().min(bytes.len()));
        space[..read.len()].copy_from_slice(read);
        self.input.filled(read.len());
        rest
    }

    /// Runs turns until nothing more happens.
    fn settle(&mut self, answered: bool) {
        loop {
            self.turn(answered);
            self.send();
            let waits = answered && self.engine.owes();
            if !waits && self.pumped != Pumped::NeedsOutput {
                break;
            }
        }
    }

    /// One turn of a front-end thread.
    fn turn(&mut self, answered: bool) {
        let mut completions = Vec::new();
        if answered {
            self.engine.collect(&mut completions);
        }
        let Conversation { session, engine, input, output, command, tally, now, .. } = self;
        let mut turn =
            Turn { allowance: ALLOWANCE, engine, now: *now, time: Some(1_000_000), tally, command };
        for completion in completions {
            let (token, answer) = EngineAnswer::from(completion);
            let (origin, sequence) = Origin::of(token);
            assert_eq!(origin, ORIGIN);
            session.complete(sequence, answer, output, &mut turn);
        }
        self.pumped = session.pump(input, output, &mut turn);
    }

    fn send(&mut self) {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = self.output.gather(&mut slices, usize::MAX);
            let before = self.replies.len();
            for slice in &slices[..count] {
                self.replies.extend_from_slice(slice);
            }
            self.output.advance(self.replies.len() - before);
        }
    }
}

/// An engine in memory. Each command has its own position: otherwise versions would depend on which commands
/// arrived together.
struct Memory {
    kv: Kv,
    reader: KvReader,
    applied: u64,
    proposed: Vec<(u64, Proposed)>,
    asked: Vec<u64>,
}

enum Proposed {
    Command(Bytes),
    /// A read of what the commands before it did.
    Query(Vec<u8>),
}

impl Memory {
    fn new(kv: Kv) -> Memory {
        let reader = kv.reader();
        Memory { kv, reader, applied: 0, proposed: Vec::new(), asked: Vec::new() }
    }

    /// Whether something waits for an answer.
    fn owes(&self) -> bool {
        !self.proposed.is_empty() || !self.asked.is_empty()
    }
}

impl Engine for Memory {
    type Lane = ();

    fn choose_lane(&self) {}

    fn propose(&mut self, lane: (), token: u64, command: &[u8]) -> Result<(), Refused> {
        self.propose_shared(lane, token, Bytes::copy_from_slice(command))
    }

    fn propose_shared(&mut self, (): (), token: u64, command: Bytes) -> Result<(), Refused> {
        self.proposed.push((token, Proposed::Command(command)));
        Ok(())
    }

    fn is_staged(&self, (): ()) -> bool {
        !self.proposed.is_empty()
    }

    fn attach(&mut self, (): (), token: u64, query: &[u8]) -> Result<(), NotAttached> {
        self.proposed.push((token, Proposed::Query(query.to_vec())));
        Ok(())
    }

    fn read_since(&mut self, token: u64, consistency: Consistency, _since: Instant) -> bool {
        self.read(token, consistency)
    }

    fn read(&mut self, token: u64, consistency: Consistency) -> bool {
        let fresh = match consistency {
            Consistency::Weak => true,
            Consistency::AtLeast(position) => position.get() <= self.applied,
            // A strong read, or one of a kind to come, waits.
            _ => false,
        };
        if !fresh {
            self.asked.push(token);
        }
        fresh
    }

    fn flush(&mut self) {}

    fn collect(&mut self, out: &mut Vec<Completion<Reply>>) {
        for (token, proposed) in self.proposed.drain(..) {
            match proposed {
                // It stands for no request, so it must not change the positions of those that do.
                Proposed::Command(_) if token == NOBODY => {}
                Proposed::Command(command) => {
                    self.applied += 1;
                    let position = GlobalPosition::new(self.applied);
                    let reply = self.kv.execute(position, &command);
                    out.push(Completion::Applied { token, position, reply });
                }
                Proposed::Query(query) => {
                    // Such a read reports the position before that of its command.
                    let position = GlobalPosition::new(self.applied + 1);
                    out.push(Completion::Answered { token, position, reply: self.kv.answer(&query) });
                }
            }
        }
        let applied = GlobalPosition::new(self.applied);
        out.extend(self.asked.drain(..).map(|token| Completion::Readable { token, applied }));
    }

    fn may_sleep(&self) -> bool {
        !self.owes()
    }

    fn awake(&self) {}

    fn reader(&self) -> &KvReader {
        &self.reader
    }

    fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.applied)
    }

    fn status(&self) -> Status {
        // Without the applied position: a client may see it move while its own request is in flight.
        let mut status = Status::default();
        (status.server, status.groups, status.cluster) = (1, 4, "c1".into());
        status.durability = Durability::Memory;
        status
    }

    fn snapshot(&self) {}

    fn has_quorum(&self) -> bool {
        true
    }

    fn encode_metrics(&self, out: &mut String) {
        out.push_str("# EOF\n");
    }
}
