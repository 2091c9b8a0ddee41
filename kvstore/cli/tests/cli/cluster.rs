//! A cluster of three processes, from `new-cluster` to SIGTERM.

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Finished, Running, run, run_with_input};
use crate::servers::{Cluster, text};

const SERVERS: u64 = 3;
const GROUPS: u16 = 2;

fn position(finished: &Finished) -> u64 {
    let mut words = finished.text().split_whitespace();
    assert_eq!(words.next(), Some("position"), "{finished:?}");
    words.next().unwrap().parse().unwrap()
}

#[test]
fn three_processes_serve_one_store() {
    let cluster = Cluster::start(SERVERS, GROUPS);

    // Written through the first server, read through each.
    let written = cluster.run_when_ready(&["put", "greeting", "hello"]);
    assert_eq!(written.status, Some(0), "{written:?}");
    let at_least = format!("at-least:{}", position(&written));
    for server in 1..=SERVERS {
        for level in ["strong", &at_least] {
            let read = run(["get", "greeting", "--read", level, "--at", &cluster.url(server)]);
            assert_eq!((read.status, read.stdout.as_slice()), (Some(0), b"hello".as_slice()), "{read:?}");
        }
    }

    values_are_bytes(&cluster);
    conditions_are_kept(&cluster);
    keys_are_listed(&cluster);
    transactions_are_executed(&cluster);
    let live = changes_are_watched(&cluster);
    the_status_tells_of_all(&cluster);
    clients_fail_over(cluster, live);
}

fn values_are_bytes(cluster: &Cluster) {
    let value: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let key = "a/key with spaces, \u{e4} and ?";
    let written = run_with_input(["put", key, "--quiet", "--config", text(&cluster.file(2))], &value);
    assert_eq!((written.status, written.stdout.len()), (Some(0), 0), "{}", written.stderr);
    let read = cluster.run(&["get", key, "--verbose"]);
    assert!(read.status == Some(0) && read.stdout == value, "{}", read.stderr);
    assert!(read.stderr.starts_with("version "), "{}", read.stderr);

    assert_eq!(cluster.run(&["del", key]).status, Some(0));
    let gone = cluster.run(&["get", key]);
    assert_eq!((gone.status, gone.stdout.len()), (Some(1), 0));
    assert!(gone.stderr.contains("does not exist"), "{}", gone.stderr);
    assert_eq!(cluster.run(&["del", key]).status, Some(0), "gone is gone");
}

fn conditions_are_kept(cluster: &Cluster) {
    let first = cluster.run(&["put", "lock", "mine", "--if-absent"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    let version = first.text().trim().rsplit_once("version ").expect("a write prints the version").1;
    let second = cluster.run(&["put", "lock", "yours", "--if-absent"]);
    assert_eq!(second.status, Some(1), "{second:?}");
    assert!(second.stderr.contains(&format!("the key has version {version}")), "{}", second.stderr);

    assert_eq!(cluster.run(&["put", "lock", "again", "--if-match", version]).status, Some(0));
    assert_eq!(
        cluster.run(&["del", "lock", "--if-match", version]).status,
        Some(1),
        "the version is an old one"
    );
    assert_eq!(cluster.run(&["get", "lock"]).stdout, b"again");
    assert_eq!(cluster.run(&["del", "lock", "--if-match", "*"]).status, Some(0));
}

fn keys_are_listed(cluster: &Cluster) {
    for key in ["list/a", "list/b", "other"] {
        assert_eq!(cluster.run(&["put", key, "x"]).status, Some(0));
    }
    let listed = cluster.run(&["list", "list/"]);
    let mut keys: Vec<&str> = listed.text().lines().collect();
    keys.sort_unstable();
    assert_eq!((listed.status, keys), (Some(0), vec!["list/a", "list/b"]), "{listed:?}");
    let entry = cluster.run(&["list", "list/b", "--json", "--values"]);
    let entry: Value = serde_json::from_slice(&entry.stdout).unwrap();
    assert_eq!((&entry["key"], &entry["value"], &entry["bytes"]), (&"list/b".into(), &"x".into(), &1.into()));
    assert_eq!(cluster.run(&["list", "none"]).stdout, b"");
}

fn transactions_are_executed(cluster: &Cluster) {
    let take = r#"{"compare":[{"key":"txn","exists":false}],"then":[{"put":{"key":"txn","value":"mine"}}],"else":[{"get":{"key":"txn"}}]}"#;
    let first = cluster.run(&["txn", take]);
    assert_eq!(first.status, Some(0), "{first:?}");
    let second = run_with_input(["txn", "--config", text(&cluster.file(2))], take.as_bytes());
    assert_eq!(second.status, Some(1), "{second:?}");
    let told: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!((&told["succeeded"], &told["results"][0]["get"]["value"]), (&false.into(), &"mine".into()));
    let wrong = cluster.run(&["txn", r#"{"then":[{"get":{}}]}"#]);
    assert!(wrong.status == Some(3) && wrong.stderr.contains("then[0]: it names no key"), "{wrong:?}");
}

/// A change is told by every server in the same words, and a watch resumes at any of them.
fn changes_are_watched(cluster: &Cluster) -> Running {
    let config = cluster.file(1);
    let mut live = Running::start(["watch", "watch/", "--heartbeats", "--config", text(&config)]);
    let begun = live.wait_for("\"kind\":\"heartbeat\"");
    let begun: Value = serde_json::from_str(&begun).unwrap();
    let after = begun["id"].as_str().unwrap();
    for (key, value) in [("watch/a", "1"), ("other", "2"), ("watch/b", "3")] {
        assert_eq!(cluster.run(&["put", key, value]).status, Some(0));
    }
    assert_eq!(cluster.run(&["del", "watch/a"]).status, Some(0));
    live.wait_for("\"kind\":\"delete\"");
    let watch = |server, after: &str, count| {
        let url = cluster.url(server);
        let told = run(["watch", "watch/", "--values", "--after", after, "--count", count, "--at", &url]);
        assert_eq!(told.status, Some(0), "{told:?}");
        told.text().to_owned()
    };
    let first = watch(1, after, "3");
    let lines: Vec<Value> = first.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<_> =
        lines.iter().map(|line| (line["kind"].as_str().unwrap(), line["key"].as_str().unwrap())).collect();
    assert_eq!(keys, [("set", "watch/a"), ("set", "watch/b"), ("delete", "watch/a")]);
    for server in 2..=SERVERS {
        assert_eq!(watch(server, after, "3"), first, "server {server}");
    }
    let rest: Vec<&str> = first.lines().skip(1).collect();
    let resumed = watch(2, lines[0]["id"].as_str().unwrap(), "2");
    assert_eq!(resumed.lines().collect::<Vec<_>>(), rest);
    let gone = run(["watch", "--from", "1", "--at", &cluster.url(3)]);
    assert!(gone.status == Some(1) && gone.stderr.contains("not kept"), "{gone:?}");
    live
}

fn the_status_tells_of_all(cluster: &Cluster) {
    let table = cluster.run(&["status"]);
    assert_eq!(table.status, Some(0), "{table:?}");
    let rows = |role| table.text().lines().filter(|line| line.contains(role)).count();
    assert_eq!(
        rows("leader  ") + rows("follower  "),
        1 + SERVERS as usize * usize::from(GROUPS),
        "{}",
        table.text()
    );

    let document: Value = serde_json::from_slice(&cluster.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(document["agree"], true);
    for (i, row) in document["servers"].as_array().unwrap().iter().enumerate() {
        assert_eq!(row["status"]["server"], i as u64 + 1);
        assert_eq!(row["status"]["local"].as_array().unwrap().len(), usize::from(GROUPS));
    }
}

fn clients_fail_over(mut cluster: Cluster, mut live: Running) {
    let (status, said) = cluster.servers.remove(0).end_with(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("has stopped cleanly"), "{said}");

    // The first address no longer answers; the others elect new leaders.
    let written = cluster.run_when_ready(&["put", "greeting", "still here"]);
    assert_eq!(written.status, Some(0), "{written:?}");
    assert_eq!(cluster.run_when_ready(&["get", "greeting"]).stdout, b"still here");
    live.wait_for("going on at the next server");
    assert_eq!(cluster.run(&["put", "watch/c", "4"]).status, Some(0));
    live.wait_for("\"key\":\"watch/c\"");
    let status = cluster.run(&["status"]);
    assert_eq!(status.status, Some(4), "whether the one that is gone agrees is unknown: {status:?}");
    assert!(status.text().contains("unreachable: nothing listens there"), "{}", status.text());
    let alone = run(["status", "--at", &cluster.url(1)]);
    assert_eq!(alone.status, Some(1), "none answers");

    // It comes back with its data, and catches up.
    let mut back = cluster.serve(1);
    back.wait_for("server 1 serves");
    cluster.servers.insert(0, back);
    let read = ["get", "greeting", "--at", &cluster.url(1)].map(str::to_owned);
    let caught_up = (0..100).any(|_| {
        let finished = run(&read);
        finished.stdout == b"still here" || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    });
    assert!(caught_up);
    for server in cluster.servers {
        let (status, said) = server.end_with(Signal::INT);
        assert_eq!(status.code(), Some(0), "{said}");
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let cluster = Cluster::start(SERVERS, GROUPS);
    // Other ports, so that they share only the data directory.
    let file = std::fs::read_to_string(cluster.file(1)).unwrap();
    let (own, members) = file.split_once("[[members]]").unwrap();
    let own: Vec<_> = own
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((port @ ("http" | "redis"), _)) => format!("{port} = \"127.0.0.1:0\""),
            _ => line.to_owned(),
        })
        .collect();
    let twin = cluster.dir.path().join("twin.toml");
    std::fs::write(&twin, own.join("\n") + "\n[[members]]" + members).unwrap();
    let refused = run(["serve", "--config", text(&twin)]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("error: server 1 cannot start"), "{}", refused.stderr);
    assert!(refused.stderr.contains("data-1"), "{}", refused.stderr);
    // The first one is unharmed.
    assert_eq!(cluster.run_when_ready(&["put", "k", "v"]).status, Some(0));
}
