//! Simulated clients: what they ask, what they are told, and what they conclude.
//!
//! Half of them speak the Redis protocol over connections with pipelines, the others call the engine as a program does
//! that embeds it. A client that hears nothing, or whose server is gone, goes on to another server and leaves the outcomes
//! of what it had asked unknown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use niagara_engine::{Consistency, GlobalPosition};
use niagara_kvstore::{KvReader, Reply};

use super::coverage::Coverage;
use super::request::{LONG_KEYS, Request, name, number_of};
use super::sizes::{LENGTH_PART, SHARED_IN_PIPELINE, Sizes, number_in};
use crate::Value;
use crate::chance::Chance;
use crate::invariants::{AckedIsApplied, Broken, ReadIsFresh, check_mset_is_whole};
use crate::linearizability::{Condition, Input, Operation, Output};
use crate::resp::read_value;

/// Keys that everybody works on.
const KEYS: u64 = 5;

/// What an error says that refuses too long a command.
const TOO_LARGE: &str = "bytes, and at most";

/// All clients, and what they have been told.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    servers: u64,
    /// Calls and answers in the order in which they happened, which is all that real-time order needs.
    step: u64,
    operations: Vec<Operation<String>>,
    /// Operations that were refused, and so never happened.
    refused: BTreeSet<usize>,
    next_connection: u32,
    next_value: u64,
    sizes: Sizes,
    /// Of commands that were executed for a client that embeds the engine: the latest position.
    position: u64,
    tokens: BTreeMap<u64, usize>,
    next_token: u64,
}

#[derive(Debug)]
struct Client {
    server: u64,
    kind: Kind,
    chance: Chance,
    /// What it has asked and not been told about, oldest first.
    waiting: VecDeque<Call>,
    /// Bytes of replies that are not whole.
    heard: Vec<u8>,
    /// Counts its batches, so that a time-out finds its own.
    batch: u64,
    /// When it was last asked or heard, in microseconds.
    since: u64,
    /// The life of its server in which the batch arrived there.
    life: Option<u64>,
    fifo: u64,
    /// Versions that it has seen, by key.
    versions: BTreeMap<u8, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Redis { connection: u32 },
    Embedded,
}

#[derive(Debug)]
struct Call {
    request: Request,
    /// Its place among the operations, if it is checked as one.
    operation: Option<usize>,
    /// What a strong read must see at least.
    least: u64,
    token: u64,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'c> {
    /// Since when it has heard nothing, in microseconds.
    pub since: u64,
    /// The life of the server in which all that it has asked arrived; nothing if it has not.
    pub life: Option<u64>,
    /// The oldest request without an answer.
    pub request: &'c Request,
}

/// What a client sends, or a part of it.
#[derive(Clone, Debug)]
pub struct Sending {
    /// The client.
    pub client: usize,
    /// Counts the client's batches.
    pub batch: u64,
    /// To which server.
    pub server: u64,
    /// How.
    pub by: By,
}

/// The ways to a server.
#[derive(Clone, Debug)]
pub enum By {
    /// Bytes on a connection.
    Redis {
        /// The connection's number.
        connection: u32,
        /// What is sent.
        bytes: Vec<u8>,
    },
    /// A call of the engine.
    Call {
        /// Names the call.
        token: u64,
        /// What is asked.
        ask: Ask,
    },
}

/// A call of the engine.
#[derive(Clone, Debug)]
pub enum Ask {
    /// To execute a command.
    Execute(Bytes),
    /// To read a key.
    Read(String, Consistency),
}

/// What a call of the engine led to.
#[derive(Clone, Debug)]
pub enum Told {
    /// The command was executed at this position.
    Applied(u64, Reply),
    /// It was not taken.
    Refused,
    /// Nobody knows.
    Unknown,
    /// The key was read, when this position was executed.
    Read(u64, Option<(Bytes, u64)>),
    /// The read failed.
    ReadFailed,
}

/// What clients' answers are checked against.
pub struct Checks<'c> {
    /// What is acknowledged.
    pub acked: &'c AckedIsApplied,
    /// What reads must see.
    pub fresh: &'c mut ReadIsFresh,
    /// What has happened.
    pub coverage: &'c mut Coverage,
}

impl Clients {
    /// So many clients of so many servers.
    pub fn new(count: u64, servers: u64, sizes: Sizes, chance: &mut Chance) -> Clients {
        let mut clients = Clients {
            clients: Vec::new(),
            servers,
            step: 0,
            operations: Vec::new(),
            refused: BTreeSet::new(),
            next_connection: 1,
            next_value: 1,
            sizes,
            position: 0,
            tokens: BTreeMap::new(),
            next_token: 1,
        };
        for number in 0..count {
            let kind = if number % 2 == 0 { clients.connection() } else { Kind::Embedded };
            clients.clients.push(Client {
                server: number / 2 % servers + 1,
                kind,
                chance: chance.fork(number + 1),
                waiting: VecDeque::new(),
                heard: Vec::new(),
                batch: 0,
                since: 0,
                life: None,
                fifo: 0,
                versions: BTreeMap::new(),
            });
        }
        clients
    }

    /// How many clients there are.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// The history of the keys that everybody works on.
    pub fn history(&self) -> Vec<Operation<String>> {
        let kept = self.operations.iter().enumerate().filter(|(at, _)| !self.refused.contains(at));
        kept.map(|(_, operation)| operation.clone()).collect()
    }

    fn connection(&mut self) -> Kind {
        self.next_connection += 1;
        Kind::Redis { connection: self.next_connection }
    }

    /// A client whose last batch is done asks for more.
    pub fn start(&mut self, client: usize, fresh: &ReadIsFresh) -> Sending {
        assert!(self.clients[client].waiting.is_empty(), "a client asks when it has been told");
        let requests: Vec<Request> = match self.clients[client].kind {
            Kind::Redis { connection } => {
                let count = self.clients[client].chance.between(1, self.sizes.pipeline);
                (0..count).map(|number| self.redis_request(client, connection, number)).collect()
            }
            Kind::Embedded => vec![self.embedded_request(client)],
        };
        let token = self.next_token;
        self.next_token += 1;
        for request in &requests {
            let operation = self.note(client, request);
            let call = Call { request: request.clone(), operation, least: fresh.begin(), token };
            self.clients[client].waiting.push_back(call);
        }
        let by = match self.clients[client].kind {
            Kind::Redis { connection } => {
                By::Redis { connection, bytes: requests.iter().flat_map(Request::redis).collect() }
            }
            Kind::Embedded => {
                self.tokens.insert(token, client);
                By::Call { token, ask: ask_of(&requests[0]) }
            }
        };
        let me = &mut self.clients[client];
        me.batch += 1;
        me.life = None;
        Sending { client, batch: me.batch, server: me.server, by }
    }

    /// What a client sends at once may come to the server in parts, cut anywhere.
    pub fn in_parts(&mut self, sending: Sending) -> Vec<Sending> {
        let By::Redis { connection, bytes } = &sending.by else { return vec![sending] };
        let chance = &mut self.clients[sending.client].chance;
        let count = *chance.pick(&[1, 1, 2, 3]);
        let mut cuts: Vec<usize> = (1..count).map(|_| chance.below(bytes.len() as u64) as usize).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let part = |cut: &[usize]| {
            let bytes = bytes[cut[0]..cut[1]].to_vec();
            Sending { by: By::Redis { connection: *connection, bytes }, ..sending }
        };
        cuts.windows(2).map(part).collect()
    }

    /// Notes an operation that begins, if it is one that is checked with the others.
    fn note(&mut self, client: usize, request: &Request) -> Option<usize> {
        self.step += 1;
        let Request::Key { key, input } = request else { return None };
        self.operations.push(Operation {
            client: client as u64,
            key: name(*key),
            began: self.step,
            ended: None,
            input: input.clone(),
        });
        Some(self.operations.len() - 1)
    }

    fn redis_request(&mut self, client: usize, connection: u32, number: u64) -> Request {
        let me = &mut self.clients[client];
        let all = if number < SHARED_IN_PIPELINE { 10 } else { 4 };
        match me.chance.below(all) {
            0 => Request::SetPair(self.value()),
            1 => Request::GetPair,
            2 | 3 => {
                me.fifo += 1;
                Request::Fifo { connection, number: me.fifo }
            }
            _ => self.key_request(client),
        }
    }

    fn embedded_request(&mut self, client: usize) -> Request {
        let me = &mut self.clients[client];
        let key = me.chance.below(KEYS) as u8;
        match me.chance.below(12) {
            0 => Request::AtLeast { key, position: self.position },
            1 => Request::Weak { key },
            2 | 3 if me.versions.contains_key(&key) => {
                let condition = Condition::IfVersion(me.versions[&key]);
                let delete = me.chance.one_in(4);
                let input = if delete {
                    Input::Delete { condition }
                } else {
                    Input::Set { value: self.value(), condition }
                };
                Request::Key { key, input }
            }
            _ => self.key_request(client),
        }
    }

    fn key_request(&mut self, client: usize) -> Request {
        if !self.sizes.values.is_empty() && self.clients[client].chance.one_in(4) {
            return self.long_request(client);
        }
        let me = &mut self.clients[client];
        let key = me.chance.below(KEYS) as u8;
        let input = match me.chance.below(16) {
            0..=4 => Input::Get,
            5..=8 => Input::Set { value: self.value(), condition: Condition::Always },
            9 => Input::Set { value: self.value(), condition: Condition::IfAbsent },
            10 => Input::Set { value: self.value(), condition: Condition::IfPresent },
            11 => Input::Delete { condition: Condition::Always },
            _ => Input::Increment { by: me.chance.between(1, 3) as i64 },
        };
        Request::Key { key, input }
    }

    fn long_request(&mut self, client: usize) -> Request {
        let value = self.value();
        let me = &mut self.clients[client];
        let key = *me.chance.pick(&LONG_KEYS);
        let input = match me.chance.below(8) {
            0 | 1 => Input::Get,
            2 => Input::Delete { condition: Condition::Always },
            _ => {
                let value = value + *me.chance.pick(&self.sizes.values) as u64;
                Input::Set { value, condition: Condition::Always }
            }
        };
        Request::Key { key, input }
    }

    /// A value that nobody else writes.
    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value * LENGTH_PART
    }

    /// The client that waits for a call, if it still does.
    pub fn caller(&self, token: u64) -> Option<usize> {
        self.tokens.get(&token).copied()
    }

    /// A client has received bytes on a connection. Returns whether it has been told everything that it waits for.
    pub fn hear(
        &mut self,
        client: usize,
        connection: u32,
        bytes: &[u8],
        checks: &mut Checks<'_>,
    ) -> Result<bool, Broken> {
        if self.clients[client].kind != (Kind::Redis { connection }) {
            return Ok(false);
        }
        self.clients[client].heard.extend_from_slice(bytes);
        loop {
            let me = &mut self.clients[client];
            let mut rest: &[u8] = &me.heard;
            let before = rest.len();
            let value = match read_value(&mut rest) {
                Ok(value) => value,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(me.waiting.is_empty());
                }
                Err(error) => return Err(Broken::new("reply_is_readable", error.to_string())),
            };
            let read = before - rest.len();
            me.heard.drain(..read);
            let Some(call) = me.waiting.pop_front() else {
                return Err(Broken::new(
                    "one_reply_per_request",
                    format!("client {client} hears {value:?} unasked"),
                ));
            };
            self.end_redis(client, &call, &value, checks)?;
        }
    }

    fn end_redis(
        &mut self,
        client: usize,
        call: &Call,
        value: &Value,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        if let Value::Error(text) = value {
            return self.end_error(client, call, text, checks);
        }
        let strange =
            || Broken::new("reply_fits_request", format!("{:?} is answered by {value:?}", call.request));
        let output = match (&call.request, value) {
            (Request::Key { input: Input::Get, .. }, Value::Null) => Output::Absent,
            (Request::Key { input: Input::Get, .. }, Value::Bulk(bytes)) => {
                Output::Found { value: number_in(bytes).ok_or_else(strange)?, version: None }
            }
            (Request::Key { input: Input::Set { .. }, .. }, Value::Simple(_)) => {
                Output::Written { value: None, version: None }
            }
            (Request::Key { input: Input::Set { .. }, .. }, Value::Null) => {
                checks.coverage.count("conditional write lost");
                Output::ConditionFailed
            }
            (Request::Key { input: Input::Increment { .. }, .. }, Value::Integer(sum)) => {
                Output::Written { value: Some(*sum), version: None }
            }
            (Request::Key { input: Input::Delete { .. }, .. }, Value::Integer(removed)) => {
                Output::Deleted { existed: *removed == 1 }
            }
            (Request::GetPair, Value::Array(values)) => {
                checks.coverage.count("strong read answered");
                return check_mset_is_whole(values);
            }
            (Request::SetPair(_) | Request::Fifo { .. }, Value::Simple(_)) => {
                return self.acknowledge(call, checks);
            }
            _ => return Err(strange()),
        };
        self.end(client, call, output, checks)
    }

    /// A reply that is an error: refused, failed, or unknown.
    fn end_error(
        &mut self,
        client: usize,
        call: &Call,
        text: &str,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        if text.contains(TOO_LARGE) {
            checks.coverage.count("command too large");
            self.refused.extend(call.operation);
            return Ok(());
        }
        if text.starts_with("UNKNOWN") {
            checks.coverage.count("outcome unknown");
            return Ok(());
        }
        if ["OVERLOADED", "NOQUORUM", "READONLY"].iter().any(|word| text.starts_with(word)) {
            checks.coverage.count("command refused");
            self.refused.extend(call.operation);
            return Ok(());
        }
        let request = &call.request;
        Err(Broken::new("reply_fits_request", format!("client {client}: {request:?} is answered by {text}")))
    }

    /// A call of the engine has ended. Returns whether the client still waited for it.
    pub fn told(
        &mut self,
        server: u64,
        token: u64,
        told: &Told,
        checks: &mut Checks<'_>,
    ) -> Result<bool, Broken> {
        let Some(client) = self.tokens.remove(&token) else { return Ok(false) };
        let Some(call) = self.clients[client].waiting.pop_front() else { return Ok(false) };
        assert_eq!(call.token, token, "one call at a time");
        let output = match told {
            Told::Unknown => {
                checks.coverage.count("outcome unknown");
                return Ok(true);
            }
            Told::Refused | Told::ReadFailed => {
                checks.coverage.count("command refused");
                self.refused.extend(call.operation);
                return Ok(true);
            }
            Told::Applied(position, reply) => {
                checks.fresh.acknowledged(*position);
                self.position = self.position.max(*position);
                output_of(reply, checks.coverage)?
            }
            Told::Read(applied, found) => {
                let least = match call.request {
                    Request::AtLeast { position, .. } => position,
                    Request::Weak { .. } => 0,
                    _ => call.least,
                };
                checks.fresh.answered(server, least, *applied)?;
                if matches!(call.request, Request::AtLeast { .. }) {
                    checks.coverage.count("at-least read answered");
                }
                output_of_read(found.as_ref())?
            }
        };
        self.end(client, &call, output, checks)?;
        Ok(true)
    }

    /// An operation has ended with this answer.
    fn end(
        &mut self,
        client: usize,
        call: &Call,
        output: Output,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        self.step += 1;
        if let (Request::Key { key, .. }, Some(operation)) = (&call.request, call.operation) {
            self.operations[operation].ended = Some((self.step, output));
            if let Output::Found { version: Some(version), .. }
            | Output::Written { version: Some(version), .. } = output
            {
                self.clients[client].versions.insert(*key, version);
            }
            if matches!(call.request, Request::Key { input: Input::Get, .. }) {
                checks.coverage.count("strong read answered");
                if matches!(output, Output::Found { .. }) && call.request.is_long() {
                    checks.coverage.count("long value read");
                }
            }
        }
        if matches!(output, Output::Written { .. }) {
            return self.acknowledge(call, checks);
        }
        Ok(())
    }

    fn acknowledge(&self, call: &Call, checks: &mut Checks<'_>) -> Result<(), Broken> {
        checks.coverage.count("write acknowledged");
        if call.request.is_long() {
            checks.coverage.count("long value acknowledged");
        }
        match call.request.command().filter(|_| call.request.is_unlike_others()) {
            Some(command) => checks.acked.acknowledged(&command),
            None => Ok(()),
        }
    }

    /// The server that a client talks to.
    pub fn server_of(&self, client: usize) -> u64 {
        self.clients[client].server
    }

    /// The clients of a server.
    pub fn of_server(&self, server: u64) -> Vec<usize> {
        (0..self.clients.len()).filter(|client| self.clients[*client].server == server).collect()
    }

    /// A client gives up its server, and what it waits for, and goes on to another. Returns the connection that it leaves.
    pub fn move_on(&mut self, client: usize) -> Option<u32> {
        let me = &mut self.clients[client];
        let left = match me.kind {
            Kind::Redis { connection } => Some(connection),
            Kind::Embedded => None,
        };
        me.server = (me.server + me.chance.between(1, self.servers - 1) - 1) % self.servers + 1;
        me.heard.clear();
        me.fifo = 0;
        for call in me.waiting.drain(..) {
            self.tokens.remove(&call.token);
        }
        if left.is_some() {
            self.clients[client].kind = self.connection();
        }
        left
    }

    /// A client's batch, or a part of it, has arrived in this life of its server.
    pub fn arrived(&mut self, client: usize, batch: u64, now: u64, life: u64) {
        let me = &mut self.clients[client];
        if me.batch == batch {
            // What arrives in two lives is a request to neither.
            me.life = Some(if me.life.is_none_or(|before| before == life) { life } else { u64::MAX });
            me.since = now;
        }
    }

    /// A client has heard something, and waits for more.
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
        self.clients.iter().position(|client| client.kind == Kind::Redis { connection })
    }

    /// How long a client thinks before its next batch, in microseconds.
    pub fn thinks(&mut self, client: usize) -> u64 {
        self.clients[client].chance.between(500, 40_000)
    }
}

fn ask_of(request: &Request) -> Ask {
    match request {
        Request::Key { key, input: Input::Get } => Ask::Read(name(*key), Consistency::Strong),
        Request::AtLeast { key, position } => {
            Ask::Read(name(*key), Consistency::AtLeast(GlobalPosition::new(*position)))
        }
        Request::Weak { key } => Ask::Read(name(*key), Consistency::Weak),
        write => Ask::Execute(write.command().expect("what is no read is a command")),
    }
}

/// Reads a key as a client does that embeds the engine.
pub fn look(reader: &KvReader, key: &str) -> Option<(Bytes, u64)> {
    reader.get(key.as_bytes()).map(|(value, version)| (value, number_of(version)))
}

fn output_of(reply: &Reply, coverage: &mut Coverage) -> Result<Output, Broken> {
    Ok(match reply {
        Reply::Stored { version, .. } => Output::Written { value: None, version: Some(number_of(*version)) },
        Reply::Counted { value, version } => {
            Output::Written { value: Some(*value), version: Some(number_of(*version)) }
        }
        Reply::Deleted { removed } => Output::Deleted { existed: *removed == 1 },
        Reply::ConditionFailed { .. } => {
            coverage.count("conditional write lost");
            Output::ConditionFailed
        }
        other => return Err(Broken::new("reply_fits_request", format!("{other:?}"))),
    })
}

fn output_of_read(found: Option<&(Bytes, u64)>) -> Result<Output, Broken> {
    let Some((bytes, version)) = found else { return Ok(Output::Absent) };
    let strange = || Broken::new("reply_fits_request", format!("a key holds {bytes:?}"));
    Ok(Output::Found { value: number_in(bytes).ok_or_else(strange)?, version: Some(*version) })
}
