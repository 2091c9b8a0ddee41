//! `niagara recover`: a cluster is killed under load and loses a server's directory for good.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Finished, run};
use crate::servers::{Cluster, text};

/// How many writes each writer has acknowledged before the servers are killed.
const ENOUGH: u64 = 300;

fn redis(cluster: &Cluster, server: u64) -> SocketAddr {
    ConfigFile::read(cluster.file(server)).unwrap().server.front.redis
}

/// Writes one key after the other at a server until it ends. Returns how many writes were acknowledged.
fn write(at: SocketAddr, server: u64, enough: impl FnOnce() + Send + 'static) -> JoinHandle<u64> {
    thread::spawn(move || {
        let stream = TcpStream::connect(at).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut enough = Some(enough);
        for number in 0.. {
            let command = format!("SET {server}:{number} value-{number}\r\n");
            let mut answer = String::new();
            let asked = (&stream).write_all(command.as_bytes()).and_then(|()| answers.read_line(&mut answer));
            if asked.is_err() || answer != "+OK\r\n" {
                return number;
            }
            if number + 1 == ENOUGH
                && let Some(enough) = enough.take()
            {
                enough();
            }
        }
        unreachable!("there are always more numbers")
    })
}

/// Kills all servers under load. Returns how many writes each has acknowledged.
fn kill_under_load(cluster: &mut Cluster) -> Vec<u64> {
    assert_eq!(cluster.run_when_ready(&["put", "before", "the load"]).status, Some(0));
    let (tell, told) = std::sync::mpsc::channel();
    let writers: Vec<_> = (1..=3)
        .map(|server| {
            let tell = tell.clone();
            write(redis(cluster, server), server, move || tell.send(()).unwrap())
        })
        .collect();
    (0..3).for_each(|_| told.recv().unwrap());
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });
    writers.into_iter().map(|writer| writer.join().unwrap()).collect()
}

fn document(finished: &Finished) -> Value {
    assert_eq!(finished.status, Some(0), "{finished:?}");
    serde_json::from_slice(&finished.stdout).unwrap()
}

#[test]
fn no_acknowledged_write_is_lost_with_two_directories_of_three() {
    let mut old = Cluster::start_with(3, 2, &["--durability", "os"]);
    let acknowledged = kill_under_load(&mut old);
    fs::remove_dir_all(old.dir.path().join("data-2")).unwrap();
    let data = |server: u64| old.dir.path().join(format!("data-{server}")).to_str().unwrap().to_owned();
    let (one, three) = (data(1), data(3));

    // A look makes nothing, and one directory is not enough.
    let look = run(["recover", "--from", &one, "--from", &three]);
    assert_eq!(look.status, Some(0), "{look:?}");
    assert!(look.text().contains("complete: any majority"), "{}", look.text());
    let alone = document(&run(["recover", "--from", &one, "--json"]));
    assert_eq!((&alone["complete"], &alone["begins_after"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(alone["missing"], serde_json::json!([2, 3]));

    let mut new = Cluster::prepare(3, 3);
    let files = [1, 2, 3].map(|server| text(&new.file(server)).to_owned());
    let into = files.iter().flat_map(|file| ["--into", file]);
    let refused = run(["recover", "--from", &one].into_iter().chain(into.clone()));
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("nothing was made") && refused.stderr.contains("--accept-loss"));
    assert!(!new.dir.path().join("data-1").exists());

    let made = run(["recover", "--from", &one, "--from", &three, "--json"].into_iter().chain(into));
    let audited = made.stderr.lines().find(|line| line.contains("recover a cluster from"));
    let audited = audited.unwrap_or_else(|| panic!("the audit tells nothing: {}", made.stderr));
    assert!(
        audited.contains(" audit: ") && audited.contains("position=") && audited.contains("uid "),
        "{audited}"
    );
    let made = document(&made);
    assert!(made["begins_after"].as_u64().unwrap() >= acknowledged.iter().sum(), "{made}");
    for server in 1..=3 {
        let mut running = new.serve(server);
        running.wait_for(&format!("server {server} serves: HTTP at "));
        new.servers.push(running);
    }
    assert_eq!(new.run_when_ready(&["get", "before"]).stdout, b"the load");
    let mut stream = TcpStream::connect(redis(&new, 2)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for (server, count) in (1..).zip(acknowledged) {
        for number in 0..count {
            stream.write_all(format!("GET {server}:{number}\r\n").as_bytes()).unwrap();
            let mut value = String::new();
            for _ in 0..2 {
                value.clear();
                answers.read_line(&mut value).unwrap();
            }
            assert_eq!(value.trim(), format!("value-{number}"), "{server}:{number} of {count}");
        }
    }
    assert_eq!(new.run(&["put", "after", "the loss"]).status, Some(0));
}

#[test]
fn a_removed_server_s_directory_does_not_tell_what_came_after() {
    let mut cluster = Cluster::start_with(2, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "before", "it left"]).status, Some(0));
    let removed = cluster.run(&["member", "remove", "--id", "2", "--timeout", "60"]);
    assert_eq!(removed.status, Some(0), "{removed:?}");
    let mut second = cluster.servers.remove(1);
    second.wait_for("server 2 has stopped: it was removed");
    assert_eq!(cluster.run_when_ready(&["put", "after", "it left"]).status, Some(0));
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });

    let data = [1, 2].map(|server| cluster.dir.path().join(format!("data-{server}")));
    let [one, two] = data.each_ref().map(|dir| text(dir));
    let look = run(["recover", "--from", two]);
    assert_eq!(look.status, Some(0), "{look:?}");
    let told = "epoch 2 has begun, with servers 1: server 2 was told that it is no member any more";
    assert!(look.text().contains(told), "{}", look.text());
    assert!(
        look.text().contains("not complete: what the cluster has acknowledged in a later epoch is missing")
    );
    let alone = document(&run(["recover", "--from", two, "--json"]));
    let next = serde_json::json!([{"epoch": 2, "members": [1], "directories": 0, "ruled_out": false}]);
    assert_eq!((&alone["complete"], &alone["next_epochs"]), (&Value::Bool(false), &next));

    let new = Cluster::prepare(1, 1);
    let file = new.file(1);
    let refused = run(["recover", "--from", two, "--into", text(&file)]);
    assert!(refused.status == Some(1) && refused.stderr.contains("nothing was made"), "{refused:?}");
    let made = document(&run(["recover", "--from", two, "--from", one, "--into", text(&file), "--json"]));
    assert_eq!((&made["complete"], &made["next_epochs"]), (&Value::Bool(true), &serde_json::json!([])));
}

#[test]
fn a_running_server_s_directory_and_one_that_is_none_are_refused() {
    let cluster = Cluster::start(1, 1);
    let data = cluster.dir.path().join("data-1");
    let in_use = run(["recover", "--from", text(&data)]);
    assert_eq!(in_use.status, Some(1), "{in_use:?}");
    assert!(in_use.stderr.contains("in use by another server: stop that one first"), "{}", in_use.stderr);
    let none = run(["recover", "--from", text(cluster.dir.path())]);
    assert_eq!(none.status, Some(1), "{none:?}");
    assert!(none.stderr.contains("is not a server's data directory"), "{}", none.stderr);
    assert_eq!(run(["recover"]).status, Some(2), "no directory");
    let nowhere = run(["recover", "--from", text(&cluster.dir.path().join("data-9"))]);
    assert!(nowhere.status == Some(1) && nowhere.stderr.contains("there is no directory"), "{nowhere:?}");
}

#[test]
fn what_is_given_twice_is_refused_as_a_wrong_command_line() {
    let cluster = Cluster::prepare(1, 1);
    let data = cluster.dir.path().join("data-1");
    fs::create_dir(&data).unwrap();
    let link = cluster.dir.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    for again in [&data, &data.join(""), &link] {
        let twice = run(["recover", "--from", text(&data), "--from", text(again)]);
        assert_eq!(twice.status, Some(2), "{twice:?}");
        assert!(twice.stderr.contains("given twice"), "{}", twice.stderr);
    }
    let file = cluster.file(1);
    let twice = run(["recover", "--from", text(&data), "--into", text(&file), "--into", text(&file)]);
    assert!(twice.status == Some(2) && twice.stderr.contains("server-1.toml is given twice"), "{twice:?}");
}
