//! Clients that keep a cluster busy and record what they are told.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Answer, Client, Endpoint, History, Register, wait};

/// How many clients of each kind each server has; each is a thread with a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct LoadPlan {
    /// Writers of registers, over HTTP and over the Redis protocol by turns.
    pub writers: usize,
    /// Clients that increment one counter, which they all share.
    pub counters: usize,
    /// Clients that read registers, strongly, over both protocols by turns.
    pub readers: usize,
}

impl Default for LoadPlan {
    fn default() -> Self {
        LoadPlan { writers: 2, counters: 1, readers: 1 }
    }
}

/// Registers that a writer has in use at a time.
const REGISTERS: usize = 8;
/// A client whose server does not serve goes on to the next one, not faster than this.
const RETRY: Duration = Duration::from_millis(10);

/// Running clients. A client whose server does not answer, or refuses, goes on to the next one.
///
/// Each checks what it is told, and panics if that is wrong; the test panics with it, in
/// [`await_progress`](Load::await_progress) or [`stop`](Load::stop).
pub struct Load {
    stop: Arc<AtomicBool>,
    history: Arc<History>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts the clients.
    pub fn start(endpoints: &[Endpoint], history: &Arc<History>, plan: LoadPlan) -> Load {
        let mut load = Load { stop: Arc::default(), history: Arc::clone(history), threads: Vec::new() };
        let counter = history.counter();
        for home in 0..endpoints.len() {
            for protocol in 0..plan.writers {
                let mut writer = Writer { registers: Vec::new(), history: Arc::clone(history), next: 0 };
                load.spawn(Roaming::new(endpoints, home, protocol), move |client| writer.write(client));
            }
            for _ in 0..plan.counters {
                let counter = Arc::clone(&counter);
                load.spawn(Roaming::new(endpoints, home, REDIS), move |client| {
                    let outcome = counter.increment(client);
                    matches!(outcome.unwrap_or_else(|violation| panic!("{violation}")), Answer::Done(_))
                });
            }
            for protocol in 0..plan.readers {
                let (history, mut turn) = (Arc::clone(history), home);
                load.spawn(Roaming::new(endpoints, home, protocol), move |client| {
                    turn += 1;
                    read_one(&history.registers(), turn, client)
                });
            }
        }
        load
    }

    /// Runs `step` until the load stops; when it says that it was not served, with the next server.
    fn spawn(&mut self, mut roaming: Roaming, mut step: impl FnMut(&mut Client) -> bool + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(thread::spawn(move || {
            while !stop.load(Relaxed) {
                if !step(&mut roaming.client) {
                    thread::sleep(RETRY);
                    roaming.go_on();
                }
            }
        }));
    }

    /// Waits until so many more writes have been acknowledged.
    ///
    /// # Panics
    /// When they are not, or when a client was told something wrong.
    pub fn await_progress(&mut self, more: u64) {
        let wanted = self.history.acknowledged() + more;
        wait::until("writes to be acknowledged", || {
            let broken = self.threads.iter().position(JoinHandle::is_finished);
            if let Some(broken) = broken
                && let Err(panicked) = self.threads.swap_remove(broken).join()
            {
                panic::resume_unwind(panicked);
            }
            (self.history.acknowledged() >= wanted).then_some(())
        });
    }

    /// Ends all clients.
    ///
    /// # Panics
    /// When one was told something wrong.
    pub fn stop(mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            if let Err(panicked) = thread.join() {
                panic::resume_unwind(panicked);
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

const REDIS: usize = 1;

/// A client that can go on to another server.
struct Roaming {
    endpoints: Vec<Endpoint>,
    at: usize,
    protocol: usize,
    client: Client,
}

impl Roaming {
    fn new(endpoints: &[Endpoint], home: usize, protocol: usize) -> Roaming {
        let client = client_of(&endpoints[home], protocol);
        Roaming { endpoints: endpoints.to_vec(), at: home, protocol, client }
    }

    fn go_on(&mut self) {
        self.at = (self.at + 1) % self.endpoints.len();
        self.client = client_of(&self.endpoints[self.at], self.protocol);
    }
}

fn client_of(endpoint: &Endpoint, protocol: usize) -> Client {
    let [http, redis] = Client::both(endpoint);
    if protocol % 2 == REDIS { redis } else { http }
}

/// Writes its registers by turns.
struct Writer {
    registers: Vec<Arc<Register>>,
    history: Arc<History>,
    next: usize,
}

impl Writer {
    /// Writes to the next register; whether it was acknowledged.
    fn write(&mut self, client: &mut Client) -> bool {
        self.registers.retain(|register| !register.is_abandoned());
        while self.registers.len() < REGISTERS {
            self.registers.push(self.history.register());
        }
        self.next += 1;
        self.registers[self.next % REGISTERS].write(client) == Answer::Done(())
    }
}

/// Reads some register; whether there was an answer.
fn read_one(registers: &[Arc<Register>], turn: usize, client: &mut Client) -> bool {
    if registers.is_empty() {
        return false;
    }
    match registers[turn * 7 % registers.len()].read(client) {
        Some(outcome) => {
            outcome.unwrap_or_else(|violation| panic!("{violation}"));
            true
        }
        None => false,
    }
}
