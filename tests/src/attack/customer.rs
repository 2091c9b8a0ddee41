//! A customer who behaves: small requests, one after the other, at a constant rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::processors::CUSTOMER;
use crate::{Endpoint, Http, Resp, Value};

/// What customers were told.
#[derive(Clone, Debug)]
pub struct Seen {
    /// In microseconds, from when each request was due: what came late since another one took long counts, too.
    pub micros: Histogram<u64>,
    /// Requests that were refused, or got no answer. The first of them in words.
    pub failed: u64,
    /// See `failed`.
    pub first_failure: Option<String>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { micros: Histogram::new(3).expect("three digits are possible"), failed: 0, first_failure: None }
    }
}

impl Seen {
    /// Adds what another one was told.
    pub fn add(&mut self, other: &Seen) {
        self.micros.add(&other.micros).expect("both have the same bounds");
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or_else(|| other.first_failure.clone());
    }

    /// A quantile, in milliseconds.
    pub fn millis(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// A running customer of one server.
pub(super) struct Customer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Customer {
    pub(super) fn start(endpoint: &Endpoint, rate: f64) -> Customer {
        let stop = Arc::<AtomicBool>::default();
        let (seen, addresses, server) = (Arc::clone(&stop), (endpoint.http, endpoint.redis), endpoint.server);
        let thread = thread::Builder::new().name(CUSTOMER.into());
        let thread = thread.spawn(move || serve(server, addresses, rate, &seen));
        let thread = thread.expect("a thread can be started");
        Customer { stop, thread }
    }

    pub(super) fn stop(self) -> Seen {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("a customer panics only if it was told something wrong, as stands above")
    }
}

fn serve(server: u64, (http, redis): (SocketAddr, SocketAddr), rate: f64, stop: &AtomicBool) -> Seen {
    let mut http = Http::with_timeout(http, PATIENCE);
    let mut redis = Resp::with_timeout(redis, PATIENCE);
    let (begin, mut seen) = (Instant::now(), Seen::default());
    let key = format!("customer-{server}");
    for n in 0_u64.. {
        let due = begin + Duration::from_secs_f64(n as f64 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Relaxed) {
            break;
        }
        // Each value is written over one protocol and read over the other, strongly.
        let value = (n / 2).to_string();
        let told = match n % 4 {
            0 => put(&mut http, &key, &value),
            1 => get(&mut redis, &key, &value),
            2 => set(&mut redis, &key, &value),
            _ => look(&mut http, &key, &value),
        };
        match told {
            Ok(()) => seen.micros.record(due.elapsed().as_micros() as u64).expect("the histogram grows"),
            Err(why) => {
                seen.failed += 1;
                seen.first_failure.get_or_insert(why);
            }
        }
    }
    seen
}

fn put(http: &mut Http, key: &str, value: &str) -> Result<(), String> {
    let answer = http.put(key, value.as_bytes()).map_err(|error| format!("PUT: {error}"))?;
    if matches!(answer.status, 200 | 201) { Ok(()) } else { Err(format!("PUT: {}", answer.text())) }
}

fn set(redis: &mut Resp, key: &str, value: &str) -> Result<(), String> {
    match redis.command(&["SET", key, value]) {
        Ok(Value::Simple(_)) => Ok(()),
        other => Err(format!("SET: {other:?}")),
    }
}

fn look(http: &mut Http, key: &str, value: &str) -> Result<(), String> {
    let answer = http.get(key, "strong").map_err(|error| format!("GET over HTTP: {error}"))?;
    match answer.status {
        200 if answer.body == value.as_bytes() => Ok(()),
        _ => Err(format!("GET over HTTP, {value} expected: {}", answer.text())),
    }
}

fn get(redis: &mut Resp, key: &str, value: &str) -> Result<(), String> {
    match redis.command(&["GET", key]) {
        Ok(Value::Bulk(found)) if found == value.as_bytes() => Ok(()),
        other => Err(format!("GET, {value} expected: {other:?}")),
    }
}
