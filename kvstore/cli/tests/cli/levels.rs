//! `niagara level`: servers are killed and come back with the next release one after the other under load, then the level rises.

use std::fs;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Finished, Running, run};
use crate::servers::{Cluster, free_block, text};

/// Makes a server one of a release that knows levels up to this one, of a cluster that began at the first.
fn install(cluster: &Cluster, server: u64, known: u32) {
    let path = cluster.file(server);
    let written = fs::read_to_string(&path).unwrap();
    let sets = |line: &str, what| line.trim_start_matches("# ").starts_with(what);
    let lines = written.lines().map(|line| match line {
        _ if sets(line, "first_level = ") => "first_level = 1\n".to_owned(),
        _ if sets(line, "known_level = ") => format!("known_level = {known}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&path, lines.collect::<String>()).unwrap();
}

fn serve(cluster: &Cluster, server: u64) -> Running {
    let mut running = cluster.serve(server);
    running.wait_for(&format!("server {server} serves: HTTP at "));
    running
}

/// The level of each server that answers, and what the members know.
fn levels(finished: &Finished) -> (Vec<u64>, Vec<Option<u64>>) {
    assert_eq!(finished.status, Some(0), "{finished:?}");
    let views: Vec<Value> = serde_json::from_slice(&finished.stdout).unwrap();
    let known = views[0]["members"].as_array().unwrap().iter().map(|member| member["known"].as_u64());
    (views.iter().map(|view| view["level"].as_u64().unwrap()).collect(), known.collect())
}

fn patiently(cluster: &Cluster, arguments: &[&str]) -> Finished {
    cluster.run(&[arguments, &["--timeout", "60"]].concat())
}

/// Waits until the first server knows what all know.
fn await_known(cluster: &Cluster, wanted: [u64; 3]) {
    for _ in 0..600 {
        if levels(&cluster.run(&["level", "show", "--json"])).1 == wanted.map(Some) {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the servers never know {wanted:?}: {:?}", cluster.run(&["level", "show"]));
}

/// Kills a server, and starts the next release there.
fn upgrade(cluster: &mut Cluster, server: u64) {
    let index = server as usize - 1;
    cluster.servers.remove(index).end_with(Signal::KILL);
    install(cluster, server, 2);
    let running = serve(cluster, server);
    cluster.servers.insert(index, running);
    assert_eq!(cluster.run_when_ready(&["put", "upgraded", &server.to_string()]).status, Some(0));
}

/// A transaction with a comparison that level 2 adds.
const FENCED: &str =
    r#"{"compare":[{"key":"upgraded","before":"9"}],"then":[{"put":{"key":"fenced","value":"x"}}]}"#;

#[test]
fn a_rolling_upgrade_under_load_loses_nothing() {
    let mut cluster = Cluster::prepare(3, 2);
    (1..=3).for_each(|server| install(&cluster, server, 1));
    cluster.servers = (1..=3).map(|server| serve(&cluster, server)).collect();
    assert_eq!(cluster.run_when_ready(&["put", "upgraded", "0"]).status, Some(0));
    await_known(&cluster, [1, 1, 1]);
    let shown = cluster.run(&["level", "show"]);
    assert!(shown.text().contains("knows levels up to"), "{shown:?}");
    let nothing = patiently(&cluster, &["level", "raise"]);
    assert!(nothing.status == Some(0) && nothing.stderr.contains("level 1 already"), "{nothing:?}");
    let refused = patiently(&cluster, &["level", "raise", "--to", "2"]);
    assert!(
        refused.status == Some(3)
            && refused.stderr.contains("server 1 runs a release that knows levels up to 1"),
        "{refused:?}"
    );
    let early = cluster.run(&["txn", FENCED]);
    assert!(early.status != Some(0) && early.stderr.contains("needs level 2"), "{early:?}");

    let urls = [1, 2, 3].map(|server| cluster.url(server)).join(",");
    let chain = {
        let urls = urls.clone();
        thread::spawn(move || run(["bench", "chain", "--http", &urls, "--seconds", "12", "--json"]))
    };
    for server in 1..=3 {
        upgrade(&mut cluster, server);
        if server < 3 {
            let refused = patiently(&cluster, &["level", "raise", "--to", "2"]);
            assert!(refused.status == Some(3), "{refused:?}");
        }
    }
    await_known(&cluster, [2, 2, 2]);
    // A server is killed while the level rises; the command may be repeated.
    let file = cluster.file(1);
    let raising =
        thread::spawn(move || run(["level", "raise", "--timeout", "60", "--config", file.to_str().unwrap()]));
    upgrade(&mut cluster, 2);
    let raised = raising.join().unwrap();
    assert!(matches!(raised.status, Some(0 | 1 | 3 | 4)), "{raised:?}");
    let mut raised = patiently(&cluster, &["level", "raise", "--json"]);
    for _ in 0..60 {
        if raised.status == Some(0) {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(200));
        raised = patiently(&cluster, &["level", "raise", "--json"]);
    }
    assert_eq!(levels(&raised).0, [2, 2, 2], "{raised:?}");
    let again = patiently(&cluster, &["level", "raise"]);
    assert!(again.status == Some(0) && again.stderr.contains("level 2 already"), "{again:?}");
    let fenced = cluster.run(&["txn", FENCED]);
    assert!(fenced.status == Some(0), "{fenced:?}");

    // All are killed, and what the chains were told is there.
    let chain = chain.join().unwrap();
    assert_eq!(chain.status, Some(0), "{chain:?}");
    let report = cluster.dir.path().join("chain.json");
    fs::write(&report, &chain.stdout).unwrap();
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });
    cluster.servers = (1..=3).map(|server| serve(&cluster, server)).collect();
    assert_eq!(cluster.run_when_ready(&["get", "fenced"]).text().trim(), "x");
    assert_eq!(levels(&cluster.run(&["level", "show", "--json"])).0, [2, 2, 2]);
    let verified = run(["bench", "verify", text(&report), "--http", &urls]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    nobody_goes_back(&mut cluster);
}

/// The release before neither starts again in a cluster that is beyond it, nor joins it.
fn nobody_goes_back(cluster: &mut Cluster) {
    cluster.servers.remove(2).end_with(Signal::KILL);
    install(cluster, 3, 1);
    let refused = run(["serve", "--config", text(&cluster.file(3))]);
    assert!(
        refused.status != Some(0) && refused.stderr.contains("this program knows levels up to 1"),
        "{refused:?}"
    );
    let (dir, port) = (cluster.dir.path().to_str().unwrap().to_owned(), free_block().to_string());
    let written = cluster.run(&["new-member", "--id", "4", "--dir", &dir, "--base-port", &port]);
    assert_eq!(written.status, Some(0), "{written:?}");
    install(cluster, 4, 1);
    let refused = run(["serve", "--config", text(&cluster.file(4)), "--join", &cluster.url(1)]);
    assert!(refused.status != Some(0) && refused.stderr.contains("the cluster is at level 2"), "{refused:?}");
}
