//! A cluster of three servers in one process: clients of all servers and both protocols see one state.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::{Config, Durability, Engine, Member};
use niagara_kvstore::config::PlannedServer;
use niagara_kvstore::{FrontEndConfig, FrontEnds, Kv};

/// Longer than anything here takes on any machine.
const LONG: Duration = Duration::from_secs(60);
const SERVERS: usize = 3;
const GROUPS: u16 = 2;

struct Server {
    // Stopped in this order: the engine answers what the front ends have in flight.
    front_ends: FrontEnds,
    engine: Engine<Kv>,
}

struct Cluster {
    servers: Vec<Option<Server>>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        // Ports that were free a moment ago. If another process has taken one meanwhile, others are tried.
        for _ in 0..20 {
            if let Some(cluster) = Cluster::try_start() {
                cluster.wait_until_ready();
                return cluster;
            }
        }
        panic!("no free ports");
    }

    fn try_start() -> Option<Cluster> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let planned = PlannedServer::on_free_ports(SERVERS as u16, GROUPS).unwrap();
        let members: Vec<Member> = planned
            .into_iter()
            .map(|PlannedServer { server, addresses, transfer, .. }| Member { server, addresses, transfer })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let mut servers = Vec::new();
        for server in 1..=SERVERS as u64 {
            let mut config = Config::new(0xc1, server, members.clone());
            config.data_dir = dir.path().join(server.to_string());
            config.durability = Durability::Memory;
            let engine = Engine::start(config, Kv::new()).ok()?;
            let front = FrontEndConfig { http: any, redis: any, threads: 2, ..FrontEndConfig::default() };
            let front_ends = FrontEnds::start(front, engine.client()).unwrap();
            servers.push(Some(Server { front_ends, engine }));
        }
        Some(Cluster { servers, _dir: dir })
    }

    fn server(&self, number: usize) -> &Server {
        self.servers[number].as_ref().expect("this server was not stopped")
    }

    fn redis(&self, number: usize) -> Client {
        Client::connect(self.server(number).front_ends.redis_addr())
    }

    fn http(&self, number: usize) -> Client {
        Client::connect(self.server(number).front_ends.http_addr())
    }

    fn stop(&mut self, number: usize) {
        let server = self.servers[number].take().expect("a server is stopped once");
        server.front_ends.stop();
        server.engine.stop();
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..SERVERS).filter(|number| self.servers[*number].is_some())
    }

    fn wait_until_ready(&self) {
        for number in self.running() {
            let since = Instant::now();
            while self.http(number).ask("GET", "/readyz", &[], b"").status != 200 {
                assert!(since.elapsed() < LONG, "server {number} does not become ready");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in self.servers.drain(..).flatten() {
            server.front_ends.stop();
            server.engine.stop();
        }
    }
}

struct Client(BufReader<TcpStream>);

struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(other, _)| other == name).expect("the header is there").1
    }
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Client(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the server has closed after {line:?}");
        line.trim_end().into()
    }

    /// Sends a Redis command and reads a reply of one line.
    fn tell(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.line()
    }

    /// Sends a Redis command and reads a reply that is an array of values.
    fn values(&mut self, command: &str) -> Vec<String> {
        let head = self.tell(command);
        let count = head.strip_prefix('*').expect("an array").parse().unwrap();
        (0..count).map(|_| if self.line() == "$-1" { "null".into() } else { self.line() }).collect()
    }

    fn value(&mut self, command: &str) -> String {
        if self.tell(command) == "$-1" { "null".into() } else { self.line() }
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "PUT" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_string(), value.to_string()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if status != 304 {
            response.body = vec![0; response.header("Content-Length").parse().unwrap()];
            self.0.read_exact(&mut response.body).unwrap();
        }
        response
    }
}

#[test]
fn what_one_server_was_told_every_server_knows() {
    let cluster = Cluster::start();
    for (number, value) in ["red", "green", "blue"].into_iter().enumerate() {
        assert_eq!(cluster.redis(number).tell(&format!("SET color {value}")), "+OK");
        for other in 0..SERVERS {
            assert_eq!(cluster.redis(other).value("GET color"), value);
            assert_eq!(cluster.http(other).ask("GET", "/kv/color", &[], b"").body, value.as_bytes());
        }
        let put = cluster.http(number).ask("PUT", "/kv/shade", &[], value.as_bytes());
        let path = format!("/kv/shade?read=at-least:{}", put.header("Niagara-Position"));
        for other in 0..SERVERS {
            let got = cluster.http(other).ask("GET", &path, &[], b"");
            assert_eq!((got.body.as_slice(), got.header("ETag")), (value.as_bytes(), put.header("ETag")));
        }
    }
    let mut text = String::from_utf8(cluster.http(0).ask("GET", "/metrics", &[], b"").body).unwrap();
    assert!(text.ends_with("# EOF\n"));
    text.retain(|c| c != ' ');
    assert!(text.contains("niagara_redis_requests_total{kind=\"write\"}1\n"), "{text}");
    assert!(text.contains("niagara_applied_position"), "the engine's metrics are there, too");
}

/// All servers increment counters at once, by Redis commands and by conditional HTTP writes; no increment is
/// lost.
#[test]
fn no_update_is_lost() {
    let cluster = Cluster::start();
    let (per_client, pipelined) = (25, 40);
    thread::scope(|scope| {
        for number in 0..SERVERS {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut client = cluster.redis(number);
                for _ in 0..per_client {
                    client.0.get_mut().write_all("INCR counter\r\n".repeat(pipelined).as_bytes()).unwrap();
                    let replies: Vec<i64> = (0..pipelined)
                        .map(|_| client.line().trim_start_matches(':').parse().unwrap())
                        .collect();
                    assert!(replies.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {replies:?}");
                }
            });
            scope.spawn(move || {
                let mut client = cluster.http(number);
                for _ in 0..per_client {
                    raise_by_etag(&mut client);
                }
            });
        }
    });
    let total = (SERVERS * per_client * pipelined).to_string();
    assert_eq!(cluster.redis(1).value("GET counter"), total);
    assert_eq!(cluster.redis(2).value("GET tagged"), (SERVERS * per_client).to_string());
}

/// Reads a number and writes the next one, and starts over if somebody else has changed it.
fn raise_by_etag(client: &mut Client) {
    loop {
        let got = client.ask("GET", "/kv/tagged", &[], b"");
        let (number, condition) = match got.status {
            404 => (0, ("If-None-Match", "*")),
            200 => (
                String::from_utf8(got.body.clone()).unwrap().parse().unwrap(),
                ("If-Match", got.header("ETag")),
            ),
            other => panic!("status {other}"),
        };
        let next: u64 = number + 1;
        match client.ask("PUT", "/kv/tagged", &[condition], next.to_string().as_bytes()).status {
            200 | 201 => return,
            412 => {}
            other => panic!("status {other}"),
        }
    }
}

#[test]
fn no_read_sees_half_a_write_on_any_server() {
    let cluster = Cluster::start();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = cluster.redis(0);
            for round in 0..300 {
                assert_eq!(client.tell(&format!("MSET a {round} b {round} c {round}")), "+OK");
            }
            done.store(true, Ordering::SeqCst);
        });
        for (number, mode) in ["READWRITE", "READONLY", "READONLY"].into_iter().enumerate() {
            let (cluster, done) = (&cluster, &done);
            scope.spawn(move || {
                let mut client = cluster.redis(number);
                assert_eq!(client.tell(mode), "+OK");
                while !done.load(Ordering::SeqCst) {
                    let values = client.values("MGET a b c");
                    assert!(values[0] == values[1] && values[1] == values[2], "{values:?}");
                }
            });
        }
    });
    assert_eq!(cluster.redis(2).values("MGET a b c"), ["299", "299", "299"]);
}

/// A page of a scan: the cursor of the next one, and the keys.
fn page(client: &mut Client, command: &str) -> (String, Vec<String>) {
    assert_eq!(client.tell(command), "*2");
    client.line();
    let cursor = client.line();
    let count = client.line().trim_start_matches('*').parse().unwrap();
    let keys = (0..count).map(|_| [client.line(), client.line()][1].clone()).collect();
    (cursor, keys)
}

/// Clients behind a load balancer, or whose server is down, continue a scan elsewhere.
#[test]
fn a_scan_goes_on_at_any_server() {
    let mut cluster = Cluster::start();
    let keys: Vec<String> = (0..2000).map(|i| format!("key:{i:04}")).collect();
    let mut writer = cluster.redis(0);
    for batch in keys.chunks(500) {
        let pairs: String = batch.iter().map(|key| format!(" {key} v")).collect();
        assert_eq!(writer.tell(&format!("MSET{pairs}")), "+OK");
    }
    let scan = |clients: &mut [Client]| {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::from("0"), 0);
        loop {
            let client = pages % clients.len();
            let (next, mut keys) =
                page(&mut clients[client], &format!("SCAN {cursor} COUNT 100 MATCH key:*"));
            assert!(next.parse::<u64>().unwrap() < 1 << 53, "{next}");
            seen.append(&mut keys);
            (cursor, pages) = (next, pages + 1);
            if cursor == "0" {
                seen.sort_unstable();
                return seen;
            }
        }
    };
    assert_eq!(scan(&mut [cluster.redis(0), cluster.redis(1), cluster.redis(2)]), keys);
    cluster.stop(0);
    cluster.wait_until_ready();
    assert_eq!(scan(&mut [cluster.redis(2), cluster.redis(1)]), keys);
}

/// A client that writes everything before it reads, as many do, gets every reply; strong reads and writes
/// alternate.
#[test]
fn a_pipeline_is_answered_however_late_it_is_read() {
    let cluster = Cluster::start();
    let mut client = cluster.redis(1);
    let (key, value) = ("k".repeat(200), "v".repeat(1000));
    assert_eq!(client.tell(&format!("SET {key} {value}")), "+OK");
    let rounds = 200;
    let requests = format!("{}INCR n\r\n", format!("GET {key}\r\n").repeat(99)).repeat(rounds);
    client.0.get_mut().write_all(requests.as_bytes()).unwrap();
    for round in 1..=rounds {
        for _ in 0..99 {
            assert_eq!(client.line(), "$1000");
            assert!(client.line() == value);
        }
        assert_eq!(client.line(), format!(":{round}"));
    }
}

#[test]
fn two_of_three_servers_go_on() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.redis(0).tell("SET kept yes"), "+OK");
    cluster.stop(0);
    cluster.wait_until_ready();
    assert_eq!(cluster.redis(1).value("GET kept"), "yes");
    assert_eq!(cluster.redis(2).tell("SET kept still"), "+OK");
    assert_eq!(cluster.redis(1).value("GET kept"), "still");

    // One of three cannot know what the others have agreed on. It says so, and a weak read still works.
    cluster.stop(1);
    let mut client = cluster.redis(2);
    let reply = client.tell("GET kept");
    assert!(reply.starts_with("-NOQUORUM "), "{reply}");
    assert_eq!(client.tell("READONLY"), "+OK");
    assert_eq!(client.value("GET kept"), "still");
    let refused = cluster.http(2).ask("PUT", "/kv/kept", &[], b"no");
    assert!([503, 504].contains(&refused.status), "status {}", refused.status);
    assert_eq!(cluster.http(2).ask("GET", "/readyz", &[], b"").status, 503);
    assert_eq!(cluster.http(2).ask("GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn a_second_server_on_the_same_port_is_refused() {
    let cluster = Cluster::start();
    let server = cluster.server(0);
    let config = FrontEndConfig { http: server.front_ends.http_addr(), ..FrontEndConfig::default() };
    let error = FrontEnds::start(config, server.engine.client()).expect_err("the port is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

/// Positions and versions start over with a new state: a tag of the previous state must not match.
#[test]
fn tags_of_a_former_life_match_nothing() {
    let write = |cluster: &Cluster| {
        let put = cluster.http(0).ask("PUT", "/kv/key", &[("Content-Type", "text/plain")], b"value");
        assert_eq!(put.status, 201);
        put.header("ETag").to_owned()
    };
    let before = Cluster::start();
    let old = write(&before);
    for server in 0..SERVERS {
        let got = before.http(server).ask("GET", "/kv/key", &[("If-None-Match", &old)], b"");
        assert_eq!((got.status, got.header("ETag")), (304, old.as_str()), "at server {server}");
    }
    drop(before);

    let after = Cluster::start();
    let new = write(&after);
    assert_ne!(new, old);
    let version = |tag: &str| tag.split_once('-').expect("a life and a version").1.to_owned();
    let same_version = old.replace(&version(&old), &version(&new));
    for server in 0..SERVERS {
        let mut client = after.http(server);
        for tag in [&old, &same_version] {
            assert_eq!(client.ask("GET", "/kv/key", &[("If-None-Match", tag)], b"").status, 200);
            assert_eq!(client.ask("GET", "/kv/key", &[("If-Match", tag)], b"").status, 412);
            assert_eq!(client.ask("PUT", "/kv/key", &[("If-Match", tag)], b"lost update").status, 412);
            assert_eq!(client.ask("DELETE", "/kv/key", &[("If-Match", tag)], b"").status, 412);
        }
        let got = client.ask("GET", "/kv/key", &[], b"");
        assert_eq!((got.body.as_slice(), got.header("Content-Type")), (b"value".as_slice(), "text/plain"));
    }
    assert_eq!(after.http(1).ask("PUT", "/kv/key", &[("If-Match", &new)], b"").status, 200);
}

/// What one server is told of memory holds on all, over both protocols.
#[test]
fn a_limit_of_memory_holds_on_every_server() {
    let cluster = Cluster::start();
    assert_eq!(cluster.redis(0).tell("SET color red"), "+OK");
    let mut early = cluster.redis(2);
    assert_eq!((early.tell("MULTI"), early.tell("SET color green")), ("+OK".into(), "+QUEUED".into()));
    assert_eq!(cluster.redis(1).tell("CONFIG SET maxmemory 100b"), "+OK");
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(early.tell("EXEC"), format!("-EXECABORT Transaction discarded because of: {oom}"));
    // That server knows it now, so it says so at once.
    assert_eq!((early.tell("MULTI"), early.tell("SET color green")), ("+OK".into(), format!("-{oom}")));
    assert_eq!(early.tell("EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
    for number in 0..SERVERS {
        let refused = cluster.redis(number).tell("SET color green");
        assert_eq!(refused, format!("-{oom}"));
        let put = cluster.http(number).ask("PUT", "/kv/color", &[], b"green");
        assert_eq!(put.status, 507);
        assert!(String::from_utf8_lossy(&put.body).contains("\"error\":\"out_of_memory\""));
        assert_eq!(cluster.redis(number).value("GET color"), "red");
    }
    assert_eq!(cluster.redis(2).tell("CONFIG SET maxmemory 300b maxmemory-policy allkeys-lru"), "+OK");
    for number in 0..SERVERS {
        assert_eq!(cluster.redis(number).tell(&format!("SET color-{number} blue")), "+OK");
    }
    let evicted = |number: usize| {
        let metrics = String::from_utf8(cluster.http(number).ask("GET", "/metrics", &[], b"").body).unwrap();
        let line = metrics.lines().find(|line| line.starts_with("niagara_evicted_keys_total")).unwrap();
        line.split(' ').next_back().unwrap().to_owned()
    };
    // There is room for one key. The last one that has to go waits for no further write.
    for number in 0..SERVERS {
        let since = Instant::now();
        while evicted(number) != "3" {
            assert!(since.elapsed() < LONG, "server {number} has evicted {} keys", evicted(number));
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(cluster.redis(number).value("GET color-1"), "null");
        assert_eq!(cluster.redis(number).value("GET color-2"), "blue");
    }
    assert_eq!(cluster.http(0).ask("DELETE", "/kv/color-2", &[], b"").status, 200);
}
