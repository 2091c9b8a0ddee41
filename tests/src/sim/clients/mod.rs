//! Simulated clients: what they ask, what they are told, and what they conclude.
//!
//! | file | holds |
//! |---|---|
//! | `mix.rs` | which requests they draw, and how often |
//! | `sending.rs` | what goes to a server, and how |
//! | `redis.rs`, `http.rs` | a request and its answers in each protocol |
//! | `reads.rs` | counts of reads that were answered |
//! | `told.rs` | conclusions from an answer, however it arrived |
//! | `history.rs` | questions and answers for the linearizability checker |
//!
//! Some speak the Redis protocol and some HTTP, over connections with pipelines; others call the engine as an
//! embedding program does. A client that gets no answer, or whose server is gone, changes to another server and
//! leaves the outcomes of its open requests unknown.

mod history;
mod http;
mod mix;
mod reads;
mod redis;
mod sending;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use niagara_kvstore::Life;

use self::history::History;
use super::coverage::Coverage;
use super::plan::Plan;
use super::request::{Request, Seen};
use super::sizes::Sizes;
use super::swarm::Swarm;
use crate::http::read_response;
use crate::invariants::{
    AckedIsApplied, AppendsAreKept, Broken, ExecutedOnce, ExpiryIsInTime, LostRightIsLost, ReadIsFresh,
    ReadShowsItsState, Scan, ScanIsComplete,
};
use crate::linearizability::Operation;
use crate::resp::read_value;
use crate::{Response, Value};
use niagara_testing::parts::chance::Chance;

pub use sending::{Ask, By, CallResult, Protocol, Sending};
pub use told::look;

/// One simulation in so many flushes everything.
const FLUSHES: u64 = 8;

/// One simulation in so many has requests that are executed once: those whose seed leaves this rest.
const ONCE: (u64, u64) = (32, 21);

/// One simulation in so many has users: those whose seed leaves this rest.
const USERS: (u64, u64) = (16, 12);

/// One simulation in so many evicts keys: those whose seed leaves this rest. No other keys expire there, since these may be gone
/// before their time.
const EVICTS: (u64, u64) = (32, 23);

/// All clients, and what they have been told.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    servers: u64,
    history: History,
    next_connection: u32,
    next_value: u64,
    sizes: Sizes,
    swarm: Swarm,
    /// Of commands whose clients were told where they were executed, the latest position.
    position: u64,
    /// Whether everything is flushed now and then. If so, nothing is appended, and nobody scans, since
    /// nothing lasts.
    flushes: bool,
    appends: AppendsAreKept,
    scans: ScanIsComplete,
    expiry: ExpiryIsInTime,
    next_expiring: u64,
    /// Whether some of them give rights to users and take them.
    has_users: bool,
    rights: LostRightIsLost,
    next_user: u64,
    /// Whether some requests over HTTP are executed once, however often they are sent.
    has_once: bool,
    once: ExecutedOnce,
    next_once: u64,
    /// Whether memory is limited, and keys that expire are evicted.
    evicts: bool,
    /// The moment, in microseconds.
    now: u64,
    /// The life of the state, once a tag has named it.
    life: Option<Life>,
    tokens: BTreeMap<u64, usize>,
    next_token: u64,
}

#[derive(Debug)]
struct Client {
    server: u64,
    kind: Kind,
    chance: Chance,
    /// Requests without an answer, oldest first.
    waiting: VecDeque<Call>,
    /// Bytes of incomplete replies.
    heard: Vec<u8>,
    /// The server closes its connection, and answers nothing more on it.
    is_hung_up: bool,
    /// Counts its batches, so that a timeout finds its own.
    batch: u64,
    /// When it last sent a request or heard something, in microseconds.
    since: u64,
    /// The life of its server in which the batch arrived there.
    life: Option<u64>,
    fifo: u64,
    /// The last number whose write its connection was told of.
    fifo_acknowledged: u64,
    /// What it has seen, by key.
    seen: BTreeMap<u8, Seen>,
    /// The stray keys of its msets that were not done, until it has read them.
    strays: Vec<u64>,
    /// Its current scan, which outlives connections.
    walk: Option<Walk>,
    /// Draws requests about keys that expire.
    expiry_chance: Chance,
    /// The numbers of its keys that were set to expire.
    expiring: BTreeSet<u64>,
    /// Its request that is executed once, and how often it is still to be sent.
    once: Option<(u64, u64)>,
    /// The user whose rights it changes.
    changes: Option<u64>,
    /// Its connection was told that it is a user.
    is_user: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Redis { connection: u32 },
    Http { connection: u32 },
    Embedded,
}

impl Kind {
    /// The same kind of client, on another connection.
    fn reconnected(self, connection: u32) -> Kind {
        match self {
            Kind::Redis { .. } => Kind::Redis { connection },
            Kind::Http { .. } => Kind::Http { connection },
            Kind::Embedded => Kind::Embedded,
        }
    }

    fn connection(self) -> Option<u32> {
        match self {
            Kind::Redis { connection } | Kind::Http { connection } => Some(connection),
            Kind::Embedded => None,
        }
    }
}

/// A scan of all keys, page by page.
#[derive(Debug)]
struct Walk {
    /// Where the next page starts.
    cursor: u64,
    /// The server of the previous page.
    server: u64,
    scan: Scan,
}

#[derive(Debug)]
struct Call {
    request: Request,
    /// Its index among the operations, if it is checked as one.
    operation: Option<usize>,
    /// The least position that a strong read must see.
    least: u64,
    /// How much a read of the appended value must see at least.
    appended: usize,
    /// The life of the state, as known when a version was named with it.
    life: Option<Life>,
    /// What was known when it began of the right that it needs.
    right: Option<u64>,
    /// When it was made, in microseconds.
    begun: u64,
    token: u64,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'c> {
    /// Since when it has heard nothing, in microseconds.
    pub since: u64,
    /// The life of the server in which all of its requests arrived; `None` if they have not all arrived.
    pub life: Option<u64>,
    /// The oldest request without an answer.
    pub request: &'c Request,
}

/// What clients' answers are checked against.
pub struct Checks<'c> {
    /// Acknowledged commands.
    pub acked: &'c AckedIsApplied,
    /// What reads must see.
    pub fresh: &'c mut ReadIsFresh,
    /// The state at each moment.
    pub states: &'c ReadShowsItsState,
    /// How many commands the server had executed when it answered.
    pub executed: usize,
    /// Whether it was the follower.
    pub by_follower: bool,
    /// Counts of events.
    pub coverage: &'c mut Coverage,
}

impl Clients {
    /// Draws a plan's clients.
    pub fn new(plan: &Plan, chance: &mut Chance) -> Clients {
        let servers = plan.servers + u64::from(plan.is_followed);
        let mut clients = Clients {
            clients: Vec::new(),
            servers,
            history: History::default(),
            next_connection: 1,
            next_value: 1,
            sizes: plan.sizes.clone(),
            swarm: plan.swarm,
            position: 0,
            flushes: chance.one_in(FLUSHES),
            appends: AppendsAreKept::default(),
            scans: ScanIsComplete::default(),
            expiry: ExpiryIsInTime::default(),
            next_expiring: 0,
            has_users: plan.seed % USERS.0 == USERS.1,
            rights: LostRightIsLost::default(),
            next_user: 0,
            has_once: plan.seed % ONCE.0 == ONCE.1,
            once: ExecutedOnce::default(),
            next_once: 0,
            evicts: plan.seed % EVICTS.0 == EVICTS.1,
            now: 0,
            life: None,
            tokens: BTreeMap::new(),
            next_token: 1,
        };
        for number in 0..plan.clients {
            let connection = clients.connection();
            let kind = match number % 3 {
                0 => Kind::Redis { connection },
                1 => Kind::Embedded,
                _ => Kind::Http { connection },
            };
            clients.clients.push(Client {
                server: number / 2 % servers + 1,
                kind,
                chance: chance.fork(number + 1),
                waiting: VecDeque::new(),
                heard: Vec::new(),
                is_hung_up: false,
                batch: 0,
                since: 0,
                life: None,
                fifo: 0,
                fifo_acknowledged: 0,
                seen: BTreeMap::new(),
                strays: Vec::new(),
                walk: None,
                expiry_chance: Chance::new(plan.seed ^ (number + 1) << 32),
                expiring: BTreeSet::new(),
                once: None,
                changes: None,
                is_user: false,
            });
        }
        clients
    }

    /// Number of clients.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// The history of shared keys, without what was never executed.
    pub fn history(&self, executed: &AckedIsApplied) -> Vec<Operation<String>> {
        self.history.settled(executed)
    }

    fn connection(&mut self) -> u32 {
        self.next_connection += 1;
        self.next_connection
    }

    /// A client whose last batch is answered sends the next.
    pub fn start(&mut self, client: usize, fresh: &ReadIsFresh) -> Sending {
        assert!(self.clients[client].waiting.is_empty(), "a client asks when it has been told");
        let requests = self.requests(client);
        let kind = self.clients[client].kind;
        let life = self.life.filter(|_| matches!(kind, Kind::Http { .. }));
        let token = self.next_token;
        self.next_token += 1;
        for request in &requests {
            let operation = self.history.begin(client, request, life);
            let (least, appended) = (fresh.begin(), self.appends.begin());
            if let Request::Expiring { key, lasts } = request {
                self.expiry.set(*key, self.now, lasts * 1000);
            }
            if let Request::Grant { user, may } = request {
                self.rights.begins_to_change(*user, *may);
            }
            let right = match request {
                Request::SetAsUser { user, .. } => self.rights.begin(*user),
                _ => None,
            };
            let begun = self.now;
            let request = request.clone();
            let call = Call { request, operation, least, appended, life, right, begun, token };
            self.clients[client].waiting.push_back(call);
        }
        if kind == Kind::Embedded {
            self.tokens.insert(token, client);
        }
        let by = By::of(kind, &requests, life, token);
        let me = &mut self.clients[client];
        me.batch += 1;
        me.life = None;
        Sending { client, batch: me.batch, server: me.server, by }
    }

    /// Splits what a client sends at once into parts, cut anywhere, as it may arrive.
    pub fn in_parts(&mut self, sending: Sending) -> Vec<Sending> {
        let chance = &mut self.clients[sending.client].chance;
        sending.in_parts(chance)
    }

    /// The client that waits for a call, if it still does.
    pub fn caller(&self, token: u64) -> Option<usize> {
        self.tokens.get(&token).copied()
    }

    /// Takes bytes that a client has received on a connection. Returns whether nothing is left to wait for.
    pub fn hear(
        &mut self,
        client: usize,
        connection: u32,
        bytes: &[u8],
        checks: &mut Checks<'_>,
    ) -> Result<bool, Broken> {
        if self.clients[client].kind.connection() != Some(connection) {
            return Ok(false);
        }
        self.clients[client].heard.extend_from_slice(bytes);
        loop {
            let me = &mut self.clients[client];
            if me.heard.starts_with(b"HTTP/1.1 100 ") {
                checks.coverage.count("HTTP client told to go on");
            }
            let mut rest: &[u8] = &me.heard;
            let before = rest.len();
            let answer = match me.kind {
                Kind::Http { .. } => read_response(&mut rest, false).map(Answer::Http),
                _ => read_value(&mut rest).map(Answer::Redis),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(me.waiting.is_empty());
                }
                Err(error) => return Err(Broken::new("reply_is_readable", error.to_string())),
            };
            let read = before - rest.len();
            me.heard.drain(..read);
            let Some(call) = me.waiting.pop_front() else {
                let what = format!("client {client} hears {answer:?} unasked");
                return Err(Broken::new("one_reply_per_request", what));
            };
            match answer {
                Answer::Redis(value) => self.end_redis(client, &call, &value, checks)?,
                Answer::Http(response) => {
                    self.end_http(client, &call, &response, checks)?;
                    if response.header("connection").is_some_and(|what| what == "close") {
                        checks.coverage.count("HTTP connection closed");
                        self.clients[client].is_hung_up = true;
                    }
                }
            }
        }
    }

    /// Whether the server closes a client's connection.
    pub fn is_hung_up(&self, client: usize) -> bool {
        self.clients[client].is_hung_up
    }

    /// The moment, in microseconds.
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// What is known of keys that expire.
    pub fn expiry(&self) -> &ExpiryIsInTime {
        &self.expiry
    }

    /// The server that a client talks to.
    pub fn server_of(&self, client: usize) -> u64 {
        self.clients[client].server
    }

    /// Clients that talk to this server.
    pub fn of_server(&self, server: u64) -> Vec<usize> {
        (0..self.clients.len()).filter(|client| self.clients[*client].server == server).collect()
    }

    /// Makes a client give up its open requests and change to another server. Returns the connection that it
    /// leaves.
    pub fn move_on(&mut self, client: usize) -> Option<u32> {
        let me = &mut self.clients[client];
        let left = me.kind.connection();
        me.server = (me.server + me.chance.between(1, self.servers - 1) - 1) % self.servers + 1;
        me.heard.clear();
        me.is_hung_up = false;
        me.fifo = 0;
        me.fifo_acknowledged = 0;
        me.is_user = false;
        for call in me.waiting.drain(..) {
            if let Request::Grant { user, .. } = call.request {
                self.rights.lost(user);
            }
            self.tokens.remove(&call.token);
        }
        if left.is_some() {
            let connection = self.connection();
            let me = &mut self.clients[client];
            me.kind = me.kind.reconnected(connection);
        }
        left
    }

    /// Records that a client's batch, or a part of it, has arrived in this life of its server.
    pub fn arrived(&mut self, client: usize, batch: u64, now: u64, life: u64) {
        let me = &mut self.clients[client];
        if me.batch == batch {
            // A request that arrives in two lives is a request to neither.
            me.life = Some(if me.life.is_none_or(|before| before == life) { life } else { u64::MAX });
            me.since = now;
        }
    }

    /// Records that a client has heard something, and waits for more.
    pub fn heard(&mut self, client: usize, now: u64) {
        self.clients[client].since = now;
    }

    /// What a client waits for, if that is its batch of this number.
    pub fn waiting(&self, client: usize, batch: u64) -> Option<Waiting<'_>> {
        let me = &self.clients[client];
        let call = me.waiting.front().filter(|_| me.batch == batch)?;
        Some(Waiting { since: me.since, life: me.life, request: &call.request })
    }

    /// Whether a client waits for its batch of this number.
    pub fn waits(&self, client: usize, batch: u64) -> bool {
        self.waiting(client, batch).is_some()
    }

    /// How many requests a client waits for.
    pub fn waits_for(&self, client: usize) -> usize {
        self.clients[client].waiting.len()
    }

    /// Whether a client waits for anything.
    pub fn is_waiting(&self, client: usize) -> bool {
        !self.clients[client].waiting.is_empty()
    }

    /// The client of a connection.
    pub fn client_of(&self, connection: u32) -> Option<usize> {
        self.clients.iter().position(|client| client.kind.connection() == Some(connection))
    }

    /// How long a client thinks before its next batch, in microseconds.
    pub fn thinks(&mut self, client: usize) -> u64 {
        self.clients[client].chance.between(500, 40_000)
    }
}

#[derive(Debug)]
enum Answer {
    Redis(Value),
    Http(Response),
}
