//! Front-end threads with real sockets, and an engine in memory.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::Wake;
use parking_lot::Mutex;
use socket2::SockRef;

use super::fake::{FakeEngine, FakeServer, Mood};
use crate::front::limits::PAGES;
use crate::front::{FrontEndConfig, FrontEnds};

/// Longer than anything here takes on any machine.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) struct Server {
    pub(super) front_ends: FrontEnds,
    pub(super) fake: FakeServer,
    mood: Arc<Mutex<Mood>>,
    wakes: Mutex<Vec<Arc<dyn Wake>>>,
}

impl Server {
    pub(super) fn start(threads: usize, max_connections: usize) -> Server {
        Server::start_with(FrontEndConfig { threads, max_connections, ..FrontEndConfig::default() })
    }

    pub(super) fn start_with(config: FrontEndConfig) -> Server {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = FrontEndConfig { http: any, redis: any, ..config };
        let fake = FakeServer::new();
        let mood = Arc::new(Mutex::new(Mood::Serve));
        let wakes: Mutex<Vec<Arc<dyn Wake>>> = Mutex::default();
        let front_ends = FrontEnds::start_with(config, Arc::default(), |wake| {
            wakes.lock().push(wake);
            engine_of(&fake, &mood)
        });
        Server { front_ends: front_ends.unwrap(), fake, mood, wakes }
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
        for wake in &*self.wakes.lock() {
            wake.wake();
        }
    }

    /// Waits for something that happens soon.
    pub(super) fn until(&self, mut done: impl FnMut(&Server) -> bool) {
        let since = Instant::now();
        while !done(self) {
            assert!(since.elapsed() < LONG, "it does not happen");
            thread::yield_now();
        }
    }

    pub(super) fn redis(&self) -> Client {
        Client::connect(self.front_ends.redis_addr())
    }

    pub(super) fn http(&self) -> Client {
        Client::connect(self.front_ends.http_addr())
    }
}

/// Makes an engine that runs by itself.
pub(super) fn engine_of(
    fake: &FakeServer,
    mood: &Arc<Mutex<Mood>>,
) -> impl FnOnce() -> FakeEngine + Send + use<> {
    let (fake, mood) = (fake.clone(), Arc::clone(mood));
    move || {
        let mut engine = fake.engine_in(mood);
        engine.runs = true;
        engine
    }
}

pub(super) struct Client(pub(super) BufReader<TcpStream>);

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Client(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    pub(super) fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n"));
        self.line()
    }

    pub(super) fn exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The status line, and the body.
    pub(super) fn response(&mut self) -> (String, Vec<u8>) {
        let (status, mut length) = (self.line(), 0);
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, self.exact(length));
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            }
        }
    }

    /// Everything that comes before the server closes.
    pub(super) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

#[test]
fn both_protocols_are_served_on_every_thread() {
    let server = Server::start(3, 100);
    let mut clients: Vec<Client> = (0..6).map(|_| server.redis()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask("INCR shared"), format!(":{}", i + 1));
    }
    for _ in 0..6 {
        let mut client = server.http();
        client.send("GET /kv/shared HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.response(), ("HTTP/1.1 200 OK".into(), b"6".to_vec()));
    }
    server.front_ends.stop();
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let server = Server::start(1, 100);
    let mut client = server.redis();
    let mut writer = client.0.get_ref().try_clone().unwrap();
    let sender = thread::spawn(move || {
        for i in 0..20_000 {
            let request = if i % 50 == 49 { "GET n\r\n" } else { "INCR n\r\n" };
            writer.write_all(request.as_bytes()).unwrap();
        }
    });
    let mut count = 0;
    for i in 0..20_000 {
        let line = client.line();
        if i % 50 == 49 {
            assert!(line.starts_with('$'));
            assert_eq!(client.line(), count.to_string());
        } else {
            count += 1;
            assert_eq!(line, format!(":{count}"));
        }
    }
    sender.join().unwrap();
}

#[test]
fn the_largest_values_pass_both_protocols() {
    let server = Server::start(1, 100);
    let value: Vec<u8> = (0..16u32 << 20).map(|i| (i >> 9) as u8 ^ i as u8).collect();
    let mut http = server.http();
    http.send(format!(
        "PUT /kv/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        value.len()
    ));
    http.send(&value);
    assert_eq!(http.response().0, "HTTP/1.1 201 Created");
    let mut redis = server.redis();
    assert_eq!(redis.ask("GET large"), format!("${}", value.len()));
    assert!(redis.exact(value.len()) == value);
    assert_eq!(redis.line(), "");
    redis.send(format!("*3\r\n$3\r\nSET\r\n$5\r\nagain\r\n${}\r\n", value.len()));
    redis.send(&value);
    assert_eq!(redis.ask(""), "+OK");
    http.send("GET /kv/again HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (status, body) = http.response();
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body == value);
}

#[test]
fn a_client_that_has_sent_all_still_gets_its_replies() {
    let server = Server::start(1, 100);
    server.set(Mood::Hold);
    let mut client = server.redis();
    client.send("SET a 1\r\nGET a\r\nPING\r\n");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    server.set(Mood::Serve);
    assert_eq!(client.rest(), "+OK\r\n$1\r\n1\r\n+PONG\r\n");
}

#[test]
fn a_last_reply_arrives_although_the_client_sends_on() {
    let server = Server::start(1, 100);
    let mut client = server.http();
    client.send("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n");
    // The server has decided before this arrives; a socket closed with unread bytes would discard the reply.
    client.send(vec![b'v'; 1 << 20]);
    assert!(client.rest().starts_with("HTTP/1.1 413 "));

    let mut client = server.redis();
    client.send("QUIT\r\nPING\r\n");
    assert_eq!(client.rest(), "+OK\r\n");
}

#[test]
fn too_many_clients_are_told_and_room_is_found_again() {
    let server = Server::start(2, 3);
    let mut clients: Vec<Client> = (0..3).map(|_| server.redis()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG");
    }
    assert_eq!(server.redis().rest(), "-ERR max number of clients reached\r\n");
    assert!(server.http().rest().starts_with("HTTP/1.1 503 "));
    drop(clients.pop());
    let since = Instant::now();
    loop {
        let mut client = server.redis();
        let _ = client.0.get_mut().write_all(b"PING\r\n");
        if client.line() == "+PONG" {
            break;
        }
        assert!(since.elapsed() < LONG, "the place of a closed connection was not found again");
    }
    assert_eq!(clients[0].ask("PING"), "+PONG");
}

/// Monitoring gets in even if clients have taken all connections and many more wait.
#[test]
fn pages_about_the_server_are_served_whatever_clients_take() {
    let server = Server::start(2, 3);
    let mut clients: Vec<Client> = (0..3).map(|_| server.redis()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG");
    }
    let waiting: Vec<Client> = (0..3 * PAGES).map(|_| server.http()).collect();
    for page in ["/healthz", "/status", "/metrics", "/readyz"] {
        let mut client = server.http();
        client.send(format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let rest = client.rest();
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{page}: {rest}");
        assert!(rest.contains("Connection: close\r\n"), "one page for each connection: {rest}");
    }
    let requests = [
        "GET /kv/k HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv",
    ];
    for request in requests {
        let mut client = server.http();
        client.send(request);
        let rest = client.rest();
        assert!(rest.starts_with("HTTP/1.1 503 ") && rest.contains("too_many_connections"), "{rest}");
    }
    for mut client in waiting {
        assert!(client.rest().starts_with("HTTP/1.1 503 "), "who asks for nothing learns why");
    }
    // Reserved connections never counted as clients.
    drop(clients);
    server.until(|server| server.redis().ask("PING") == "+PONG");
    server.until(|server| server.front_ends.shared.open.load(std::sync::atomic::Ordering::SeqCst) == 0);
}

#[test]
fn connections_on_which_nothing_happens_are_closed_as_configured() {
    let short = Duration::from_millis(1);
    let server = Server::start_with(FrontEndConfig {
        threads: 1,
        http_idle: short,
        redis_idle: Duration::ZERO,
        ..FrontEndConfig::default()
    });
    let (mut http, mut redis) = (server.http(), server.redis());
    http.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(http.response().0, "HTTP/1.1 200 OK");
    assert_eq!(redis.ask("PING"), "+PONG");
    assert_eq!(http.rest(), "", "closed without a reply");
    assert_eq!(redis.ask("PING"), "+PONG", "zero is for ever");

    let server = Server::start_with(FrontEndConfig { redis_idle: short, ..FrontEndConfig::default() });
    let (mut http, mut redis) = (server.http(), server.redis());
    server.set(Mood::Hold);
    redis.send("SET k v\r\n");
    assert_eq!(server.redis().rest(), "", "one that asked nothing is closed");
    server.set(Mood::Serve);
    assert_eq!(redis.line(), "+OK", "one that waits for its outcome is not");
    http.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(http.response().0, "HTTP/1.1 200 OK");
}

/// For each connection, Linux reports which timer runs: 2 is the one that probes an idle client.
#[test]
fn the_system_asks_idle_clients_whether_they_are_there() {
    for (keepalive, asks) in [(Duration::from_secs(60), true), (Duration::ZERO, false)] {
        let server =
            Server::start_with(FrontEndConfig { tcp_keepalive: keepalive, ..FrontEndConfig::default() });
        for mut client in [server.redis(), server.http()] {
            client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            client.line();
            let port = |address: std::io::Result<SocketAddr>| format!(":{:04X}", address.unwrap().port());
            let (ours, theirs) =
                (port(client.0.get_ref().local_addr()), port(client.0.get_ref().peer_addr()));
            server.until(|_| {
                let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
                let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
                let found = lines.find(|line| line[1].ends_with(&theirs) && line[2].ends_with(&ours));
                // What was sent may not be acknowledged yet.
                found.is_none_or(|line| line[5].starts_with("02:") == asks && !line[5].starts_with("01:"))
            });
        }
    }
}

/// Many clients write everything they have to ask before they read the first reply.
#[test]
fn a_pipeline_may_be_written_to_its_end_before_it_is_read() {
    let server = Server::start(1, 100);
    let mut client = server.redis();
    let (key, value) = ("k".repeat(200), "v".repeat(1000));
    assert_eq!(client.ask(&format!("SET {key} {value}")), "+OK");
    // Far more than sockets hold, in both directions.
    let count = 50_000;
    client.send(format!("GET {key}\r\n").repeat(count));
    for _ in 0..count {
        assert_eq!(client.line(), "$1000");
        assert!(client.line() == value);
    }
    // The same for the other protocol.
    let mut client = server.http();
    let count = 20_000;
    client.send(format!("GET /kv/{key} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(count));
    for _ in 0..count {
        assert_eq!(client.response(), ("HTTP/1.1 200 OK".into(), value.clone().into_bytes()));
    }
}

/// The server stops reading from a client that asks and does not take the answers, so that it cannot make the
/// server hold more and more. When it takes them, all are there.
#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let server = Server::start(1, 100);
    let mut client = server.redis();
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n{}\r\n", "v".repeat(1_000_000)));
    assert_eq!(client.line(), "+OK");
    let stream = client.0.get_ref().try_clone().unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    // Each request asks for a megabyte, so the sockets are soon full.
    let (mut sent, request) = (0, "GET k\r\n".repeat(1000));
    loop {
        match (&stream).write(request.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
        assert!(sent < 64 << 20, "the server reads on and on");
    }
    assert_eq!(server.redis().ask("PING"), "+PONG", "others are served meanwhile");
    for _ in 0..20 {
        assert_eq!(client.line(), "$1000000");
        assert!(client.exact(1_000_000).iter().all(|byte| *byte == b'v'));
        assert_eq!(client.line(), "");
    }
}

/// The outcome of a command whose client has gone must not reach the client that now has its place.
#[test]
fn an_outcome_does_not_reach_a_stranger() {
    let server = Server::start(1, 100);
    server.set(Mood::Hold);
    let mut gone = server.redis();
    gone.send("INCR n\r\nINCR n\r\n");
    server.until(|server| server.fake.taken.load(SeqCst) == 2);
    // Closes at once, unlike a client that still waits for replies.
    SockRef::from(gone.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    server.until(|server| server.front_ends.shared.open.load(SeqCst) == 0);
    let mut client = server.redis();
    client.send("GET n\r\nPING\r\n");
    server.until(|server| server.front_ends.shared.open.load(SeqCst) == 1);
    server.set(Mood::Serve);
    let replies = [client.line(), client.line(), client.line()];
    assert_eq!(replies, ["$1", "2", "+PONG"]);
}

#[test]
fn what_is_in_flight_is_answered_before_the_stop() {
    let server = Server::start(2, 100);
    server.set(Mood::Hold);
    let mut client = server.redis();
    client.send("INCR n\r\n");
    let mut other = server.redis();
    assert_eq!(other.ask("PING"), "+PONG");
    server.until(|server| server.fake.taken.load(SeqCst) == 1);
    *server.mood.lock() = Mood::Serve;
    let addresses = (server.front_ends.http_addr(), server.front_ends.redis_addr());
    server.front_ends.stop();
    assert_eq!(client.rest(), ":1\r\n");
    assert_eq!(other.rest(), "");
    assert!(TcpStream::connect(addresses.0).is_err() && TcpStream::connect(addresses.1).is_err());
}

/// A name may have several addresses, and a client uses any of them.
#[test]
fn all_addresses_of_a_name_are_listened_at() {
    let any = |host: [u8; 4]| SocketAddr::from((host, 0));
    // No machine has an address of this network, which is reserved for documentation.
    let absent = any([192, 0, 2, 1]);
    let config = FrontEndConfig {
        http: absent,
        http_too: vec![any([127, 0, 0, 1]), any([127, 0, 0, 2])],
        redis: any([127, 0, 0, 1]),
        redis_too: vec![absent, any([127, 0, 0, 3])],
        ..FrontEndConfig::default()
    };
    let (fake, mood) = (FakeServer::new(), Arc::new(Mutex::new(Mood::Serve)));
    let front_ends =
        FrontEnds::start_with(config.clone(), Arc::default(), |_| engine_of(&fake, &mood)).unwrap();
    let at = |host: [u8; 4], like: SocketAddr| Client::connect(SocketAddr::from((host, like.port())));
    for host in [[127, 0, 0, 1], [127, 0, 0, 3]] {
        assert_eq!(at(host, front_ends.redis_addr()).ask("PING"), "+PONG");
    }
    for host in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let mut client = at(host, front_ends.http_addr());
        client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.response().0, "HTTP/1.1 200 OK");
    }
    // If any of them is in use, that is an error; so is a name without any address of this machine.
    for (too, kind) in [
        (SocketAddr::from(([127, 0, 0, 3], front_ends.redis_addr().port())), io::ErrorKind::AddrInUse),
        (absent, io::ErrorKind::AddrNotAvailable),
    ] {
        let config = FrontEndConfig { redis: absent, redis_too: vec![too], ..config.clone() };
        let started = FrontEnds::start_with(config, Arc::default(), |_| engine_of(&fake, &mood));
        let error = started.expect_err("it cannot listen");
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(&too.to_string().replace(":0", ":")), "{error}");
    }
}

#[test]
fn an_address_in_use_is_an_error() {
    let server = Server::start(1, 10);
    let config = FrontEndConfig { redis: server.front_ends.redis_addr(), ..FrontEndConfig::default() };
    let config = FrontEndConfig { http: SocketAddr::from(([127, 0, 0, 1], 0)), ..config };
    let (fake, mood) = (FakeServer::new(), Arc::new(Mutex::new(Mood::Serve)));
    let started = FrontEnds::start_with(config, Arc::default(), |_| engine_of(&fake, &mood));
    assert_eq!(started.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
}
