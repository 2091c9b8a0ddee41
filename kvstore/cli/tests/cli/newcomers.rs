//! What is taken for a newcomer, or for a member that has moved, and what is not: a wrong address or a lost disk must never cost
//! a cluster its quorum, nor found a second one.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;

use crate::members::{join, members, new_member, patiently};
use crate::process::{Finished, Running, run};
use crate::servers::{Cluster, free_block, text};

/// A copy of a server's file in which one address is another one.
fn with_address(file: &Path, from: &str, to: &str) -> PathBuf {
    let changed = file.with_extension("changed.toml");
    let whole = fs::read_to_string(file).unwrap();
    assert!(whole.contains(from), "{from} is in {whole}");
    fs::write(&changed, whole.replace(from, to)).unwrap();
    changed
}

fn group_address(file: &Path) -> String {
    let config = ConfigFile::read(file).unwrap().server.engine;
    let own = config.members.iter().find(|member| member.server == config.server).unwrap();
    own.addresses[0].clone()
}

fn assert_refused(finished: &Finished, why: &str) {
    assert!(finished.status == Some(3) && finished.stderr.contains(why), "{why}: {finished:?}");
    assert!(finished.stderr.contains("nothing has changed"), "{finished:?}");
}

#[test]
fn only_the_server_itself_is_found_at_its_addresses() {
    let mut cluster = Cluster::start(1, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    let two = new_member(&cluster, 2);
    let waiting = join(&cluster, &two);
    let (own, first) = (group_address(&two), group_address(&cluster.file(1)));

    let add = |file: &Path| patiently(&cluster, &["member", "add", "--file", text(file)]);
    assert_refused(&add(&with_address(&two, &own, &first)), &format!("server 1 is at {first}, not server 2"));
    let http = ConfigFile::read(cluster.file(1)).unwrap().server.front.http.to_string();
    let refused = add(&with_address(&two, &own, &http));
    assert_refused(&refused, &format!("server 2 is not found at {http}: another program answers there"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let refused = add(&with_address(&two, &own, &at));
    assert_refused(&refused, &format!("server 2 is not found at {at}: somebody listens there"));
    drop(silent);
    assert_refused(&add(&with_address(&two, &own, &at)), &format!("server 2 is not found at {at}: "));

    // A server of another cluster, though it runs and has the id.
    let other = Cluster::start(2, 1);
    assert_eq!(other.run_when_ready(&["put", "key", "other"]).status, Some(0));
    assert_refused(&add(&other.file(2)), "the servers belong to different clusters");

    assert_eq!(members(&patiently(&cluster, &["member", "add", "--file", text(&two), "--json"])), [1, 2]);
    cluster.servers.push(waiting);

    // One wrong digit, and neither of two servers would go on.
    for (id, file) in [("1", cluster.file(1)), ("2", two)] {
        let now = group_address(&file);
        let update = ["member", "update", "--id", id, "--addresses", &at, "--timeout", "60"];
        assert_refused(&cluster.run(&update), &format!("server {id} is not found at {at}"));
        let moved = cluster.run(&["member", "update", "--id", id, "--addresses", &now, "--weight", "70"]);
        assert_eq!(moved.status, Some(0), "what stays is fine: {moved:?}");
    }
    assert_eq!(cluster.run(&["get", "key"]).text().trim(), "value");
    let own = |file: &Path| ConfigFile::read(file).unwrap().server.front.http.to_string();
    for (http, why) in
        [(own(&cluster.file(1)), "server 1 answers at"), (at.clone(), "server 2 does not answer at")]
    {
        let refused = cluster.run(&["member", "update", "--id", "2", "--http", &http]);
        assert!(refused.status == Some(3) && refused.stderr.contains(why), "{refused:?}");
    }
    let two = cluster.dir.path().join("server-2.toml");
    let one_for_both = group_address(&two);
    let refused = cluster.run(&["member", "update", "--id", "2", "--transfer", &one_for_both]);
    assert_refused(&refused, "server 2 has one address for several purposes");
    let elsewhere = ["member", "add", "--id", "2", "--addresses", &at, "--transfer", "127.0.0.1:1"];
    let again = cluster.run(&elsewhere);
    assert!(again.status == Some(3) && again.stderr.contains("with other addresses"), "{again:?}");
}

/// A server that is to join founds nothing, and one whose data is lost is not taken for a newcomer.
#[test]
fn an_empty_directory_is_no_second_cluster() {
    let mut cluster = Cluster::start(3, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    let four = new_member(&cluster, 4);
    let alone = run(["serve", "--config", text(&four)]);
    assert!(
        alone.status == Some(1) && alone.stderr.contains("start it with `niagara serve --join"),
        "{alone:?}"
    );
    let newcomer = join(&cluster, &four);
    assert_eq!(
        members(&patiently(&cluster, &["member", "add", "--file", text(&four), "--json"])),
        [1, 2, 3, 4]
    );
    newcomer.end_with(Signal::KILL);
    fs::remove_dir_all(cluster.dir.path().join("data-4")).unwrap();
    let alone = run(["serve", "--config", text(&four)]);
    assert!(alone.status == Some(1) && alone.stderr.contains("it has lost its data"), "{alone:?}");
    let joins = run(["serve", "--config", text(&four), "--join", &cluster.url(1)]);
    assert!(joins.status == Some(1) && joins.stderr.contains("has lost its data"), "{joins:?}");

    // One that founded the cluster is told by those that have gone on without its data.
    cluster.servers.remove(2).end_with(Signal::KILL);
    fs::remove_dir_all(cluster.dir.path().join("data-3")).unwrap();
    let mut third = cluster.serve(3);
    third.wait_for("server 3 has another log than the one that server");
}

/// Two of three founders have lost their data: they are a majority that knows nothing.
#[test]
fn a_majority_that_has_lost_its_data_founds_nothing() {
    let mut cluster = Cluster::start(3, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    for server in [3, 2] {
        cluster.servers.remove(server - 1).end_with(Signal::KILL);
        fs::remove_dir_all(cluster.dir.path().join(format!("data-{server}"))).unwrap();
    }
    for _ in 0..2 {
        let mut empty = [2, 3].map(|server| cluster.serve(server));
        for running in &mut empty {
            running.wait_for("has another log than the one that server 1 knows");
        }
        for server in [2, 3] {
            let lost = run(["put", "key", "other", "--timeout", "3", "--at", &cluster.url(server)]);
            assert_ne!(lost.status, Some(0), "{lost:?}");
            let read = run(["get", "key", "--timeout", "3", "--at", &cluster.url(server)]);
            assert!(!read.stderr.contains("does not exist"), "{read:?}");
        }
        // Another start makes them no wiser.
        empty.into_iter().for_each(|server| drop(server.end_with(Signal::KILL)));
    }
}

/// What the command prints, step by step.
#[test]
fn a_newcomer_of_a_cluster_with_certificates_gets_one() {
    let cluster = Cluster::start_with(1, 1, &["--tls"]);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    let (dir, port) = (cluster.dir.path().to_str().unwrap(), free_block().to_string());
    let written = cluster.run(&["new-member", "--dir", dir, "--base-port", &port]);
    assert_eq!(written.status, Some(0), "{written:?}");
    let steps = written.text().lines().filter_map(|line| line.strip_prefix("  niagara "));
    let steps: Vec<Vec<&str>> = steps.map(|step| step.split(' ').collect()).collect();
    let [issue, serve, add] = &steps[..] else { panic!("{written:?}") };

    let early = run(serve.iter().copied());
    assert!(early.status == Some(1) && early.stderr.contains("server-2.pem"), "{early:?}");
    assert_eq!(run(issue.iter().copied()).status, Some(0));
    let mut second = Running::start(serve.iter().copied());
    second.wait_for("server 2 is no member yet");
    let added = run(add.iter().copied().chain(["--json", "--timeout", "60"]));
    assert_eq!(members(&added), [1, 2]);
    second.wait_for("server 2 serves");
}

/// A file without `joins`, as earlier releases wrote it, started without --join.
#[test]
fn a_cluster_of_its_own_does_not_join() {
    let cluster = Cluster::start(1, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    let file = with_address(&new_member(&cluster, 2), "joins = true", "");
    let mut founder = Running::start(["serve", "--config", text(&file)]);
    founder.wait_for("server 2 serves");
    founder.end_with(Signal::TERM);
    let joins = run(["serve", "--config", text(&file), "--join", &cluster.url(1)]);
    assert!(
        joins.status == Some(1) && joins.stderr.contains("holds a cluster of server 2 alone"),
        "{joins:?}"
    );
    assert!(joins.stderr.contains("move the directory away"), "{joins:?}");
}
