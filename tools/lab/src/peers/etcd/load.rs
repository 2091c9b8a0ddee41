//! The clients: a closed loop over gRPC, as `niagara-load` has it over other protocols.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use niagara_etcd::{Connection, MemberState};
use niagara_load::Failure;
use niagara_load::unix_ms;
use niagara_measure::{Latency, nanoseconds};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time;

use crate::peers::store::Driven;
use crate::peers::work::{KEY_BYTES, KEYS, Stint, StoreWork, VALUE_BYTES};

/// An operation that takes longer than this behind the window will not end.
const PATIENCE: Duration = Duration::from_secs(10);
/// After an operation that has failed, its client waits.
const PAUSE: Duration = Duration::from_millis(10);
/// Clients that set all keys.
const FILLERS: u32 = 16;
const VALUE: Bytes = Bytes::from_static(&[b'v'; VALUE_BYTES]);

/// What the clients of a measurement share.
struct EtcdClients {
    work: StoreWork,
    opens: Instant,
    closes: Instant,
    seen: RefCell<ClientsSeen>,
}

/// What they have seen in the window.
struct ClientsSeen {
    nanos: Histogram<u64>,
    errors: u64,
    misses: u64,
}

/// Drives servers for the time of a measurement. Connections are spread over them round robin.
pub(super) fn drive(addresses: &[String], stint: Stint) -> Result<Driven, Failure> {
    let Stint { work, shape, timing } = stint;
    on_this_thread(async {
        let mut connections = Vec::new();
        for address in addresses.iter().cycle().take(shape.connections as usize) {
            connections.push(Connection::open(address).await?);
        }
        let opens = Instant::now() + Duration::from_secs_f64(timing.warm_up);
        let begun_unix_ms = unix_ms() + (1000.0 * timing.warm_up) as u64;
        let closes = opens + Duration::from_secs_f64(timing.seconds);
        let seen = RefCell::new(ClientsSeen { nanos: nanoseconds(), errors: 0, misses: 0 });
        let load = Rc::new(EtcdClients { work, opens, closes, seen });
        let mut clients = JoinSet::new();
        for number in 0..shape.in_flight() {
            let connection = connections[(number % shape.connections) as usize].clone();
            clients.spawn_local(client(Rc::clone(&load), connection, number.into()));
        }
        let all = time::timeout_at((closes + PATIENCE).into(), clients.join_all());
        all.await.map_err(|_| Failure::new("etcd does not answer"))?;
        let seen = load.seen.borrow();
        Ok(Driven {
            begun_unix_ms,
            seconds: timing.seconds,
            completed: seen.nanos.len(),
            latency: Latency::of(&seen.nanos),
            errors: seen.errors,
            misses: seen.misses,
        })
    })
}

/// One operation after the other.
async fn client(load: Rc<EtcdClients>, connection: Connection, seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut last = Instant::now();
    while last < load.closes {
        let key = key(random.random_range(0..KEYS));
        let begun = Instant::now();
        let found = if random.random_bool(load.work.reads()) {
            connection.has(key, load.work == StoreWork::WeakReads).await
        } else {
            connection.put(key, VALUE).await.map(|_| true)
        };
        last = Instant::now();
        let failed = found.is_err();
        if (load.opens..load.closes).contains(&last) {
            load.seen.borrow_mut().record(last - begun, found.ok());
        }
        if failed {
            time::sleep(PAUSE).await;
        }
    }
}

impl ClientsSeen {
    /// An operation that has failed, or one that is done, and whether there was such a key.
    fn record(&mut self, time: Duration, found: Option<bool>) {
        match found {
            None => self.errors += 1,
            Some(found) => {
                self.nanos.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
                self.misses += u64::from(!found);
            }
        }
    }
}

/// Sets every key.
pub(super) fn fill(address: &str) -> Result<(), Failure> {
    on_this_thread(async {
        let connection = Connection::open(address).await?;
        let mut fillers = JoinSet::new();
        for first in 0..FILLERS {
            let connection = connection.clone();
            fillers.spawn_local(async move {
                for number in (first..KEYS).step_by(FILLERS as usize) {
                    connection.put(key(number), VALUE).await?;
                }
                Ok(())
            });
        }
        fillers.join_all().await.into_iter().collect()
    })
}

/// How a server is.
pub(super) fn status(address: &str) -> Result<MemberState, Failure> {
    on_this_thread(async {
        let ask = async { Connection::open(address).await?.status().await };
        Ok(time::timeout(PATIENCE, ask).await.map_err(|_| Failure::new("etcd gives no status"))??)
    })
}

fn key(number: u32) -> Bytes {
    format!("{number:0KEY_BYTES$}").into()
}

/// The clients are to take as little as possible from the servers: one thread does for all of them.
fn on_this_thread<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(Failure::io("cannot start tokio"))?;
    LocalSet::new().block_on(&runtime, task)
}
