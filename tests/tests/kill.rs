//! Servers killed under load, one at a time and all at once: what has been acknowledged stays.

use std::sync::Arc;

use niagara_engine::Durability;
use niagara_tests::{Client, Cluster, ClusterPlan, History, Load, LoadPlan, rounds};

/// Acknowledged writes between two faults, so that each fault meets a cluster at work.
const PROGRESS: u64 = 100;

/// Proves that the failure of any one server, again and again, loses no acknowledged write, executes none twice, makes no
/// strong read stale, and that the servers' logs are the same, when each write is on a majority's disks before it is
/// acknowledged.
#[test]
fn one_after_the_other_with_synced_logs() {
    one_after_the_other(Durability::Fsync);
}

/// Proves the same for logs that are left to the operating system, which the end of a process does not touch.
#[test]
fn one_after_the_other_with_written_logs() {
    one_after_the_other(Durability::Os);
}

/// Proves that all servers may be killed at the same moment, and that all acknowledged writes are there when they are
/// back: with synced logs,
#[test]
fn all_at_once_with_synced_logs() {
    all_at_once(Durability::Fsync);
}

/// and with written ones.
#[test]
fn all_at_once_with_written_logs() {
    all_at_once(Durability::Os);
}

fn one_after_the_other(durability: Durability) {
    let mut cluster = ClusterPlan::new(3, 4).durability(durability).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
    load.await_progress(PROGRESS);
    for _ in 0..rounds(3) {
        for server in cluster.servers() {
            cluster.kill(server);
            load.await_progress(PROGRESS);
            cluster.restart(server);
            load.await_progress(PROGRESS);
            cluster.compare_digests();
        }
    }
    load.stop();
    assert_nothing_lost(&mut cluster, &history);
}

fn all_at_once(durability: Durability) {
    let mut cluster = ClusterPlan::new(3, 4).durability(durability).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
    for _ in 0..rounds(3) {
        load.await_progress(PROGRESS);
        cluster.kill_all();
        cluster.servers().for_each(|server| cluster.launch(server));
        cluster.servers().for_each(|server| cluster.await_ready(server));
    }
    load.await_progress(PROGRESS);
    load.stop();
    assert_nothing_lost(&mut cluster, &history);
}

/// Every server shows what was acknowledged, and has executed the same as the others.
fn assert_nothing_lost(cluster: &mut Cluster, history: &History) {
    for endpoint in cluster.endpoints() {
        Client::both(endpoint).iter_mut().for_each(|client| history.verify(client));
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
    cluster.stop_all();
}
