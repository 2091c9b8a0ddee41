//! Pipelines of writes and reads, through all servers, while these are killed one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::thread;

use niagara_tests::{ClusterPlan, Endpoint, Resp, Value, encode, rounds, wait};

/// A counter that all clients add to.
const SHARED: &str = "shared";

/// Increments in a pipeline, each followed by a read.
const PAIRS: usize = 8;

/// Reads that were answered between two faults.
const PROGRESS: u64 = 500;

/// What all clients know.
#[derive(Default)]
struct Known {
    /// The greatest value of the shared counter that anybody was told.
    shared: AtomicI64,
    reads: AtomicU64,
    keys: AtomicU64,
    stops: AtomicBool,
}

/// Proves that a read amid the writes of a pipeline shows the write before it, not the one behind it, and all that anybody
/// was told before the pipeline was sent, whichever server is killed meanwhile.
#[test]
fn each_read_is_fresh_and_in_its_place() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    let known = Arc::new(Known::default());
    let clients: Vec<_> = cluster
        .endpoints()
        .iter()
        .flat_map(|endpoint| [endpoint.clone(), endpoint.clone()])
        .map(|endpoint| {
            let known = Arc::clone(&known);
            thread::spawn(move || pipelines(&endpoint, &known))
        })
        .collect();
    await_progress(&known);
    for _ in 0..rounds(2) {
        for server in cluster.servers() {
            cluster.kill(server);
            await_progress(&known);
            cluster.restart(server);
            await_progress(&known);
        }
    }
    known.stops.store(true, SeqCst);
    clients.into_iter().for_each(|client| client.join().expect("no client has seen anything wrong"));
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
    cluster.stop_all();
}

fn await_progress(known: &Known) {
    let before = known.reads.load(SeqCst);
    wait::until("reads to be answered", || (known.reads.load(SeqCst) >= before + PROGRESS).then_some(()));
}

/// Sends pipelines to a server until the test ends, on a new connection with a key of its own after each failure.
fn pipelines(endpoint: &Endpoint, known: &Known) {
    while !known.stops.load(SeqCst) {
        let own = format!("own-{}", known.keys.fetch_add(1, SeqCst));
        let mut redis = endpoint.redis();
        let mut is_whole = true;
        while is_whole && !known.stops.load(SeqCst) {
            is_whole = pipeline(&mut redis, &own, known);
        }
        thread::yield_now();
    }
}

/// Sends one pipeline and checks its replies. `false`: not all of it was done, so the own key's value is not known.
fn pipeline(redis: &mut Resp, own: &str, known: &Known) -> bool {
    let least = known.shared.load(SeqCst);
    let pair = |key: &str| [encode(&["INCR", key]), encode(&["GET", key])].concat();
    let bytes = [pair(own), pair(SHARED)].concat().repeat(PAIRS);
    if redis.send(&bytes).is_err() {
        return false;
    }
    let (mut is_whole, mut shared_before) = (true, least);
    for _ in 0..PAIRS {
        let Some(own_pair) = receive_pair(redis) else { return false };
        let Some(shared_pair) = receive_pair(redis) else { return false };
        match own_pair {
            (Some(written), Some(read)) => assert_eq!(written, read, "{own}: nobody else writes to it"),
            _ => is_whole = false,
        }
        if let (_, Some(read)) = shared_pair {
            known.reads.fetch_add(1, SeqCst);
            assert!(read >= least, "a read shows {read}, and {least} was told before it began");
            assert!(
                read >= shared_before,
                "a read shows {read}, and this pipeline was told {shared_before} before"
            );
            shared_before = read;
        }
        if let (Some(written), read) = shared_pair {
            assert!(read.is_none_or(|read| read >= written), "a read does not show the write before it");
            shared_before = shared_before.max(written);
        }
        known.shared.fetch_max(shared_before, SeqCst);
    }
    is_whole
}

/// What an increment and the read behind it showed; `None` if the connection is lost, or for an error.
fn receive_pair(redis: &mut Resp) -> Option<(Option<i64>, Option<i64>)> {
    Some((number(redis.receive().ok()?), number(redis.receive().ok()?)))
}

fn number(value: Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(number),
        Value::Bulk(digits) => {
            Some(std::str::from_utf8(&digits).expect("a number").parse().expect("a number"))
        }
        Value::Error(text) => {
            let known = ["OVERLOADED", "NOQUORUM", "READONLY", "LOADING", "UNKNOWN"];
            assert!(known.iter().any(|word| text.starts_with(word)), "-{text}");
            None
        }
        Value::Null => None,
        other => panic!("{other:?}"),
    }
}
