//! What clients of the Redis port see of each other, and do to each other, over real sockets.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::sockets::{Client, Server};
use crate::front::FrontEndConfig;
use crate::front::metrics::Closed;
use crate::front::tests::fake::Mood;
use crate::protocol::Wire;

fn id(client: &mut Client) -> u64 {
    client.ask("CLIENT ID")[1..].parse().unwrap()
}

/// The text of a bulk reply, or the one line of any other.
pub(super) fn text(client: &mut Client, command: &str) -> String {
    client.send(format!("{command}\r\n"));
    let head = client.line();
    let Some(length) = head.strip_prefix('$') else { return head };
    let length: usize = length.parse().unwrap();
    String::from_utf8(client.exact(length + 2)).unwrap().trim_end().to_owned()
}

/// Waits until a client is closed, which has been sent nothing more. What it has sent itself may get lost.
fn assert_gone(client: &mut Client) {
    let mut rest = Vec::new();
    // It gets an end, or an error if it had sent something.
    let _ = client.0.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}

/// A field of a line of CLIENT LIST.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let value = line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// Clients on every thread of a server.
fn clients(threads: usize, count: usize) -> (Server, Vec<Client>) {
    let server = Server::start(threads, 100);
    let clients = (0..count).map(|_| server.redis()).collect();
    (server, clients)
}

#[test]
fn clients_of_all_threads_are_listed_as_they_are() {
    let (server, mut clients) = clients(3, 6);
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(&format!("CLIENT SETNAME c{number}")), "+OK");
    }
    assert_eq!(clients[1].ask("SELECT 5"), "+OK");
    assert_eq!(clients[2].ask("SUBSCRIBE news"), "*3");
    assert_eq!(clients[3].ask("MULTI"), "+OK");
    assert_eq!(clients[3].ask("SET k v"), "+QUEUED");
    assert_eq!(clients[4].ask("READONLY"), "+OK");
    assert_eq!(clients[4].ask("CLIENT NO-EVICT ON"), "+OK");
    let own = id(&mut clients[0]);
    let list = text(&mut clients[0], "CLIENT LIST");
    let lines: Vec<&str> = list.lines().collect();
    let by_name = |name: &str| *lines.iter().find(|line| field(line, "name") == name).unwrap();
    assert_eq!(lines.len(), 6);
    let told = |name: &str, fields: [&str; 5]| fields.map(|of| field(by_name(name), of).to_owned());
    let fields = ["flags", "db", "multi", "sub", "cmd"];
    assert_eq!(told("c0", fields), ["N", "0", "-1", "0", "client|list"]);
    assert_eq!(told("c1", fields), ["N", "5", "-1", "0", "select"]);
    assert_eq!(told("c2", fields), ["P", "0", "-1", "1", "subscribe"]);
    assert_eq!(told("c3", fields), ["x", "0", "1", "0", "set"]);
    assert_eq!(told("c4", fields), ["re", "0", "-1", "0", "client|no-evict"]);
    assert_eq!(field(by_name("c0"), "id"), own.to_string());
    assert_eq!(field(by_name("c0"), "qbuf"), "13", "the request itself");
    assert_eq!(field(by_name("c0"), "laddr"), server.front_ends.redis_addr().to_string());
    let own_address = clients[0].0.get_ref().local_addr().unwrap().to_string();
    assert_eq!(field(by_name("c0"), "addr"), own_address);
    let subscribers = text(&mut clients[0], "CLIENT LIST TYPE pubsub");
    assert_eq!(subscribers.lines().map(|line| field(line, "name")).collect::<Vec<_>>(), ["c2"]);
    let chosen = text(&mut clients[0], &format!("CLIENT LIST ID {own} 999999"));
    assert_eq!(chosen.lines().map(|line| field(line, "name")).collect::<Vec<_>>(), ["c0"]);
    let info = text(&mut clients[0], "INFO clients");
    assert!(info.contains("connected_clients:6\r\nmaxclients:100\r\n"), "{info}");
    drop(clients.remove(1));
    server.until(|_| text(&mut clients[0], "CLIENT LIST").lines().count() == 5);
}

#[test]
fn who_is_killed_is_gone_and_begins_nothing_more() {
    let (server, mut clients) = clients(3, 5);
    let ids: Vec<u64> = clients.iter_mut().map(id).collect();
    let address = clients[1].0.get_ref().local_addr().unwrap();
    assert_eq!(clients[0].ask(&format!("CLIENT KILL {address}")), "+OK");
    assert_eq!(clients[0].ask(&format!("CLIENT KILL {address}")), "-ERR No such client");
    // Whatever it sends from now on has no effect, even if its connection is not closed yet.
    let _ = clients[1].0.get_mut().write_all(b"SET killed 1\r\n");
    assert_gone(&mut clients[1]);
    assert_eq!(clients[0].ask("EXISTS killed"), ":0");
    assert_eq!(clients[0].ask(&format!("CLIENT KILL ID {}", ids[2])), ":1");
    assert_gone(&mut clients[2]);
    assert_eq!(clients[3].ask("SUBSCRIBE news"), "*3");
    assert_eq!(clients[0].ask("CLIENT KILL TYPE pubsub SKIPME yes"), ":1");
    assert_eq!(clients[0].ask("CLIENT KILL TYPE replica"), ":0");
    assert_eq!(clients[0].ask("CLIENT KILL USER default SKIPME yes"), ":1", "the last other one");
    assert_gone(&mut clients[4]);
    assert_eq!(clients[0].ask("PING"), "+PONG", "it has left itself out");
    assert_eq!(clients[0].ask("CLIENT KILL USER default SKIPME no"), ":1");
    assert_eq!(clients[0].rest(), "", "it is told, and closed");
    server.until(|server| server.front_ends.clients() == 0);
    assert_eq!(server.front_ends.shared.metrics.closed_for(Wire::Redis, Closed::Killed), 4);
}

#[test]
fn a_killed_client_that_takes_nothing_is_closed_too() {
    let (server, mut clients) = clients(2, 1);
    let mut deaf = server.redis();
    let key = "x".repeat(1 << 20);
    assert_eq!(clients[0].ask(&format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{key}", key.len())), "+OK");
    let deaf_id = id(&mut deaf);
    deaf.send("GET k\r\n".repeat(40));
    server.until(|_| text(&mut clients[0], &format!("CLIENT LIST ID {deaf_id}")).contains("events=rw"));
    assert_eq!(clients[0].ask(&format!("CLIENT KILL ID {deaf_id}")), ":1");
    server.until(|server| server.front_ends.clients() == 1);
}

#[test]
fn a_pause_holds_up_writes_of_all_threads_until_it_ends() {
    let (server, mut clients) = clients(3, 6);
    assert_eq!(clients[0].ask("CLIENT PAUSE 100000000 WRITE"), "+OK");
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        assert_eq!(client.ask("GET k0"), "$-1", "reads go on");
        client.send(format!("SET k{number} v\r\nGET k{number}\r\n"));
    }
    server.until(|_| text(&mut clients[0], "INFO clients").contains("blocked_clients:5\r\n"));
    assert!(text(&mut clients[0], "CLIENT LIST").matches(" flags=b ").count() == 5);
    assert_eq!(clients[0].ask("DBSIZE"), ":0");
    let mut http = server.http();
    http.send("PUT /kv/h HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert!(http.line().starts_with("HTTP/1.1 201"), "it is about the Redis port");
    assert_eq!(clients[0].ask("CLIENT UNPAUSE"), "+OK");
    for client in &mut clients[1..] {
        assert_eq!((client.line(), client.line(), client.line()), ("+OK".into(), "$1".into(), "v".into()));
    }
}

#[test]
fn a_pause_ends_by_itself() {
    let (_server, mut clients) = clients(2, 3);
    let begin = Instant::now();
    assert_eq!(clients[0].ask("CLIENT PAUSE 300"), "+OK");
    clients.iter_mut().for_each(|client| client.send("PING\r\n"));
    for client in &mut clients {
        assert_eq!(client.line(), "+PONG");
        assert!(begin.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn the_way_out_of_a_pause_of_everything_is_open() {
    let (_server, mut clients) = clients(2, 2);
    assert_eq!(clients[0].ask("CLIENT PAUSE 100000000 ALL"), "+OK");
    clients[0].send("PING\r\n");
    assert_eq!(clients[1].ask("CLIENT UNPAUSE"), "+OK");
    assert_eq!(clients[0].line(), "+PONG");
}

#[test]
fn clients_that_wait_for_a_pause_are_not_idle_and_may_be_killed() {
    let config =
        FrontEndConfig { threads: 2, redis_idle: Duration::from_millis(1500), ..FrontEndConfig::default() };
    let server = Server::start_with(config);
    let (mut one, mut other) = (server.redis(), server.redis());
    let other_id = id(&mut other);
    assert_eq!(one.ask("CLIENT PAUSE 100000000 WRITE"), "+OK");
    other.send("SET k v\r\n");
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(one.ask("PING"), "+PONG");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(one.ask(&format!("CLIENT KILL ID {other_id}")), ":1");
    assert_gone(&mut other);
    assert_eq!(one.ask("CLIENT UNPAUSE"), "+OK");
    assert_eq!(one.ask("EXISTS k"), ":0");
}

/// An array of arrays of bulk strings and numbers, as one line of words.
fn words(client: &mut Client, command: &str) -> String {
    let mut left = client.ask(command).strip_prefix('*').expect("an array").parse::<usize>().unwrap();
    let mut words = Vec::new();
    while left > 0 {
        left -= 1;
        let line = client.line();
        match line.as_bytes()[0] {
            b'*' => left += line[1..].parse::<usize>().unwrap(),
            b'$' => {
                let length: usize = line[1..].parse().unwrap();
                let bytes = client.exact(length + 2);
                words.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            _ => words.push(line),
        }
    }
    words.join(" ")
}

#[test]
fn requests_that_take_long_are_noted_without_passwords() {
    let (server, mut clients) = clients(2, 3);
    assert_eq!(clients[0].ask("CLIENT SETNAME watcher"), "+OK");
    assert_eq!(clients[1].ask("CLIENT SETNAME slow"), "+OK");
    assert_eq!(clients[0].ask("SLOWLOG LEN"), ":0");
    server.set(Mood::Hold);
    clients[1].send("SET k v\r\nGET k\r\n");
    clients[2].send("GET other\r\n");
    server.until(|_| text(&mut clients[0], "CLIENT LIST").matches("cmd=get").count() == 2);
    thread::sleep(Duration::from_millis(30));
    server.set(Mood::Serve);
    assert_eq!(clients[1].line(), "+OK");
    assert_eq!((clients[1].line(), clients[1].line()), ("$1".into(), "v".into()));
    assert_eq!(clients[2].line(), "$-1");
    server.until(|_| clients[0].ask("SLOWLOG LEN") == ":3");
    let noted = words(&mut clients[0], "SLOWLOG GET");
    for request in [" SET k v 127.0.0.1:", " GET k 127.0.0.1:", " GET other 127.0.0.1:"] {
        assert!(noted.contains(request), "{noted}");
    }
    assert!(noted.contains(" slow"), "{noted}");
    let latest = words(&mut clients[0], "LATENCY LATEST");
    assert!(latest.contains("command"), "{latest}");
    assert_eq!(clients[0].ask("LATENCY HISTORY fork"), "*0");
    assert_eq!(words(&mut clients[0], "LATENCY HISTORY command").split(' ').count(), 2 * 3);
    assert_eq!(clients[0].ask("LATENCY RESET fork"), ":0");
    assert_eq!(clients[0].ask("SLOWLOG RESET"), "+OK");
    assert_eq!(clients[0].ask("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3"), "+OK");
    assert!(clients[2].ask("AUTH secret").starts_with("-ERR AUTH <password> called"));
    assert_eq!(clients[2].ask("AUTH default secret"), "+OK", "where there is none, any will do");
    assert_eq!(clients[2].ask("ACL SETUSER alice >secret"), "+OK");
    let noted = words(&mut clients[0], "SLOWLOG GET -1");
    assert!(noted.contains("ACL SETUSER (redacted) (redacted)"), "{noted}");
    assert!(noted.contains("AUTH (redacted)") && !noted.contains("secret"), "{noted}");
    assert_eq!(clients[0].ask("SLOWLOG LEN"), ":3");
    assert_eq!(clients[0].ask("CONFIG SET slowlog-log-slower-than -1"), "+OK");
    assert_eq!(clients[0].ask("SLOWLOG RESET"), "+OK");
    assert_eq!(clients[0].ask("SET k v"), "+OK");
    assert_eq!(clients[0].ask("SLOWLOG LEN"), ":0");
    assert!(clients[0].ask("CONFIG SET slowlog-max-len -1").starts_with("-ERR CONFIG SET failed"));
    let partly = clients[0].ask("CONFIG SET slowlog-max-len 9 save nonsense");
    assert!(partly.starts_with("-ERR CONFIG SET failed"), "{partly}");
    assert!(words(&mut clients[0], "CONFIG GET slowlog-max-len").ends_with(" 3"), "all, or nothing");
}
