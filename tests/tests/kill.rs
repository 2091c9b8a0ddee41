//! Servers killed under load, one at a time and all at once: what has been acknowledged stays.

use std::sync::Arc;

use niagara_engine::Durability;
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, History, Load, LoadPlan, rounds, wait};

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

/// Proves that a server which is killed again and again while it recovers and catches up loses nothing either, nor does it
/// hold up the others.
#[test]
fn while_it_catches_up() {
    let mut cluster = ClusterPlan::new(3, 4).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
    for _ in 0..rounds(3) {
        cluster.kill(3);
        load.await_progress(PROGRESS);
        for _ in 0..5 {
            cluster.launch(3);
            load.await_progress(PROGRESS / 5);
            cluster.kill(3);
        }
        cluster.restart(3);
    }
    load.stop();
    assert_nothing_lost(&mut cluster, &history);
}

/// Proves that a server without a majority acknowledges no write and answers no strong read, says so in time, and goes on as
/// soon as there is a majority again.
#[test]
fn without_a_majority() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    let history = History::default();
    let register = history.register();
    let mut clients = Client::both(cluster.endpoint(1));
    assert_eq!(register.write(&mut clients[0]), Answer::Done(()));

    cluster.kill(2);
    cluster.kill(3);
    for client in &mut clients {
        assert_eq!(client.get(register.key()), Answer::Refused);
        assert_ne!(history.register().write(client), Answer::Done(()));
    }
    let mut http = cluster.http(1);
    assert_eq!(
        http.get(register.key(), "weak").unwrap().status,
        200,
        "what it has, it shows to who wants it"
    );
    assert_eq!(http.request("GET", "/healthz", &[], b"").unwrap().status, 200, "it lives");
    wait::until("it to notice", || {
        (http.request("GET", "/readyz", &[], b"").unwrap().status == 503).then_some(())
    });

    cluster.restart(2);
    cluster.await_ready(1);
    for server in [1, 2] {
        let [mut client, _] = Client::both(cluster.endpoint(server));
        history.verify(&mut client);
        wait::until("a write to be acknowledged", || {
            (history.register().write(&mut client) == Answer::Done(())).then_some(())
        });
    }
    cluster.restart(3);
    assert_nothing_lost(&mut cluster, &history);
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
