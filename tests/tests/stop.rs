//! Servers stopped cleanly under load, as for an upgrade.

use std::sync::Arc;

use niagara_engine::Durability;
use niagara_tests::{Client, ClusterPlan, History, Load, LoadPlan, rounds, wait};

/// Proves that servers can be restarted one after the other while clients go on: each ends with status 0, whatever it is
/// busy with, nothing acknowledged is lost, and nothing executed twice. Requests that a server does not answer any more
/// count as unknown.
#[test]
fn one_after_the_other_under_load() {
    let mut cluster = ClusterPlan::new(3, 4).durability(Durability::Os).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan { writers: 4, ..LoadPlan::default() });
    for _ in 0..rounds(2) {
        for server in cluster.servers() {
            load.await_progress(100);
            cluster.stop(server);
            load.await_progress(100);
            cluster.restart(server);
        }
    }
    load.stop();
    for endpoint in cluster.endpoints() {
        Client::both(endpoint).iter_mut().for_each(|client| history.verify(client));
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
    cluster.stop_all();
}

/// Proves that a server ends cleanly without ever having seen another one, too.
#[test]
fn a_server_alone() {
    let mut cluster = ClusterPlan::new(3, 4).prepare();
    cluster.launch(1);
    wait::until("the server to live", || {
        cluster
            .http(1)
            .request("GET", "/healthz", &[], b"")
            .is_ok_and(|answer| answer.status == 200)
            .then_some(())
    });
    cluster.stop(1);
    assert!(cluster.log(1).contains("has stopped cleanly"));
}
