//! What the clients of one address may take, of the connections and of the memory, with real sockets.

use std::fmt::Display;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use super::sockets::{Client, LONG, Server};
use crate::front::FrontEndConfig;
use crate::front::budget::Level;
use crate::front::limits::PAGES;
use crate::front::metrics::{Closed, Crowd};
use crate::protocol::Wire;

/// A client of this address.
fn from(address: &str, server: SocketAddr) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(address.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(LONG)).unwrap();
    Client(BufReader::new(stream))
}

/// How a SET of a value this long begins.
fn head_of_set(key: impl Display, bytes: usize) -> String {
    let key = key.to_string();
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${bytes}\r\n", key.len())
}

#[test]
fn an_address_with_too_many_connections_keeps_nobody_else_out() {
    let limits = FrontEndConfig {
        threads: 2,
        max_connections: 100,
        max_connections_per_address: Some(2),
        ..FrontEndConfig::default()
    };
    let server = Server::start_with(limits);
    let (redis, http) = (server.front_ends.redis_addr(), server.front_ends.http_addr());
    let mut own: Vec<Client> = (0..2).map(|_| from("127.0.0.9", redis)).collect();
    for client in &mut own {
        assert_eq!(client.ask("PING"), "+PONG");
    }
    let told = from("127.0.0.9", redis).rest();
    assert!(told.starts_with("-ERR max number of clients of this address reached"), "{told}");
    let metrics = &server.front_ends.shared.metrics;
    assert_eq!(metrics.turned_away_for(Wire::Redis, Crowd::Address), 1);
    let mut page = from("127.0.0.9", http);
    page.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(page.rest().starts_with("HTTP/1.1 200 OK"), "pages about the server are served");
    // However many of one address wait for a page, those of another one keep their places.
    let mut other = from("127.0.0.10", http);
    other.send("GET /heal");
    let waiting: Vec<Client> = (0..3 * PAGES).map(|_| from("127.0.0.9", http)).collect();
    assert_eq!(from("127.0.0.10", redis).ask("PING"), "+PONG");
    other.send("thz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(other.response().0, "HTTP/1.1 200 OK");
    drop((own, waiting));
    server.until(|_| from("127.0.0.9", redis).ask("PING") == "+PONG");
}

#[test]
fn memory_for_requests_has_a_limit_and_who_holds_the_most_is_closed() {
    const MIB: usize = 1 << 20;
    let server =
        Server::start_with(FrontEndConfig { threads: 2, all_clients: 8 * MIB, ..FrontEndConfig::default() });
    let (mut known, mut page) = (server.redis(), server.http());
    assert_eq!(known.ask("SET k v"), "+OK");
    let budget = Arc::clone(&server.front_ends.shared.budget);
    let begin = |bytes: usize| {
        let mut client = server.redis();
        client.send(head_of_set('a', 16 * MIB));
        client.send(vec![b'v'; bytes]);
        client
    };
    // Above three quarters: nothing is refused but what takes memory.
    let mut large = begin(6 * MIB + MIB / 2);
    server.until(|_| budget.level() == Level::Short);
    assert!(known.ask("GET k").starts_with("-TRYAGAIN "));
    assert_eq!(known.ask("PING"), "+PONG");
    page.send("GET /kv/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(page.response().0, "HTTP/1.1 429 Too Many Requests");
    page.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(page.response().0, "HTTP/1.1 200 OK");
    // Above all of it, the one with the most goes.
    let small = begin(2 * MIB);
    let mut end = Vec::new();
    // Its unread bytes may reset the connection.
    let _ = large.0.read_to_end(&mut end);
    assert_eq!(String::from_utf8_lossy(&end), "");
    server.until(|_| budget.level() == Level::Plenty);
    assert_eq!(server.front_ends.shared.metrics.closed_for(Wire::Redis, Closed::Memory), 1);
    assert_eq!(known.ask("GET k"), "$1");
    assert_eq!(known.line(), "v");
    drop(small);
    server.until(|_| budget.held() == 0);
}

/// Those who hold more than their share are read slowly, but all that they send.
#[test]
fn requests_of_an_address_that_holds_much_come_to_their_end() {
    const MIB: usize = 1 << 20;
    let server =
        Server::start_with(FrontEndConfig { threads: 2, all_clients: 96 * MIB, ..FrontEndConfig::default() });
    let redis = server.front_ends.redis_addr();
    let budget = Arc::clone(&server.front_ends.shared.budget);
    let mut begun: Vec<Client> = (0..6)
        .map(|n: usize| {
            let mut client = from("127.0.0.9", redis);
            client.send(head_of_set(n, 8 * MIB));
            client
        })
        .collect();
    // All of them at once, so that each has to wait for the others.
    let part = vec![b'v'; 8 * MIB];
    thread::scope(|scope| {
        for client in &begun {
            let mut socket = client.0.get_ref();
            let part = &part;
            scope.spawn(move || socket.write_all(part).unwrap());
        }
    });
    server.until(|_| budget.held() >= begun.len() * part.len());
    assert!(budget.is_paced(budget.held(), 1));
    for client in &mut begun {
        client.send("\r\n");
        assert_eq!(client.line(), "+OK");
    }
    assert_eq!(begun[0].ask("STRLEN 5"), format!(":{}", part.len()));
    server.until(|_| budget.held() == 0);
}

/// However much the clients of one address hold, those of others who hold little are served, and stay.
#[test]
fn an_address_that_holds_much_takes_nothing_from_those_that_hold_little() {
    const MIB: usize = 1 << 20;
    let server =
        Server::start_with(FrontEndConfig { threads: 2, all_clients: 16 * MIB, ..FrontEndConfig::default() });
    let (redis, http) = (server.front_ends.redis_addr(), server.front_ends.http_addr());
    let budget = Arc::clone(&server.front_ends.shared.budget);
    let (mut modest, mut page) = (from("127.0.0.10", redis), from("127.0.0.10", http));
    assert_eq!(modest.ask("SET k v"), "+OK");
    let served = |modest: &mut Client, page: &mut Client| {
        assert_eq!(modest.ask("SET k v"), "+OK");
        assert_eq!((modest.ask("GET k"), modest.line()), ("$1".into(), "v".into()));
        page.send("GET /kv/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(page.response(), ("HTTP/1.1 200 OK".into(), b"v".to_vec()));
    };
    let begin = |bytes: usize| {
        let mut client = from("127.0.0.9", redis);
        client.send(head_of_set('a', 16 * MIB));
        client.send(vec![b'v'; bytes]);
        client
    };
    let mut known = from("127.0.0.9", redis);
    assert_eq!(known.ask("PING"), "+PONG");
    let held: Vec<Client> = (0..13).map(|_| begin(MIB)).collect();
    server.until(|_| budget.level() == Level::Short);
    assert!(known.ask("GET k").starts_with("-TRYAGAIN "), "its own address has to wait");
    served(&mut modest, &mut page);

    // As much as the socket takes: the rest is not read while nothing is.
    let mut more = from("127.0.0.9", redis);
    more.send(head_of_set('a', 16 * MIB));
    more.0.get_ref().set_nonblocking(true).unwrap();
    let metrics = &server.front_ends.shared.metrics;
    let part = vec![b'v'; MIB];
    server.until(|_| {
        // Fails when its turn to be closed has come.
        let _ = more.0.get_ref().write(&part);
        served(&mut modest, &mut page);
        metrics.closed_for(Wire::Redis, Closed::Memory) > 0
    });
    served(&mut modest, &mut page);
    assert!(budget.held() <= budget.limit());
    drop((held, more));
    server.until(|_| budget.held() == 0);
    served(&mut modest, &mut page);
}
