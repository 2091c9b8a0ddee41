//! Servers that must not run: each is refused, and told why and what to do.

use std::fs;
use std::process::{Command, Output};

use niagara_engine::Reads;
use niagara_tests::binary::niagara;
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, wait};

/// Proves that two processes never write one data directory: the second says that it is in use, and the first goes on.
#[test]
fn a_second_server_on_one_data_directory() {
    let mut cluster = ClusterPlan::new(1, 2).start();
    let refused = serve(&cluster, 1);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let dir = cluster.data_dir(1);
    for words in ["is in use by another server", "stop that one first", dir.to_str().unwrap()] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert_serves(&cluster, &[1], "after");
    cluster.stop(1);
    // The lock is gone with its holder.
    cluster.restart(1);
    assert_serves(&cluster, &[1], "again");
}

/// Proves that a server which has lost its data does not come back under its old id: it has forgotten how it voted and
/// what it acknowledged. Its peers refuse it, it says so, and the others go on, whoever of them restarts meanwhile.
#[test]
fn a_server_that_has_lost_its_data() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    assert_serves(&cluster, &[1, 2, 3], "before");
    cluster.stop(3);
    fs::remove_dir_all(cluster.data_dir(3)).unwrap();
    cluster.launch(3);
    await_log(&cluster, 3, "has another log than the one that server 1 knows");
    await_log(&cluster, 3, "has another log than the one that server 2 knows");
    await_log(&cluster, 3, "leave it stopped, and replace it by one with an id that was never used");
    assert_serves(&cluster, &[1, 2], "while it is refused");

    // What the others know is on their disks.
    let seen = cluster.log(1).len();
    cluster.stop(1);
    cluster.restart(1);
    wait::until("server 1 to refuse it again", || {
        cluster.log(1)[seen..].contains("than the one that server 1 knows").then_some(())
    });
    assert_serves(&cluster, &[1, 2], "after a restart");
    let ready = cluster.http(3).request("GET", "/readyz", &[], b"").unwrap();
    assert_eq!(ready.status, 503, "it serves nothing: {}", ready.text());
    assert_ne!(
        cluster.http(3).get("key", "strong").unwrap().status,
        404,
        "it must not say that there is no such key"
    );
    cluster.stop(3);
}

/// Proves that a configuration with another cluster's id is refused, by the data directory if there is one,
#[test]
fn a_configuration_of_another_cluster() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    cluster.stop(3);
    let text = fs::read_to_string(cluster.config(3)).unwrap();
    let id = text.lines().find(|line| line.starts_with("cluster = ")).expect("the cluster's id");
    fs::write(cluster.config(3), text.replace(id, "cluster = \"0123456789abcdef\"")).unwrap();

    let refused = serve(&cluster, 3);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    for words in ["belongs to server 3 of cluster", "0123456789abcdef", "correct one of the two"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }

    // and by the other servers if it starts on an empty one.
    fs::remove_dir_all(cluster.data_dir(3)).unwrap();
    cluster.launch(3);
    // Its certificate names the cluster, too.
    let words = match Cluster::have_certificates() {
        true => "the servers do not trust each other's certificates",
        false => "the servers belong to different clusters",
    };
    await_log(&cluster, 3, words);
    assert_serves(&cluster, &[1, 2], "meanwhile");
}

/// Runs a server that is expected to end by itself.
fn serve(cluster: &Cluster, server: u64) -> Output {
    Command::new(niagara()).args(["serve", "--config"]).arg(cluster.config(server)).output().unwrap()
}

fn await_log(cluster: &Cluster, server: u64, words: &str) {
    wait::until(&format!("server {server} to log {words:?}"), || {
        cluster.log(server).contains(words).then_some(())
    });
}

/// A write through each of these servers that all of them show.
fn assert_serves(cluster: &Cluster, servers: &[u64], value: &str) {
    for server in servers {
        let [mut http, _] = Client::both(cluster.endpoint(*server));
        let text = format!("{value}, by {server}");
        wait::until("a write to be acknowledged", || {
            (http.set("key", text.as_bytes()) == Answer::Done(())).then_some(())
        });
        for reader in servers {
            let [_, mut redis] = Client::both(cluster.endpoint(*reader));
            assert_eq!(redis.get("key"), Answer::Done(Some(text.clone().into_bytes())));
        }
    }
}

/// Proves that a server which reads by leases does not join a cluster that does not, and that `?read=lease` is refused there,
/// with the way out; and that it joins once the files agree.
#[test]
fn a_server_with_another_setting_of_reads() {
    let mut cluster = ClusterPlan::new(3, 1).start();
    let mut http = cluster.http(1);
    let answer = http.get("key", "lease").expect("a running server answers");
    assert_eq!(answer.status, 400);
    let text = answer.text();
    assert!(text.contains("no_leases") && text.contains("reads = "), "{text}");

    cluster.stop(3);
    cluster.configure_reads(3, Reads::Lease);
    cluster.launch(3);
    wait::until("the others to say why", || {
        let alarms = cluster.status(1).alarms.join(" ");
        let says_why = alarms.contains("leases differ") && alarms.contains("server 3 promises of 500 ms");
        says_why.then_some(())
    });
    assert_serves(&cluster, &[1, 2], "without it");
    cluster.stop(3);
    cluster.configure_reads(3, Reads::Quorum);
    cluster.restart(3);
    assert_serves(&cluster, &[1, 2, 3], "together");
}
