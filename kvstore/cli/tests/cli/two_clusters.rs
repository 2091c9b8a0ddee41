//! A list of members is out of date: where one of them was, a server of another cluster is now.

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Running, run};
use crate::servers::{Cluster, text};

fn members(at: &str) -> Value {
    let listed = run(["member", "list", "--json", "--at", at]);
    serde_json::from_slice::<Value>(&listed.stdout).unwrap()["members"].clone()
}

/// A cluster of one server, with its HTTP port at `address`.
fn start_at(address: &str) -> (Cluster, Running) {
    let cluster = Cluster::prepare(1, 1);
    let file = std::fs::read_to_string(cluster.file(1)).unwrap();
    let own = cluster.url(1).strip_prefix("http://").unwrap().to_owned();
    std::fs::write(cluster.file(1), file.replace(&own, address)).unwrap();
    let mut server = Running::start(["serve", "--config", text(&cluster.file(1))]);
    server.wait_for("server 1 serves: HTTP at ");
    (cluster, server)
}

#[test]
fn a_server_of_another_cluster_is_not_changed_with_the_one_that_was_named() {
    let mut ours = Cluster::start_with(3, 1, &["--durability", "os"]);
    assert_eq!(ours.run_when_ready(&["put", "whose", "ours"]).status, Some(0));
    let (one, three) = (ours.url(1), ours.url(3));
    ours.servers.remove(2).end_with(Signal::KILL);
    let (theirs, _server) = start_at(three.strip_prefix("http://").unwrap());
    assert_eq!(theirs.run_when_ready(&["put", "whose", "theirs"]).status, Some(0));

    let status = run(["status", "--at", &one]);
    assert!(status.text().contains(&format!("{three}: is a server of another cluster, ")), "{status:?}");
    assert_eq!(status.status, Some(4), "whether server 3 agrees is unknown: {status:?}");
    let both = format!("{one},{three}");
    let status = run(["status", "--at", &both]);
    assert!(status.status == Some(1) && status.text().contains("different clusters"), "{status:?}");

    for change in
        [vec!["member", "remove", "--id", "1"], vec!["groups", "set", "2"], vec!["leaders", "--balance"]]
    {
        let refused = run(change.iter().chain(&["--at", &both]));
        assert_eq!(refused.status, Some(3), "{refused:?}");
        assert!(
            refused.stderr.contains(&format!("{one} and {three} are servers of different clusters")),
            "{refused:?}"
        );
    }
    let removed = run(["member", "remove", "--id", "3", "--timeout", "60", "--at", &one]);
    assert_eq!(removed.status, Some(0), "{removed:?}");
    assert!(removed.stderr.contains(&format!("note: {three} is left out: it is a server of")), "{removed:?}");
    assert_eq!((members(&one), members(&three)), ([1, 2].to_vec().into(), [1].to_vec().into()));
}
