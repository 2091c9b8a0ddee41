//! Commands recognise a port that is not meant for them, say so, and send nothing there that matters.

use std::fs;

use crate::process::{Finished, run, run_with_input};
use crate::servers::{Cluster, free_address, text};

/// A server's addresses by protocol.
struct Ports {
    http: String,
    redis: String,
    peers: Vec<String>,
}

fn ports(cluster: &Cluster, server: u64) -> Ports {
    let file = niagara_kvstore::config::ConfigFile::read(cluster.file(server)).unwrap().server;
    let own = file.engine.members.iter().find(|member| member.server == server).unwrap();
    let peers = own.addresses.iter().chain([&own.transfer]).cloned().collect();
    Ports { http: file.front.http.to_string(), redis: file.front.redis.to_string(), peers }
}

fn refused(finished: &Finished, words: &str, what: &[&str]) {
    assert!(finished.status.is_some_and(|status| status != 0 && status != 4), "{what:?}: {finished:?}");
    assert!(finished.stderr.contains(words) || finished.text().contains(words), "{what:?}: {finished:?}");
}

#[test]
fn each_command_recognises_a_port_for_others() {
    let cluster = Cluster::start(1, 2);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    let Ports { http, redis, peers } = ports(&cluster, 1);
    let http_commands: [&[&str]; 6] = [
        &["get", "key"],
        &["put", "key", "other"],
        &["put", "key", "other", "--if-absent"],
        &["del", "key"],
        &["status"],
        &["snapshot", "now"],
    ];
    for command in http_commands {
        let at = |address: &str| run(command.iter().copied().chain(["--at", address]));
        refused(&at(&redis), "Redis protocol", command);
        for peer in &peers {
            refused(&at(peer), "without a reply", command);
        }
        // The next address is tried.
        let all = [&redis, &peers[0], &http].map(String::as_str).join(",");
        if command[0] == "get" {
            assert_eq!(at(&all).stdout, b"value");
        }
    }
    assert_eq!(cluster.run(&["get", "key"]).stdout, b"value", "nothing was sent anywhere");
    let written = run(["put", "key", "new", "--at", &[redis.as_str(), &peers[0], &http].join(",")]);
    assert_eq!(written.status, Some(0), "{written:?}");

    let import = |address: &str| run_with_input(["snapshot", "import", "-", "--merge", "--at", address], b"");
    assert_eq!(import(&redis).status, Some(0));
    refused(&import(&http), "this is a port for HTTP", &["import"]);
    for peer in &peers {
        refused(&import(peer), "name a server's Redis port", &["import"]);
    }
}

#[test]
fn one_address_finds_all_servers() {
    let mut cluster = Cluster::start(3, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
    // Two of three servers acknowledge a write. All can be compared only once the third has executed it, too.
    assert_eq!(cluster.run_when_ready(&["status"]).status, Some(0));
    for server in 1..=3 {
        let status = run(["status", "--json", "--at", &cluster.url(server)]);
        assert_eq!(status.status, Some(0), "{status:?}");
        let document: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        let servers = document["servers"].as_array().unwrap();
        let ids: Vec<_> = servers.iter().map(|row| row["status"]["server"].as_u64()).collect();
        assert_eq!(ids, [Some(1), Some(2), Some(3)], "{document}");
    }
    // Another name of the machine adds no server twice.
    let port = cluster.url(1).rsplit_once(':').unwrap().1.to_owned();
    let status = run(["status", "--at", &format!("http://localhost:{port}")]);
    assert_eq!(status.text().matches("\nserver ").count(), 3, "{status:?}");

    // A server that does not answer is named.
    let gone = cluster.url(3);
    drop(cluster.servers.pop());
    let status = run(["status", "--at", &cluster.url(1)]);
    assert!(status.text().contains(&format!("{gone}: unreachable: nothing listens there")), "{status:?}");
}

fn serve(cluster: &Cluster, change: impl Fn(String) -> String) -> Finished {
    let path = cluster.dir.path().join("changed.toml");
    fs::write(&path, change(fs::read_to_string(cluster.file(1)).unwrap())).unwrap();
    run(["serve", "--config", text(&path)])
}

#[test]
fn a_taken_port_is_named_with_the_setting_that_asks_for_it() {
    let cluster = Cluster::prepare(1, 2);
    let Ports { http, redis, peers } = ports(&cluster, 1);
    // One port for two purposes is noticed before anything is touched.
    let refused =
        serve(&cluster, |file| file.replace(&format!("redis = \"{redis}\""), &format!("redis = \"{http}\"")));
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("`redis`: ") && refused.stderr.contains("which `http` has"),
        "{refused:?}"
    );
    assert!(!cluster.dir.path().join("data-1").exists());
    for (address, setting) in [
        (&http, "the address is http in "),
        (&redis, "the address is redis in "),
        (&peers[0], "number 1 of this server's `groups`"),
        (&peers[1], "number 2 of this server's `groups`"),
        (&peers[2], "this server's `transfer`"),
    ] {
        let holder = std::net::TcpListener::bind(address.as_str()).unwrap();
        let refused = run(["serve", "--config", text(&cluster.file(1))]);
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(address.as_str()) && refused.stderr.contains(setting), "{refused:?}");
        assert!(refused.stderr.contains("another program has that port"), "{refused:?}");
        drop(holder);
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_says_why() {
    let cluster = Cluster::prepare(1, 1);
    let dir = cluster.dir.path();
    std::os::unix::fs::symlink(dir.join("unmounted"), dir.join("link")).unwrap();
    fs::write(dir.join("file"), "").unwrap();
    for (data_dir, said) in [
        ("link", "link is a symbolic link to "),
        ("link/data", "link is a symbolic link to "),
        ("file", "file is not a directory"),
        ("file/data", "file is not a directory"),
    ] {
        let refused = serve(&cluster, |file| {
            file.replace("data_dir = \"data-1\"", &format!("data_dir = \"{data_dir}\""))
        });
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(said), "{data_dir}: {refused:?}");
        assert!(
            refused.stderr.contains("`data_dir` in ") && !refused.stderr.contains("address"),
            "{refused:?}"
        );
        let made = run(["new-cluster", "--dir", text(&dir.join(data_dir))]);
        assert!(made.status == Some(1) && made.stderr.contains(said), "{data_dir}: {made:?}");
        let demo = run(["demo", "--seconds", "1", "--dir", text(&dir.join(data_dir))]);
        assert!(demo.status == Some(1) && demo.stderr.contains(said), "{data_dir}: {demo:?}");
    }
    let nowhere = run(["get", "k", "--at", &free_address()]);
    assert!(nowhere.stderr.contains("nothing listens there"), "{nowhere:?}");
}

#[test]
fn what_is_printed_to_be_pasted_can_be_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let strange = dir.path().join("it's a $HOME; dir");
    let made = run(["new-cluster", "--servers", "1", "--dir", text(&strange)]);
    assert_eq!(made.status, Some(0), "{made:?}");
    let pasted = made.text().lines().find(|line| line.contains("niagara serve")).unwrap();
    let script = format!("niagara() {{ printf %s \"$3\"; }}; {pasted}");
    let read = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert_eq!(String::from_utf8(read.stdout).unwrap(), text(&strange.join("server-1.toml")));
}
