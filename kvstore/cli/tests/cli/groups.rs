//! `niagara groups`: the number of groups changes under load, and servers are killed and come back.

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;
use serde_json::Value;

use crate::counter::Counter;
use crate::process::Finished;
use crate::servers::Cluster;

/// The groups that each server that answers has.
fn groups(finished: &Finished) -> Vec<u64> {
    assert_eq!(finished.status, Some(0), "{finished:?}");
    let document: Value = serde_json::from_slice(&finished.stdout).unwrap();
    document.as_array().unwrap().iter().map(|server| server["groups"].as_u64().unwrap()).collect()
}

fn said(finished: &Finished) -> String {
    finished.stderr.clone()
}

#[test]
fn groups_change_under_load_and_stay_changed() {
    let mut cluster = Cluster::start_with(3, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "counter", "0"]).status, Some(0));
    assert_eq!(groups(&cluster.run(&["groups", "--json"])), [2, 2, 2]);
    let counter = Counter::default();
    std::thread::scope(|scope| {
        for server in 1..=3 {
            let at = ConfigFile::read(cluster.file(server)).unwrap().server.front.redis;
            let counter = &counter;
            scope.spawn(move || counter.increment_at(at));
        }
        let set = [4, 1, 3].map(|wanted: u64| {
            (wanted, cluster.run(&["groups", "set", &wanted.to_string(), "--json", "--timeout", "60"]))
        });
        // First, so that a failure does not leave the writers.
        counter.stop();
        for (wanted, set) in set {
            assert_eq!(groups(&set), [wanted; 3]);
        }
    });
    let value = |cluster: &Cluster| cluster.run_when_ready(&["get", "counter"]).text().trim().to_owned();
    counter.check(&value(&cluster));
    let again = cluster.run(&["groups", "set", "3"]);
    assert!(again.status == Some(0) && said(&again).contains("there are 3 groups already"), "{again:?}");
    let wrong = cluster.run(&["groups", "set", "0"]);
    assert!(wrong.status == Some(2) && said(&wrong).contains("0 is not in 1..=1024"), "{wrong:?}");

    // Killed, they come back in the epoch that they were in.
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });
    cluster.servers.extend(
        (1..=3)
            .map(|server| {
                let mut running = cluster.serve(server);
                running.wait_for(&format!("server {server} serves: HTTP at "));
                running
            })
            .collect::<Vec<_>>(),
    );
    counter.check(&value(&cluster));
    assert_eq!(groups(&cluster.run(&["groups", "--json"])), [3, 3, 3]);
}
