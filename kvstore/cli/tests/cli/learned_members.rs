//! Clients that know one server find the others, and go on when that one is no member any more.

use crate::process::{Running, run};
use crate::servers::Cluster;

#[test]
fn clients_go_on_when_the_only_server_that_they_named_was_removed() {
    let mut cluster = Cluster::start_with(3, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "watched", "1"]).status, Some(0));
    let at = cluster.url(3);
    let client: niagara_client::Cluster = at.parse().unwrap();
    let mut watch = Running::start(["watch", "watched", "--values", "--heartbeats", "--at", &at]);
    watch.wait_for("\"kind\":\"heartbeat\"");
    for value in ["2", "3"] {
        client.put(b"watched", value.as_bytes()).unwrap();
    }
    let members = client.endpoints();
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    assert_eq!(members, [&at, &cluster.url(1), &cluster.url(2)].map(String::as_str));

    let removed = run(["member", "remove", "--id", "3", "--timeout", "60", "--at", &at]);
    assert_eq!(removed.status, Some(0), "{removed:?}");
    let mut third = cluster.servers.remove(2);
    third.wait_for("server 3 has stopped: it was removed");
    drop(third);
    client.put(b"watched", b"4").unwrap();
    client.put(b"watched", b"5").unwrap();
    assert_eq!(client.get(b"watched").unwrap().unwrap().value, b"5");
    for value in ["2", "3", "4", "5"] {
        watch.wait_for(&format!("\"value\":\"{value}\""));
    }
    // It is too late for those that begin now.
    assert_eq!(run(["get", "watched", "--at", &at]).status, Some(3));
}
