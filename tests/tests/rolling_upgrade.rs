//! Servers of a release that knows the first level only are killed, and come back with the next release, while clients write;
//! then the level rises, and servers are killed amid that: what has been acknowledged stays.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use niagara_engine::{Durability, LevelView};
use niagara_testing::parts::chance::Chance;
use niagara_tests::{Cluster, ClusterPlan, History, Load, LoadPlan, rounds, wait};

/// Acknowledged writes between two steps.
const PROGRESS: u64 = 60;
/// A kill comes within this time after the level was asked for, which takes a good part of it.
const KILLED_WITHIN_MS: u64 = 150;

fn level(cluster: &Cluster, server: u64) -> Option<LevelView> {
    let answer = cluster.http(server).request("GET", "/level", &[], b"").ok()?;
    serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)
}

/// Asks all servers for level 2; returns the statuses of those that answer.
fn ask(cluster: &Cluster) -> Vec<u16> {
    let asked = |server| cluster.http(server).request("POST", "/level", &[], b"{\"level\":2}");
    cluster.servers().filter_map(|server| asked(server).ok()).map(|answer| answer.status).collect()
}

/// Waits until all servers are at level 2. A request may be lost with the server that took it: then it is made again.
fn await_level(cluster: &Cluster) {
    wait::until("all servers to be at level 2", || {
        let views: Vec<_> = cluster.servers().filter_map(|server| level(cluster, server)).collect();
        let is_there = |view: &LevelView| view.level == 2;
        if !views.iter().any(is_there) {
            ask(cluster);
        }
        (views.len() == 3 && views.iter().all(is_there)).then_some(())
    });
}

/// Proves that nothing acknowledged is lost, executed twice or read stale while servers of two releases work together, and while
/// the level rises; and that it does not rise before all servers know it.
#[test]
fn servers_are_upgraded_one_after_the_other() {
    let mut chance = Chance::new(11);
    for _ in 0..rounds(1) {
        let mut cluster =
            ClusterPlan::new(3, 2).durability(Durability::Os).first_level(1).engine("known_level", 1).start();
        let history = Arc::new(History::default());
        let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
        load.await_progress(PROGRESS);
        for server in cluster.servers() {
            let asked = ask(&cluster);
            assert!(!asked.contains(&202), "server {server} does not know level 2: {asked:?}");
            cluster.kill(server);
            load.await_progress(PROGRESS);
            cluster.set(server, "known_level", 2);
            cluster.restart(server);
            load.await_progress(PROGRESS);
        }
        wait::until("the servers to know of each other", || {
            let known = |server| level(&cluster, server)?.known_by_all;
            cluster.servers().any(|server| known(server) == Some(2)).then_some(())
        });
        ask(&cluster);
        thread::sleep(Duration::from_millis(chance.below(KILLED_WITHIN_MS)));
        let victim = chance.between(1, 3);
        cluster.kill(victim);
        load.await_progress(PROGRESS);
        cluster.restart(victim);
        await_level(&cluster);
        load.await_progress(PROGRESS);
        cluster.compare_digests();
        load.stop();
        cluster.kill_all();
        cluster.servers().for_each(|server| cluster.launch(server));
        cluster.servers().for_each(|server| cluster.await_ready(server));
        await_level(&cluster);
        cluster.await_agreement();
        for server in cluster.servers() {
            niagara_tests::Client::both(cluster.endpoint(server))
                .iter_mut()
                .for_each(|it| history.verify(it));
        }
    }
}
