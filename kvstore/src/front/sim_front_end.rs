//! A front-end thread without sockets, for a simulator that carries the bytes itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use niagara_engine::{Client, Completion, LaneId, Port, StateMachine, Wake};

use super::allowance::Allowance;
use super::client_session::{ClientSession, either};
use super::metrics::Tally;
use super::session::{Session, Turn};
use super::slot::EngineAnswer;
use super::token::Origin;
use crate::http::{Clock, HttpConnection, Site};
use crate::protocol::{Engine, Input, Output};
use crate::resp::RespConnection;
use crate::{KvReader, Life, Reply};

/// Clients' sessions over one port of an engine, served in the same order as on a front-end thread. The
/// caller names connections by numbers, each used once, below 2^20.
pub struct SimFrontEnd<S: StateMachine> {
    port: Port<S>,
    site: Rc<Site>,
    conversations: BTreeMap<u32, Conversation>,
    tally: Tally,
    command: Vec<u8>,
    completions: Vec<Completion<Reply>>,
}

impl<S: StateMachine> fmt::Debug for SimFrontEnd<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFrontEnd").field("port", &self.port).finish_non_exhaustive()
    }
}

struct Conversation {
    session: ClientSession<LaneId>,
    input: Input,
    output: Output,
}

/// No client here is slow to take its replies.
const ALLOWANCE: Allowance = Allowance::SCANT;

/// No thread sleeps here.
struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

impl<S: StateMachine<Reply = Reply, Reader = KvReader>> SimFrontEnd<S> {
    /// A thread's desk at an engine, without connections. `life` is the name that HTTP requests give to a
    /// state without one.
    pub fn new(client: &Client<S>, life: Life) -> SimFrontEnd<S> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let site = Site {
            // It stands still, since nobody here uses the dates of replies.
            clock: Clock::new(UNIX_EPOCH),
            http: nowhere,
            redis: nowhere,
            life,
            members: Vec::new(),
        };
        SimFrontEnd {
            port: client.port(Arc::new(NeverAsleep)),
            site: Rc::new(site),
            conversations: BTreeMap::new(),
            tally: Tally::default(),
            command: Vec::new(),
            completions: Vec::new(),
        }
    }

    /// A Redis client connects.
    pub fn connect_redis(&mut self, number: u32) {
        let redis = RespConnection::new(number.into(), None);
        self.adopt(number, |origin| ClientSession::Redis(Session::new(redis, origin)));
    }

    /// An HTTP client connects.
    pub fn connect_http(&mut self, number: u32) {
        let http = HttpConnection::new(Rc::clone(&self.site));
        self.adopt(number, |origin| ClientSession::Http(Session::new(http, origin)));
    }

    fn adopt(&mut self, number: u32, session: impl FnOnce(Origin) -> ClientSession<LaneId>) {
        let session = session(Origin { index: number, generation: 0 });
        let conversation = Conversation { session, input: Input::default(), output: Output::default() };
        assert!(
            self.conversations.insert(number, conversation).is_none(),
            "connection {number} already exists"
        );
    }

    /// A client disconnects, whatever it waits for.
    pub fn disconnect(&mut self, number: u32) {
        self.conversations.remove(&number);
    }

    /// A client has sent bytes. Nothing happens before the next [`turn`](Self::turn).
    pub fn receive(&mut self, number: u32, mut bytes: &[u8]) {
        let Some(Conversation { session, input, .. }) = self.conversations.get_mut(&number) else { return };
        if let Some((command, missing)) =
            either!(session, session => session.sink()).filter(|_| input.is_empty())
        {
            let (straight, rest) = bytes.split_at(missing.min(bytes.len()));
            command.extend_from_slice(straight);
            bytes = rest;
        }
        while !bytes.is_empty() {
            let space = input.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            input.filled(count);
            bytes = &bytes[count..];
        }
    }

    /// Whether completions have arrived, so that a turn would do something.
    pub fn has_completions(&self) -> bool {
        self.port.has_completions()
    }

    /// One turn of the thread: hands out completions, starts what can be started, and flushes once. Returns
    /// what goes to which client.
    pub fn turn(&mut self, now: Instant) -> Vec<(u32, Vec<u8>)> {
        let SimFrontEnd { port, conversations, tally, command, completions, .. } = self;
        port.collect(completions);
        let mut turn = Turn { allowance: ALLOWANCE, engine: port, now, tally, command };
        for completion in completions.drain(..) {
            let (token, answer) = EngineAnswer::from(completion);
            let (origin, sequence) = Origin::of(token);
            let Some(Conversation { session, output, .. }) = conversations.get_mut(&origin.index) else {
                continue;
            };
            either!(session, session => session.complete(sequence, answer, output, &mut turn));
        }
        for Conversation { session, input, output } in conversations.values_mut() {
            either!(session, session => session.pump(input, output, &mut turn));
        }
        Engine::flush(port);
        let replies = conversations.iter_mut().map(|(number, session)| (*number, session.output.take()));
        replies.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }
}
