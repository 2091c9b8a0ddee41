//! Who has done what, in the log of a real server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;

use crate::process::{Running, run};
use crate::servers::Cluster;

#[test]
fn the_log_tells_who_has_done_what_whatever_else_it_tells() {
    let cluster = Cluster::prepare(1, 1);
    let file = cluster.file(1);
    let config = ConfigFile::read(&file).unwrap().server.front;
    // Of all other lines, errors alone are logged.
    let serve = ["serve", "--config", file.to_str().unwrap(), "--log", "error"];
    let mut server = Running::start(serve);
    server.wait_for("act=\"start server 1 by ");
    assert_eq!(cluster.run_when_ready(&["put", "k", "v"]).status, Some(0));

    let mut redis = TcpStream::connect(config.redis).unwrap();
    let mut replies = BufReader::new(redis.try_clone().unwrap());
    let mut ask = |command: &str| {
        redis.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        replies.read_line(&mut reply).unwrap();
        reply
    };
    assert_eq!(ask("ACL SETUSER alice on >hunter2 +@all ~*"), "+OK\r\n");
    assert!(ask("AUTH alice hunter3").starts_with("-WRONGPASS"));
    assert_eq!(ask("AUTH alice hunter2"), "+OK\r\n");
    assert_eq!(ask("FLUSHALL"), "+OK\r\n");
    let at = format!("http://{}", config.http);
    assert_eq!(run(["snapshot", "now", "--at", &at]).status, Some(0));
    for told in [
        "ACL SETUSER alice on #(password) +@all ~*",
        "failed login",
        "act=\"FLUSHALL\"",
        "ask for a snapshot",
    ] {
        server.wait_for(told);
    }
    let (status, all) = server.end_with(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(!all.contains("hunter"), "{all}");
    let flushed = all.lines().find(|line| line.contains("FLUSHALL")).unwrap();
    for part in [" INFO audit: ", "user=\"alice\"", "from=127.0.0.1", "position=", "outcome=done"] {
        assert!(flushed.contains(part), "{part} is not in {flushed}");
    }
    assert!(all.contains("act=\"stop server 1 (SIGTERM)\""), "{all}");
    assert!(!all.contains(" INFO niagara"), "{all}");
}
