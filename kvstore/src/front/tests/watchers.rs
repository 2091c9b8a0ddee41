//! Changes for watchers, over real sockets.

use std::io::Read;

use super::sockets::{Client, Server};

/// Watches keys with a prefix, as JSON lines without chunks, and waits until that has begun.
fn watcher(server: &Server, query: &str) -> Client {
    let mut client = server.http();
    client.send(format!("GET /watch?{query} HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n"));
    assert_eq!(client.line(), "HTTP/1.1 200 OK");
    while !client.line().is_empty() {}
    assert!(client.line().contains("\"kind\":\"heartbeat\""));
    client
}

/// The next change, without heartbeats.
fn change(client: &mut Client) -> String {
    loop {
        let line = client.line();
        if !line.contains("heartbeat") {
            return line;
        }
    }
}

fn put(client: &mut Client, key: &str, value: &str) {
    assert_eq!(client.ask(&format!("SET {key} {value}")), "+OK");
}

#[test]
fn watchers_of_all_threads_are_told_the_same_in_the_same_order() {
    let server = Server::start(3, 100);
    let mut watchers: Vec<Client> = (0..5).map(|_| watcher(&server, "prefix=a&values=true")).collect();
    let mut client = server.redis();
    for number in 0..200 {
        put(&mut client, if number % 3 == 0 { "b" } else { "a" }, &number.to_string());
    }
    let first: Vec<String> = (0..133).map(|_| change(&mut watchers[0])).collect();
    let numbers = (0..200).filter(|number| number % 3 != 0);
    for (line, number) in first.iter().zip(numbers) {
        assert!(line.contains(&format!("\"value\":\"{number}\"")), "{number}: {line}");
    }
    for other in &mut watchers[1..] {
        first.iter().for_each(|line| assert_eq!(&change(other), line));
    }
}

#[test]
fn a_watch_resumes_behind_what_was_seen() {
    let server = Server::start(2, 100);
    let mut first = watcher(&server, "");
    let mut client = server.redis();
    client.send("SET a 1\r\nSET b 2\r\nSET c 3\r\n");
    let lines: Vec<String> = (0..3).map(|_| change(&mut first)).collect();
    let id = |line: &str| line.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for seen in 0..3 {
        let mut resumed = server.http();
        let after = id(&lines[seen]);
        resumed.send(format!("GET /watch?after={after} HTTP/1.0\r\nAccept: application/jsonl\r\n\r\n"));
        while !resumed.line().is_empty() {}
        for line in &lines[seen + 1..] {
            assert_eq!(&change(&mut resumed), line);
        }
    }
}

#[test]
fn a_watcher_that_takes_nothing_holds_up_nobody_and_is_told_what_it_has_missed() {
    let server = Server::start(1, 100);
    let mut slow = watcher(&server, "prefix=k&values=true");
    let mut quick = watcher(&server, "prefix=k");
    let mut client = server.redis();
    let value = "v".repeat(1 << 20);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len());
    // What is kept, and what the system and the server hold for a client.
    for _ in 0..160 {
        client.send(&set);
        assert_eq!(client.line(), "+OK");
        assert!(change(&mut quick).contains("\"bytes\":1048576"));
    }
    let mut rest = String::new();
    slow.0.read_to_string(&mut rest).expect("it ends in an orderly manner");
    let lines: Vec<&str> = rest.lines().filter(|line| !line.contains("heartbeat")).collect();
    let (end, seen) = lines.split_last().expect("it ends with a word");
    assert!(end.contains("\"kind\":\"end\"") && end.contains("\"error\":\"gone\""), "{end}");
    assert!(seen.len() < 160 && seen.iter().all(|line| line.contains("\"kind\":\"set\"")), "{}", seen.len());
}

#[test]
fn watchers_are_told_when_their_server_continues_from_a_snapshot() {
    let server = Server::start(1, 100);
    let mut client = watcher(&server, "");
    server.fake.restore_nothing();
    assert!(change(&mut client).contains("\"error\":\"gone\""));
    assert_eq!(client.rest(), "");
}

/// As alice, with the password `secret`.
const ALICE: &str = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";

/// Rights are looked up by front-end threads while another one executes: what is written behind the loss of a right is
/// never told.
#[test]
fn a_watcher_is_told_nothing_of_what_it_may_not_read_any_more() {
    let server = Server::start(2, 100);
    let mut operator = server.redis();
    assert_eq!(operator.ask("ACL SETUSER alice on >secret +get +scan ~open"), "+OK");
    let mut alice = server.http();
    alice.send(format!("GET /watch?values=true HTTP/1.0\r\n{ALICE}Accept: application/jsonl\r\n\r\n"));
    while !alice.line().is_empty() {}
    for round in 0..100 {
        let key = format!("k{round}");
        operator.send(format!("ACL SETUSER alice ~{key}\r\nSET {key} seen\r\nSET other secret\r\n"));
        operator
            .send(format!("ACL SETUSER alice resetkeys ~open\r\nSET {key} secret\r\nSET open {round}\r\n"));
        (0..6).for_each(|_| assert_eq!(operator.line(), "+OK"));
        loop {
            let line = change(&mut alice);
            assert!(!line.contains("secret") && !line.contains("other"), "{round}: {line}");
            if line.contains("\"key\":\"open\"") {
                assert!(line.contains(&format!("\"value\":\"{round}\"")), "{line}");
                break;
            }
        }
    }
    assert_eq!(operator.ask("ACL DELUSER alice"), ":1");
    put(&mut operator, "open", "secret");
    let rest = alice.rest();
    assert!(rest.contains("\"error\":\"forbidden\"") && !rest.contains("secret"), "{rest}");
}
