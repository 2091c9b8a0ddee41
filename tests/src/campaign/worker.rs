//! The clients: each is a thread that asks something of a shared key, records the answer, and goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Endpoint;
use crate::linearizability::{Condition, Input, Operation, Output};

use super::keys::{Keys, SharedKey};
use super::request::{Connection, LONG_PATIENCE, Outcome, PATIENCE, choose};
use super::tally::Tally;
use niagara_testing::parts::chance::Chance;

/// What all clients of a cluster share.
pub(super) struct Shared {
    pub endpoints: Vec<Endpoint>,
    pub keys: Keys,
    pub tally: Arc<Tally>,
    /// The beginning of all times in histories.
    pub start: Instant,
    /// The first answer that no correct server gives.
    pub wrong: Mutex<Option<String>>,
    stop: AtomicBool,
    pause: AtomicBool,
    at_work: AtomicUsize,
    next_client: AtomicU64,
    next_value: AtomicU64,
}

/// Clients that run.
pub(super) struct Workers {
    pub shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Clients of each protocol for each server.
const PER_SERVER: usize = 2;
/// A client pauses after so many of a hundred requests,
const THINK_PERCENT: u64 = 70;
/// up to so many microseconds: the cluster is to be busy, not full.
const THINK_MICROS: u64 = 8000;
/// So many of a hundred requests go to the key whose version the client has just seen: nobody may have changed it yet, and a
/// condition on that version may hold.
const AGAIN_PERCENT: u64 = 30;
/// A client that was not served goes on to the next server, not faster than this.
const RETRY: Duration = Duration::from_millis(10);
/// Values are so far apart that increments do not make one of another.
const VALUE_STEP: u64 = 1000;

impl Shared {
    pub(super) fn new(endpoints: &[Endpoint], keys: Keys, tally: Arc<Tally>) -> Shared {
        Shared {
            endpoints: endpoints.to_vec(),
            keys,
            tally,
            start: Instant::now(),
            wrong: Mutex::default(),
            stop: AtomicBool::new(false),
            pause: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
            next_client: AtomicU64::new(1),
            next_value: AtomicU64::new(1),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a campaign ends within 500 years")
    }

    pub(super) fn new_client(&self) -> u64 {
        self.next_client.fetch_add(1, Relaxed)
    }

    pub(super) fn new_value(&self) -> u64 {
        self.next_value.fetch_add(1, Relaxed) * VALUE_STEP
    }

    /// Asks, and records what became of it. Operations without any effect are left out: those that were refused, and
    /// reads whose answer was lost.
    pub(super) fn operate(
        &self,
        client: u64,
        connection: &mut Connection,
        key: &SharedKey,
        input: &Input,
    ) -> Outcome {
        let began = self.now();
        let outcome = if key.is_pair {
            connection.ask_pair(&key.name, input)
        } else {
            connection.ask(&key.name, input)
        };
        let ended = self.now();
        let record = |ended| {
            key.record(Operation { client, key: key.name.clone(), began, ended, input: input.clone() });
        };
        match &outcome {
            Outcome::Done(output) => record(Some((ended, *output))),
            Outcome::Unknown if *input != Input::Get => record(None),
            Outcome::Unknown | Outcome::Refused => {}
            Outcome::Wrong(answer) => {
                let text = format!("{} was answered {answer}, to {input} by client {client}", key.name);
                self.wrong.lock().expect("no thread panics while it holds this").get_or_insert(text);
            }
        }
        self.tally.operation(input, key.is_pair, &outcome);
        outcome
    }
}

impl Workers {
    /// Starts the clients.
    pub(super) fn start(shared: Arc<Shared>, random: &mut Chance) -> Workers {
        let mut threads = Vec::new();
        for home in 0..shared.endpoints.len() {
            for at in 0..2 * PER_SERVER {
                let patience = if at < PER_SERVER { PATIENCE } else { LONG_PATIENCE };
                let mut worker = Worker::new(&shared, home, at % 2 == 0, patience, random.fork(0));
                threads.push(thread::spawn(move || worker.run()));
            }
        }
        Workers { shared, threads }
    }

    /// Lets the clients finish what they are at, and begin nothing.
    pub(super) fn pause(&self) {
        self.shared.pause.store(true, Relaxed);
        // Every request ends within its client's patience, to connect and to be answered.
        while self.shared.at_work.load(Relaxed) > 0 {
            thread::sleep(RETRY);
        }
    }

    /// Lets the clients go on.
    pub(super) fn resume(&self) {
        self.shared.pause.store(false, Relaxed);
    }

    /// Ends all clients.
    ///
    /// # Panics
    /// When one has panicked.
    pub(super) fn stop(mut self) {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client does not panic");
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

struct Worker {
    shared: Arc<Shared>,
    server: usize,
    is_http: bool,
    patience: Duration,
    connection: Connection,
    client: u64,
    /// The last version that this client has seen, and of which key.
    seen: Option<(Weak<SharedKey>, u64)>,
    random: Chance,
}

impl Worker {
    fn new(shared: &Arc<Shared>, server: usize, is_http: bool, patience: Duration, random: Chance) -> Worker {
        shared.at_work.fetch_add(1, Relaxed);
        let connection = Connection::new(&shared.endpoints[server], is_http, patience);
        let (shared, client) = (Arc::clone(shared), shared.new_client());
        Worker { shared, server, is_http, patience, connection, client, seen: None, random }
    }

    fn run(&mut self) {
        while !self.shared.stop.load(Relaxed) {
            if self.shared.pause.load(Relaxed) {
                self.rest();
                continue;
            }
            let served = self.work();
            if !served {
                thread::sleep(RETRY);
            }
            // Now and then a client changes its server in good times too: what it knows must hold there.
            if !served || self.random.percent(1) {
                self.go_on();
            }
            if self.random.percent(THINK_PERCENT) {
                thread::sleep(Duration::from_micros(self.random.below(THINK_MICROS)));
            }
        }
        self.shared.at_work.fetch_sub(1, Relaxed);
    }

    fn rest(&self) {
        self.shared.at_work.fetch_sub(1, Relaxed);
        while self.shared.pause.load(Relaxed) && !self.shared.stop.load(Relaxed) {
            thread::sleep(RETRY);
        }
        self.shared.at_work.fetch_add(1, Relaxed);
    }

    /// One operation; whether the server has served it.
    fn work(&mut self) -> bool {
        let again = self.seen.as_ref().and_then(|(key, version)| Some((key.upgrade()?, *version)));
        let (key, seen) = match again.filter(|_| self.random.percent(AGAIN_PERCENT)) {
            Some((key, version)) => (key, Some(version)),
            None => (self.shared.keys.any(&mut self.random), None),
        };
        if key.is_pair && self.is_http {
            return true;
        }
        let value = self.shared.new_value();
        let input = if !key.is_pair {
            choose(&self.connection, value, seen, &mut self.random)
        } else if self.random.percent(50) {
            Input::Set { value, condition: Condition::Always }
        } else {
            Input::Get
        };
        match self.shared.operate(self.client, &mut self.connection, &key, &input) {
            Outcome::Done(output) => {
                if let Output::Found { version: Some(version), .. }
                | Output::Written { version: Some(version), .. } = output
                {
                    self.seen = Some((Arc::downgrade(&key), version));
                }
                true
            }
            Outcome::Refused | Outcome::Wrong(_) => false,
            Outcome::Unknown => {
                // A client has one operation at a time, and this one may go on.
                self.client = self.shared.new_client();
                false
            }
        }
    }

    fn go_on(&mut self) {
        self.server = (self.server + 1) % self.shared.endpoints.len();
        self.connection = self.connection.moved(&self.shared.endpoints[self.server], self.patience);
    }
}
