//! `niagara serve --follow`: a server answers reads without a vote, and sends writes to members.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Finished, Running, run};
use crate::servers::{Cluster, free_block, text};

/// Writes the file of a server with an id of its own.
fn file(cluster: &Cluster, id: u64) -> PathBuf {
    let (id, port) = (id.to_string(), free_block().to_string());
    let dir = cluster.dir.path().to_str().unwrap();
    let written = cluster.run(&["new-member", "--id", &id, "--dir", dir, "--base-port", &port]);
    assert_eq!(written.status, Some(0), "{written:?}");
    cluster.file(id.parse().unwrap())
}

fn serve(cluster: &Cluster, id: u64, options: &[&str]) -> Running {
    let file = cluster.file(id);
    let mut server = Running::start(["serve", "--config", text(&file)].iter().chain(options));
    server.wait_for(&format!("server {id} serves: HTTP at "));
    server
}

fn open(at: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(at).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
}

/// The first line of the reply to a request of the Redis protocol.
fn redis(at: SocketAddr, request: &str) -> String {
    let mut connection = open(at);
    connection.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// The reply to a request over HTTP on a connection of its own.
fn http(at: SocketAddr, request: &str) -> String {
    http_with(at, request, "")
}

fn http_with(at: SocketAddr, request: &str, body: &str) -> String {
    let mut connection = open(at);
    let lines = format!("Host: {at}\r\nConnection: close\r\nContent-Length: {}", body.len());
    write!(connection, "{request} HTTP/1.1\r\n{lines}\r\n\r\n{body}").unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).unwrap();
    reply
}

fn get(cluster: &Cluster, id: u64, key: &str) -> String {
    let finished = run(["get", key, "--at", &cluster.url(id)]);
    assert_eq!(finished.status, Some(0), "{finished:?}");
    finished.text().trim().to_owned()
}

/// What `niagara status` says of a server.
fn status_of(finished: &Finished, id: u64) -> Value {
    let document: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let servers = document["servers"].as_array().unwrap();
    let of = |server: &&Value| server["status"]["server"] == id;
    servers.iter().find(of).unwrap_or_else(|| panic!("{finished:?}"))["status"].clone()
}

#[test]
fn a_follower_serves_reads_and_sends_writes_to_members() {
    let mut cluster = Cluster::start_with(3, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "greeting", "hello"]).status, Some(0));
    let nine = ConfigFile::read(file(&cluster, 9)).unwrap().server.front;
    let at = [1, 2, 3].map(|server| cluster.url(server));
    let mut follower = serve(&cluster, 9, &["--follow", &at.join(",")]);
    assert_eq!(get(&cluster, 9, "greeting"), "hello");
    for round in 0..20 {
        let value = round.to_string();
        assert_eq!(run(["put", "round", &value, "--at", &at[round % 3]]).status, Some(0));
        assert_eq!(get(&cluster, 9, "round"), value, "a strong read sees what was acknowledged");
    }

    // Writes are refused as by a replica, or sent to a member.
    let refused = redis(nine.redis, "SET round 0");
    assert!(refused.starts_with("-READONLY "), "{refused}");
    for timed in ["EXPIRE round 5", "SET round 0 EX 5", "EVAL 'return 1' 0"] {
        let refused = redis(nine.redis, timed);
        assert!(refused.starts_with("-READONLY "), "{timed}: {refused}");
    }
    assert_eq!(redis(nine.redis, "GET round"), "$2");
    let sent = http(nine.http, "PUT /kv/a%20b");
    assert!(sent.starts_with("HTTP/1.1 307 "), "{sent}");
    let location = sent.lines().find_map(|line| line.strip_prefix("Location: http://")).unwrap();
    let (member, path) = location.split_once('/').unwrap();
    assert_eq!(path, "kv/a%20b");
    let followed = http(member.parse().unwrap(), "PUT /kv/a%20b");
    assert!(followed.starts_with("HTTP/1.1 20"), "{followed}");
    for page in ["leaders", "groups", "level", "members"] {
        let sent = http_with(nine.http, &format!("POST /{page}"), "{}");
        assert!(sent.starts_with("HTTP/1.1 307 ") && sent.contains(&format!("/{page}\r\n")), "{sent}");
    }
    let roles = redis(nine.redis, "INFO replication");
    assert!(roles.starts_with('$'), "{roles}");

    // It watches.
    let mut watch = open(nine.http);
    write!(watch, "GET /watch?prefix=seen HTTP/1.1\r\nHost: {}\r\n\r\n", nine.http).unwrap();
    let mut lines = BufReader::new(watch).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(run(["put", "seen", "yes", "--at", &at[0]]).status, Some(0));
    assert!(lines.any(|line| line.contains("seen")));
    drop(lines);

    // It is compared with the others, and takes snapshots.
    let snapshot = run(["snapshot", "now", "--at", &cluster.url(9)]);
    assert_eq!(snapshot.status, Some(0), "{snapshot:?}");
    let all = at.iter().cloned().chain([cluster.url(9)]).collect::<Vec<_>>().join(",");
    let status = run(["status", "--json", "--at", &all]);
    assert_eq!(status.status, Some(0), "{status:?}");
    let own = status_of(&status, 9);
    assert_eq!(own["role"], "follower");
    assert!(own["follows"]["member"].as_u64().unwrap() >= 1, "{own}");
    assert_eq!(status_of(&status, 1)["followers"], serde_json::json!([9]));
    let report = run(["status", "--at", &all]);
    assert!(report.text().contains(", a follower of server "), "{report:?}");

    // The number of groups changes, and a member dies.
    let changed = cluster.run(&["groups", "set", "3", "--timeout", "60"]);
    assert_eq!(changed.status, Some(0), "{changed:?}");
    cluster.servers.remove(1).end_with(Signal::KILL);
    assert_eq!(run(["put", "round", "after", "--at", &format!("{},{}", at[0], at[2])]).status, Some(0));
    assert_eq!(get(&cluster, 9, "round"), "after");

    // Killed, it comes back with what it had; without the option, it is not what its directory says.
    follower.wait_for("follows the next epoch");
    follower.end_with(Signal::KILL);
    let mut as_member = Running::start(["serve", "--config", text(&cluster.file(9))]);
    as_member.wait_for("is that of a follower");
    drop(as_member);
    let own = cluster.file(9);
    let as_file = std::fs::read_to_string(&own).unwrap();
    let members = std::fs::read_to_string(cluster.file(1)).unwrap();
    let table = |text: &str| text.find("\n[[members]]\n").unwrap();
    let end = |text: &str| table(text) + text[table(text)..].find("\n[engine]").unwrap();
    let listed = &members[table(&members)..end(&members)];
    let rest = &as_file[end(&as_file)..];
    let as_file = format!("role = \"follower\"\n{}{listed}{rest}", &as_file[..table(&as_file)]);
    std::fs::write(&own, as_file).unwrap();
    let _follower = serve(&cluster, 9, &[]);
    assert_eq!(get(&cluster, 9, "round"), "after");
}
