//! Servers behind links that are there and hardly work, in a network of their own.

use std::sync::Arc;

use niagara_tests::ClusterPlan;
use niagara_tests::metrics::Metrics;
use niagara_tests::network::{Host, Namespaces, Subnet};
use niagara_tests::{Resp, Value};

/// What is written: several times what the slow line takes, even if the test takes minutes.
const WRITES: usize = 6000;
const VALUE_BYTES: usize = 1 << 10;
/// A leader's memory may grow by so much: its log's cache, and buffers.
const MOST_GROWTH: u64 = 16 << 20;

/// The line is so slow that connections end: then what waits is lost, at most a queue of small messages each time.
const MOST_DROPPED: f64 = 1500.0;

/// Proves that a leader keeps little for a follower behind a slow line, sends nothing in vain, and that clients of the others do not
/// notice.
#[test]
fn a_follower_behind_a_slow_line_takes_no_memory_of_the_leader() {
    let network = match Namespaces::create(3, 1) {
        Ok(network) => Arc::new(network),
        Err(reason) => return println!("skipped: {reason}"),
    };
    if let Err(reason) = network.can_throttle() {
        return println!("skipped: {reason}");
    }
    network.enter(Host::Clients).expect("what was made can be entered");
    let mut cluster = ClusterPlan::new(3, 1).network(&network).start();
    // Group 1 belongs to server 1.
    let mut redis = cluster.redis(1);
    write(&mut redis, 500);
    let before = cluster.process(1).resident_bytes();

    network.put_behind_slow_line(Subnet::Link(1), Host::Server(3), 64).unwrap();
    write(&mut redis, WRITES);
    let grown = cluster.process(1).resident_bytes().saturating_sub(before);
    assert!(grown < MOST_GROWTH, "the leader has grown by {grown} bytes");
    let dropped = Metrics::read(&mut cluster.http(1)).sum("niagara_network_dropped_frames_total");
    assert!(dropped < MOST_DROPPED, "{dropped} messages were dropped");
}

fn write(redis: &mut Resp, count: usize) {
    let value = vec![b'v'; VALUE_BYTES];
    for number in 0..count {
        let key = format!("key-{}", number % 100).into_bytes();
        let answer = redis.command(&[b"SET".as_slice(), &key, &value]).expect("a quorum is well connected");
        assert_eq!(answer, Value::Simple("OK".into()), "write {number}");
    }
}
