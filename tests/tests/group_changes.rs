//! The number of groups changes while clients write, and servers are killed amid the changes: what has been acknowledged stays.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use niagara_engine::EpochView;
use niagara_testing::parts::chance::Chance;
use niagara_tests::{Cluster, ClusterPlan, History, Http, Load, LoadPlan, rounds, wait};

/// Acknowledged writes between two changes.
const PROGRESS: u64 = 60;
/// A kill comes within this time after a change was asked for, which takes a good part of it.
const KILLED_WITHIN_MS: u64 = 150;

/// Proves that nothing acknowledged is lost, executed twice or read stale when servers are killed at random moments of changes,
/// up and down, whichever of them; and that each change happens although.
#[test]
fn servers_are_killed_amid_changes() {
    let mut cluster = ClusterPlan::new(3, 1).engine("threads", 1).engine("snapshot_entries", 300).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
    load.await_progress(PROGRESS);
    let mut chance = Chance::new(7);
    for (step, groups) in [8, 3, 1, 4].into_iter().cycle().take(rounds(4)).enumerate() {
        let victim = chance.between(1, 3);
        ask(&cluster, groups);
        thread::sleep(Duration::from_millis(chance.below(KILLED_WITHIN_MS)));
        if step % 4 == 3 {
            cluster.kill_all();
            cluster.servers().for_each(|server| cluster.launch(server));
        } else {
            cluster.kill(victim);
            load.await_progress(PROGRESS);
            cluster.launch(victim);
        }
        cluster.servers().for_each(|server| cluster.await_ready(server));
        await_groups(&cluster, groups);
        load.await_progress(PROGRESS);
        cluster.compare_digests();
    }
    load.stop();
    cluster.await_agreement();
    for server in cluster.servers() {
        niagara_tests::Client::both(cluster.endpoint(server)).iter_mut().for_each(|it| history.verify(it));
    }
}

fn groups_of(http: &mut Http) -> Option<EpochView> {
    let answer = http.request("GET", "/groups", &[], b"").ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice(&answer.body).ok()
}

/// Asks for so many groups until some server takes the request.
fn ask(cluster: &Cluster, groups: u16) {
    let wish = format!("{{\"groups\":{groups}}}");
    wait::until("a server to take the request for other groups", || {
        let taken = |server| {
            let answer = cluster.http(server).request("POST", "/groups", &[], wish.as_bytes());
            answer.is_ok_and(|answer| answer.status == 202)
        };
        cluster.servers().any(taken).then_some(())
    });
}

/// Waits until all servers have so many groups. A request may be lost with the server that took it: then it is made again.
fn await_groups(cluster: &Cluster, groups: u16) {
    wait::until("all servers to have the groups that were asked for", || {
        let all: Vec<_> =
            cluster.servers().filter_map(|server| groups_of(&mut cluster.http(server))).collect();
        let is_there = |epoch: &EpochView| epoch.groups == groups;
        if all.iter().all(|epoch| !is_there(epoch)) {
            ask(cluster, groups);
        }
        (all.len() == 3 && all.iter().all(is_there)).then_some(())
    });
}
