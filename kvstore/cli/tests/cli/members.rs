//! `niagara member` and `niagara serve --join`: servers come, replace dead ones and leave, under load.

use std::path::{Path, PathBuf};

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;
use serde_json::Value;

use crate::counter::Counter;
use crate::process::{Finished, Running, run};
use crate::servers::{Cluster, free_block, text};

/// The members that a command prints.
pub fn members(finished: &Finished) -> Vec<u64> {
    assert_eq!(finished.status, Some(0), "{finished:?}");
    let document: Value = serde_json::from_slice(&finished.stdout).unwrap();
    document["members"].as_array().unwrap().iter().map(|member| member.as_u64().unwrap()).collect()
}

/// Writes the file of a server that is to come.
pub fn new_member(cluster: &Cluster, id: u64) -> PathBuf {
    let (id, port) = (id.to_string(), free_block().to_string());
    let dir = cluster.dir.path().to_str().unwrap();
    let written = cluster.run(&["new-member", "--id", &id, "--dir", dir, "--base-port", &port]);
    assert_eq!(written.status, Some(0), "{written:?}");
    assert!(written.text().contains("niagara member add --file"), "{written:?}");
    cluster.file(id.parse().unwrap())
}

/// The same file for another server.
fn with_id(file: &Path, from: &str, to: &str) -> PathBuf {
    let changed = file.with_extension("other.toml");
    std::fs::write(&changed, std::fs::read_to_string(file).unwrap().replace(from, to)).unwrap();
    changed
}

/// Starts it; it waits until it is a member.
pub fn join(cluster: &Cluster, file: &Path) -> Running {
    let mut server = Running::start(["serve", "--config", text(file), "--join", &cluster.url(1)]);
    server.wait_for("is no member yet");
    server
}

/// Runs a command that waits as long as it takes on a busy machine.
pub fn patiently(cluster: &Cluster, arguments: &[&str]) -> Finished {
    cluster.run(&[arguments, &["--timeout", "60"]].concat())
}

#[test]
fn servers_come_and_replace_dead_ones_and_leave() {
    let mut cluster = Cluster::start_with(3, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "counter", "0"]).status, Some(0));
    let counter = Counter::default();
    let (four, five) = (new_member(&cluster, 4), new_member(&cluster, 5));
    let second = cluster.servers.remove(1);
    let (fourth, fifth, replaced, added) = std::thread::scope(|scope| {
        for server in [1, 3] {
            let at = ConfigFile::read(cluster.file(server)).unwrap().server.front.redis;
            let counter = &counter;
            scope.spawn(move || counter.increment_at(at));
        }
        // The disk of server 2 is gone.
        second.end_with(Signal::KILL);
        std::fs::remove_dir_all(cluster.dir.path().join("data-2")).unwrap();
        let fourth = join(&cluster, &four);
        let replaced =
            patiently(&cluster, &["member", "replace", "--id", "2", "--file", text(&four), "--json"]);
        let fifth = join(&cluster, &five);
        let added = patiently(&cluster, &["member", "add", "--file", text(&five), "--json"]);
        counter.stop();
        (fourth, fifth, replaced, added)
    });
    assert_eq!(members(&replaced), [1, 3, 4]);
    assert_eq!(members(&added), [1, 3, 4, 5]);
    let value = |file: &PathBuf| {
        let at = ConfigFile::read(file).unwrap().server.front.http.to_string();
        run(["get", "counter", "--at", &format!("http://{at}")]).text().trim().to_owned()
    };
    for file in [&four, &five, &cluster.file(1)] {
        counter.check(&value(file));
    }
    cluster.servers.extend([fourth, fifth]);

    // Whoever asks one server finds all.
    let status = run(["status", "--json", "--at", &cluster.url(1)]);
    let rows: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(
        status.text().contains(&cluster.url(1)) && rows.to_string().contains("\"server\":5"),
        "{status:?}"
    );

    // Each change may be asked for again.
    let again = patiently(&cluster, &["member", "add", "--file", text(&five), "--json"]);
    assert!(again.stderr.contains("server 5 is a member already"), "{again:?}");
    let used =
        patiently(&cluster, &["member", "add", "--id", "2", "--addresses", "h:1", "--transfer", "h:2"]);
    assert!(used.status == Some(3) && used.stderr.contains("choose an id that was never used"), "{used:?}");
    let absent = new_member(&cluster, 6);
    let refused = patiently(&cluster, &["member", "add", "--file", text(&absent)]);
    assert!(refused.status == Some(3) && refused.stderr.contains("server 6 is not found at"), "{refused:?}");

    let former = with_id(&absent, "server = 6", "server = 2");
    let joins = run(["serve", "--config", text(&former), "--join", &cluster.url(1)]);
    assert!(
        joins.status == Some(1) && joins.stderr.contains("was a member of the cluster before"),
        "{joins:?}"
    );
    for never in [["member", "remove", "--id", "9"], ["member", "update", "--id", "9"]] {
        let wrong = patiently(&cluster, &never);
        assert!(wrong.status == Some(3) && wrong.stderr.contains("server 9 is no member"), "{wrong:?}");
    }
    let again = patiently(&cluster, &["member", "remove", "--id", "2"]);
    assert!(again.status == Some(0) && again.stderr.contains("server 2 was removed before"), "{again:?}");

    let moved = patiently(&cluster, &["member", "update", "--id", "5", "--weight", "0", "--json"]);
    let document: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(document["contacts"][3]["weight"], 0, "{document}");

    // A server that leaves ends by itself, and does not come back.
    let left = patiently(&cluster, &["member", "remove", "--id", "3", "--json"]);
    assert_eq!(members(&left), [1, 4, 5]);
    let mut third = cluster.servers.remove(1);
    third.wait_for("server 3 has stopped: it was removed");
    drop(third);
    let mut third = cluster.serve(3);
    third.wait_for("server 3 was removed from its cluster");

    // Killed, the others come back as members, without --join.
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });
    for server in [1, 4, 5] {
        let mut running = cluster.serve(server);
        running.wait_for(&format!("server {server} serves: HTTP at "));
        cluster.servers.push(running);
    }
    let value = cluster.run_when_ready(&["get", "counter"]).text().trim().to_owned();
    counter.check(&value);
    assert_eq!(members(&cluster.run(&["member", "list", "--json"])), [1, 4, 5]);
}
