//! What clients of a server reach: its front end, and a port of its engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use niagara_engine::internals::sim::Clock;
use niagara_engine::{Client, Completion, Port, Wake};
use niagara_kvstore::sim::SimFrontEnd;
use niagara_kvstore::{Life, Reply};

use super::behind_calls::BehindCalls;
use super::clients::{Ask, CallResult, Protocol, look};
use super::recorder::Recorder;

/// The thread of a server's front end, with the calls of those who embed the engine.
pub struct Callers {
    client: Client<Recorder>,
    front_end: SimFrontEnd<Recorder>,
    port: Port<Recorder>,
    /// Keys of reads in progress, by the call's token.
    reads: BTreeMap<u64, String>,
    behind_calls: BehindCalls,
    completions: Vec<Completion<Reply>>,
    /// Calls that ended at once.
    ended: Vec<(u64, CallResult)>,
    /// Whether the front end has got input.
    fed: bool,
    clock: Clock,
}

/// No simulated thread sleeps.
struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

impl Callers {
    /// Those of a server that has just started.
    pub fn new(client: &Client<Recorder>, life: Life, clock: Clock) -> Callers {
        Callers {
            front_end: SimFrontEnd::new(client, life, clock.now()),
            port: client.port(Arc::new(NeverAsleep)),
            client: client.clone(),
            reads: BTreeMap::new(),
            behind_calls: BehindCalls::default(),
            completions: Vec::new(),
            ended: Vec::new(),
            fed: false,
            clock,
        }
    }

    /// What the clock shows that people set, in milliseconds since 1970.
    pub fn set_wall(&mut self, wall: u64) {
        self.front_end.set_wall(wall);
    }

    /// Whether the thread has work, so that it would not sleep.
    pub fn wants_turn(&self) -> bool {
        let waits = self.port.has_completions() || self.front_end.has_completions();
        let waits =
            waits || self.front_end.has_time_news() || self.time_due().is_some_and(|due| due.is_zero());
        self.fed || !self.ended.is_empty() || waits || self.behind_calls.has_news()
    }

    /// In what time the front end has a turn to keep the time, if it is to have one.
    pub fn time_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.front_end.time_due().map(|due| due.saturating_duration_since(now))
    }

    /// Whether the timekeeper proposed something not longer ago than this.
    pub fn keeps_time(&self, within: Duration) -> bool {
        let proposed = self.front_end.time_proposed();
        proposed.is_some_and(|proposed| self.clock.now().saturating_duration_since(proposed) <= within)
    }

    /// A client connects.
    pub fn connect(&mut self, connection: u32, protocol: Protocol) {
        match protocol {
            Protocol::Redis => self.front_end.connect_redis(connection),
            Protocol::Http => self.front_end.connect_http(connection),
        }
    }

    /// Bytes have arrived on a client's connection.
    pub fn receive(&mut self, connection: u32, bytes: &[u8]) {
        self.front_end.receive(connection, bytes);
        self.fed = true;
    }

    /// A client has closed its connection.
    pub fn disconnect(&mut self, connection: u32) {
        self.front_end.disconnect(connection);
    }

    /// A client in this process, which has executed so many commands, calls the engine.
    pub fn call(&mut self, token: u64, ask: Ask, executed: usize) {
        self.fed = true;
        match ask {
            Ask::Execute(command) => {
                let lane = self.port.choose_lane();
                if self.port.propose(lane, token, &command).is_err() {
                    self.ended.push((token, CallResult::Refused));
                }
            }
            Ask::ExecuteThenRead(command, key) => {
                if !self.behind_calls.call(&self.client, token, command, key) {
                    self.ended.push((token, CallResult::Refused));
                }
            }
            Ask::Read(key, consistency) => {
                if self.port.read(token, consistency) {
                    let applied = self.client.applied().get();
                    let found = look(self.port.reader(), &key);
                    self.ended.push((token, CallResult::Read { applied, found, executed }));
                } else {
                    self.reads.insert(token, key);
                }
            }
        }
    }

    /// Runs a turn of the connections' front end. Returns the bytes for each connection.
    pub fn turn_of_front_end(&mut self) -> Vec<(u32, Vec<u8>)> {
        self.fed = false;
        self.front_end.turn(self.clock.now())
    }

    /// Collects the calls of the engine, which has executed so many commands, that have ended, with their
    /// results.
    pub fn end_calls(&mut self, executed: usize) -> Vec<(u64, CallResult)> {
        self.port.collect(&mut self.completions);
        let mut ended = std::mem::take(&mut self.ended);
        ended.extend(self.behind_calls.take_ended());
        for completion in self.completions.drain(..) {
            ended.push(match completion {
                Completion::Applied { token, position, reply } => {
                    (token, CallResult::Applied(position.get(), reply))
                }
                Completion::Refused { token, .. } => (token, CallResult::Refused),
                Completion::Unknown { token, .. } => (token, CallResult::Unknown),
                Completion::Readable { token, applied } => {
                    let key = self.reads.remove(&token).expect("a read that was asked");
                    let found = look(self.port.reader(), &key);
                    (token, CallResult::Read { applied: applied.get(), found, executed })
                }
                Completion::ReadFailed { token } => {
                    self.reads.remove(&token);
                    (token, CallResult::ReadFailed)
                }
                Completion::Answered { .. } | Completion::Detached { .. } => {
                    unreachable!("calls attach no reads")
                }
            });
        }
        self.port.flush();
        ended
    }
}
