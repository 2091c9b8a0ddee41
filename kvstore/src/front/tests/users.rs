//! Users, over real sockets.

use super::sockets::{Client, Server};
use super::subscribers::heard;

/// A client that has become a user with the password `secret`.
fn client_of(server: &Server, user: &str) -> Client {
    let mut client = server.redis();
    assert_eq!(client.ask(&format!("AUTH {user} secret")), "+OK");
    client
}

fn subscriber_of(server: &Server, user: &str, channel: &str) -> Client {
    let mut client = client_of(server, user);
    assert_eq!(client.ask(&format!("SUBSCRIBE {channel}")), "*3");
    (0..5).for_each(|_| drop(client.line()));
    client
}

/// All lines of the replies to some requests.
fn told(client: &mut Client, requests: &str) -> String {
    client.send(format!("{requests}\r\nECHO that-is-all\r\n"));
    let mut told = String::new();
    loop {
        match client.line() {
            line if line == "that-is-all" => return told,
            line => told = told + &line + "\n",
        }
    }
}

#[test]
fn a_subscriber_who_loses_the_channel_hears_no_more() {
    let server = Server::start(2, 100);
    let mut operator = server.redis();
    for user in ["alice", "bob", "carol"] {
        let rules = "on >secret +@pubsub &news";
        assert_eq!(operator.ask(&format!("ACL SETUSER {user} {rules}")), "+OK");
    }
    let [mut alice, mut bob, mut carol] =
        ["alice", "bob", "carol"].map(|user| subscriber_of(&server, user, "news"));
    assert_eq!(operator.ask("PUBLISH news 1"), ":3");
    // Rights count when a message is handed out, which may be after the change of a later command.
    for subscriber in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(heard(subscriber), "1");
    }
    assert_eq!(operator.ask("ACL SETUSER alice resetchannels &other"), "+OK");
    assert_eq!(operator.ask("ACL DELUSER bob"), ":1");
    assert_eq!(operator.ask("PUBLISH news 2"), ":3");
    for lost in [&mut alice, &mut bob] {
        assert_eq!(lost.rest(), "");
    }
    assert_eq!(heard(&mut carol), "2");
}

#[test]
fn the_log_of_refusals_tells_who_wanted_what_and_repeats_no_password() {
    let server = Server::start(1, 100);
    let mut operator = server.redis();
    assert_eq!(operator.ask("ACL SETUSER alice on >secret +get +echo ~a"), "+OK");
    let mut alice = client_of(&server, "alice");
    let refused = told(&mut alice, "GET b\r\nGET b\r\nFLUSHALL\r\nAUTH alice hunter2\r\nAUTH hunter2 alice");
    assert_eq!(refused.matches("-NOPERM").count(), 3, "{refused}");
    let log = told(&mut operator, "ACL LOG 100");
    assert!(!log.contains("hunter2"), "{log}");
    for part in [
        "reason\n$3\nkey\n$7\ncontext\n$8\ntoplevel\n$6\nobject\n$1\nb\n$8\nusername\n$5\nalice\n",
        "object\n$8\nflushall\n",
        "object\n$4\nAUTH\n$8\nusername\n$5\nalice\n",
        "object\n$4\nAUTH\n$8\nusername\n$9\n(unknown)\n",
        "user=alice",
        "count\n:2\n",
    ] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    assert_eq!(told(&mut operator, "ACL LOG RESET\r\nACL LOG"), "+OK\n*0\n$11\n");
    let password = told(&mut operator, "ACL GENPASS\r\nACL GENPASS 5");
    let lines: Vec<&str> = password.lines().collect();
    assert_eq!((lines[0], lines[1].len(), lines[2], lines[3].len()), ("$64", 64, "$2", 2));
}
