//! Writes at a constant rate, whatever the servers do: what comes late counts from when it was meant to be sent, so that a
//! pause is seen by all whom it would have met.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::SetCommand;
use crate::http::connect;
use crate::resp::read_value;
use crate::{Endpoint, Value};
use niagara_testing::parts::chance::Chance;

/// Running writers, one connection for each server that takes part.
pub struct OpenLoop {
    stop: Arc<AtomicBool>,
    connections: Vec<Arc<Shared>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a connection's two threads share with the one that looks.
struct Shared {
    seen: Mutex<Latencies>,
    sent: AtomicU64,
}

/// What was answered since the last look.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// In microseconds, from when each command was meant to be sent.
    pub micros: Histogram<u64>,
    /// Answers that were errors: refused, or unknown.
    pub errors: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies { micros: Histogram::new(3).expect("three digits are possible"), errors: 0 }
    }
}

/// How long a reply may take. Longer than any pause that is worth a measurement.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two batches of what is due.
const STEP: Duration = Duration::from_millis(1);

impl OpenLoop {
    /// Writes random keys below `keys`, so many commands per second in all, through these servers.
    ///
    /// # Panics
    /// When a server cannot be reached.
    pub fn start(endpoints: &[Endpoint], rate: f64, keys: u64, command: &SetCommand) -> OpenLoop {
        let mut writers = OpenLoop { stop: Arc::default(), connections: Vec::new(), threads: Vec::new() };
        let each = rate / endpoints.len() as f64;
        for endpoint in endpoints {
            let stream = connect(endpoint.redis, PATIENCE);
            let stream = stream.unwrap_or_else(|error| panic!("server {}: {error}", endpoint.server));
            let reading = stream.try_clone().expect("a socket can be duplicated");
            let shared = Arc::new(Shared { seen: Mutex::default(), sent: AtomicU64::new(0) });
            writers.connections.push(Arc::clone(&shared));
            let clock = Clock { start: Instant::now(), rate: each };
            let sending = Sending {
                stream,
                clock,
                keys: (keys, Chance::new(endpoint.server)),
                command: command.clone(),
                shared: Arc::clone(&shared),
                stop: Arc::clone(&writers.stop),
            };
            writers.threads.push(thread::spawn(move || sending.run()));
            writers.threads.push(thread::spawn(move || receive(reading, clock, &shared)));
        }
        writers
    }

    /// What was answered since the last look.
    pub fn take(&self) -> Latencies {
        let mut all = Latencies::default();
        for connection in &self.connections {
            let seen = std::mem::take(&mut *connection.seen.lock().expect("no thread panics holding this"));
            all.micros.add(&seen.micros).expect("all have the same bounds");
            all.errors += seen.errors;
        }
        all
    }

    /// Commands that were sent so far.
    pub fn sent(&self) -> u64 {
        self.connections.iter().map(|connection| connection.sent.load(Relaxed)).sum()
    }

    /// Ends the writers, after the last reply.
    ///
    /// # Panics
    /// When a connection broke.
    pub fn stop(self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            thread
                .join()
                .expect("a server that takes the load serves all the time; why it did not stands above");
        }
    }
}

/// When each command of a connection is meant to be sent.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    rate: f64,
}

impl Clock {
    fn due(&self) -> u64 {
        (self.start.elapsed().as_secs_f64() * self.rate) as u64
    }

    fn meant(&self, n: u64) -> Instant {
        self.start + Duration::from_secs_f64(n as f64 / self.rate)
    }
}

struct Sending {
    stream: TcpStream,
    clock: Clock,
    keys: (u64, Chance),
    command: SetCommand,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl Sending {
    fn run(mut self) {
        let (mut sent, mut bytes) = (0, Vec::new());
        while !self.stop.load(Relaxed) {
            let due = self.clock.due();
            bytes.clear();
            for _ in sent..due {
                self.command.append(self.keys.1.below(self.keys.0), &mut bytes);
            }
            self.stream.write_all(&bytes).expect("the server reads");
            sent = due;
            self.shared.sent.store(sent, Relaxed);
            thread::sleep(STEP);
        }
        // The server answers all that it has read, and then closes its side too.
        self.stream.shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }
}

/// Replies come in the order of the commands, so their number says when each was meant to be sent.
fn receive(stream: TcpStream, clock: Clock, shared: &Shared) {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    for n in 0.. {
        let reply = match read_value(&mut stream) {
            Ok(reply) => reply,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return,
            Err(error) => panic!("no reply: {error}"),
        };
        let micros = clock.meant(n).elapsed().as_micros() as u64;
        let mut seen = shared.seen.lock().expect("no thread panics holding this");
        match reply {
            Value::Simple(_) => seen.micros.record(micros.max(1)).expect("the histogram grows"),
            _ => seen.errors += 1,
        }
    }
}
