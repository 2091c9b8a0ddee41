//! Hostile bytes on every port of a running cluster.
//!
//! Each test attacks all servers with everything it has against one kind of port, from the loopback address, so without
//! any protection that a network would give. It proves that meanwhile and afterwards every server takes writes and answers
//! strong reads, that no server's memory grows beyond a bound, and that none has panicked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use niagara_net::{Greeting, Hello, Refusal};
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, Endpoint, rounds, wait};
use rustix::process::{Resource, getrlimit};

const MIB: usize = 1 << 20;
/// What the most memory that a server has ever held may grow by. Above what it keeps for a hostile connection, which is 64 MiB of replies
/// and 32 MiB of requests, with the room that buffers grow by and a command of a million keys, and below what the largest attacks send, ask
/// for, or make it promise.
const MOST_GROWTH: u64 = 224 << 20;
/// What an endless request sends before it gives up on being cut off.
const ENDLESS: usize = 320 * MIB;
/// Connections to each port at a time, of the attacks that hold many; fewer if this process may not open as many files.
const MANY: u64 = 200;

#[test]
fn on_the_ports_of_the_groups() {
    attack(&|endpoint: &Endpoint| endpoint.groups.clone(), &group_attacks());
}

#[test]
fn on_the_http_port() {
    attack(&|endpoint: &Endpoint| vec![endpoint.http], &http_attacks());
}

#[test]
fn on_the_redis_port() {
    attack(&|endpoint: &Endpoint| vec![endpoint.redis], &redis_attacks());
}

/// Connections that are opened and say nothing, on all ports at once: those of the groups end by themselves, those of
/// the clients may stay, and neither kind keeps others out.
#[test]
fn connections_that_say_nothing() {
    let mut cluster = start();
    let before = memory(&mut cluster);
    let ports: Vec<SocketAddr> = cluster
        .endpoints()
        .iter()
        .flat_map(|endpoint| [&[endpoint.http, endpoint.redis], &endpoint.groups[..]].concat())
        .collect();
    let open = |port: &SocketAddr| {
        (0..MANY.min(most_files(ports.len()))).filter_map(|_| connect(*port)).collect::<Vec<_>>()
    };
    let held: Vec<TcpStream> = ports.iter().flat_map(open).collect();
    assert!(held.len() >= ports.len(), "only {} connections could be opened", held.len());
    assert_serves(&cluster, "while strangers hold connections");

    // A member that restarts among them is let in.
    cluster.kill(1);
    cluster.restart(1);
    assert_serves(&cluster, "after a restart among strangers");
    drop(held);
    assert_serves(&cluster, "after they have gone");
    assert_unharmed(&mut cluster, &before[1..], "connections that say nothing");
}

/// Something to do to a port.
struct Attack {
    name: &'static str,
    run: Box<dyn Fn(SocketAddr) -> Scar>,
    /// What the server's answer has to hold; nothing if it need not answer.
    answer: &'static [u8],
}

/// What an attack leaves behind.
#[derive(Default)]
struct Scar {
    /// Connections that stay open until the server has been looked at.
    _held: Vec<TcpStream>,
    /// What the server said.
    answer: Vec<u8>,
}

impl Attack {
    fn new(name: &'static str, run: impl Fn(SocketAddr) -> Scar + 'static) -> Attack {
        Attack { name, run: Box::new(run), answer: b"" }
    }

    /// Sends bytes and ends its half of the connection, as a client that is done would.
    fn bytes(name: &'static str, bytes: impl AsRef<[u8]>) -> Attack {
        let bytes = bytes.as_ref().to_vec();
        Attack::new(name, move |port| {
            let mut stream = connect(port).expect("the server accepts a connection");
            // The server may have closed it before it has read all.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            Scar { answer: read_all(&mut stream), ..Scar::default() }
        })
    }

    /// Sends a beginning, and then the same bytes over and over without reading what the server says, until it is cut off,
    /// or the server takes no more, or it has sent [`ENDLESS`] bytes.
    fn endless(name: &'static str, begin: &'static [u8], more: &'static [u8]) -> Attack {
        Attack::new(name, move |port| {
            let mut stream = connect(port).expect("the server accepts a connection");
            let block = more.repeat((64 << 10) / more.len());
            let mut sent = 0;
            let mut open = stream.write_all(begin).is_ok();
            while open && sent < ENDLESS {
                open = stream.write_all(&block).is_ok();
                sent += block.len();
            }
            Scar { _held: vec![stream], ..Scar::default() }
        })
    }

    /// Sends the same bytes on many connections, and holds all of them.
    fn held(name: &'static str, bytes: impl AsRef<[u8]>) -> Attack {
        let bytes = bytes.as_ref().to_vec();
        Attack::new(name, move |port| {
            let mut held: Vec<TcpStream> =
                (0..MANY.min(most_files(12))).filter_map(|_| connect(port)).collect();
            for stream in &mut held {
                let _ = stream.write_all(&bytes);
            }
            Scar { _held: held, ..Scar::default() }
        })
    }

    /// The server has to answer, and this is part of it.
    fn answered(mut self, answer: &'static str) -> Attack {
        self.answer = answer.as_bytes();
        self
    }
}

fn group_attacks() -> Vec<Attack> {
    let hello = Hello { cluster: 1, server: 2, channel: 1, channels: 4, store: 5, ..Hello::default() };
    let greeting = frame(&Greeting::Hello(hello.clone()).encode());
    let mut wrong_checksum = greeting.clone();
    wrong_checksum[5] ^= 1;
    let mut long = u32::MAX.to_le_bytes().to_vec();
    long.extend([0; 4]);
    let mut long_magic = long.clone();
    long_magic.extend(Greeting::Hello(hello.clone()).encode());
    let mut attacks = vec![
        Attack::bytes("nothing at all", []),
        Attack::bytes("random bytes", noise(256 << 10)),
        Attack::bytes("zeros", vec![0; MIB]),
        Attack::bytes("a greeting with a wrong checksum", wrong_checksum),
        Attack::bytes("a greeting of a stranger", &greeting).answered("NIAGARA"),
        Attack::bytes(
            "a greeting of a stranger, and what follows a welcome",
            [&greeting[..], &frame(b"x").repeat(1000)].concat(),
        ),
        Attack::bytes("a refusal", frame(&Greeting::Refusal(Refusal::WrongCluster).encode())),
        Attack::bytes("a welcome, as the first word", frame(&Greeting::Welcome.encode())),
        Attack::bytes("an empty frame", frame(b"")),
        Attack::bytes("a frame of 4 GiB", [&long[..], &noise(MIB)].concat()),
        Attack::bytes("a greeting of 4 GiB", long_magic),
        Attack::bytes("HTTP", "GET / HTTP/1.1\r\n\r\n"),
        Attack::endless("an endless frame", &[0xff; 8], &[0x5a; 1024]),
        Attack::held(
            "many frames of 16 MiB, announced",
            [&(16u32 << 20).to_le_bytes()[..], &[0; 4]].concat(),
        ),
        Attack::held("many greetings, half of each", &greeting[..greeting.len() / 2]),
    ];
    attacks
        .extend((1..greeting.len()).step_by(9).map(|cut| Attack::bytes("a cut greeting", &greeting[..cut])));
    attacks
}

fn http_attacks() -> Vec<Attack> {
    let put = |headers: &str| format!("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
    vec![
        Attack::bytes("nothing at all", []),
        Attack::bytes("random bytes", noise(256 << 10)).answered("HTTP/1.1 400 "),
        Attack::bytes("zeros", vec![0; MIB]).answered("HTTP/1.1 431 "),
        Attack::bytes("line ends", "\r\n".repeat(100_000)),
        Attack::bytes("half a head", "GET /kv/k HTTP/1.1\r\nHost"),
        Attack::bytes("half a body", put("Content-Length: 100") + "x"),
        Attack::bytes("a negative length", put("Content-Length: -1")).answered("HTTP/1.1 400 "),
        Attack::bytes("a length of 2^64", put("Content-Length: 18446744073709551616"))
            .answered("HTTP/1.1 400 "),
        Attack::bytes("two lengths", put("Content-Length: 1\r\nContent-Length: 2") + "xy")
            .answered("HTTP/1.1 400 "),
        Attack::bytes(
            "a length and chunks",
            put("Content-Length: 4\r\nTransfer-Encoding: chunked") + "0\r\n\r\n",
        )
        .answered("HTTP/1.1 400 "),
        Attack::bytes("a chunk of 2^64 bytes", put("Transfer-Encoding: chunked") + "10000000000000000\r\n")
            .answered("HTTP/1.1 413 "),
        Attack::bytes("a chunk without a size", put("Transfer-Encoding: chunked") + "zz\r\n")
            .answered("HTTP/1.1 400 "),
        Attack::bytes("a value of 1 TiB", put("Content-Length: 1099511627776") + "x")
            .answered("HTTP/1.1 413 "),
        Attack::bytes("a wrong escape", "GET /kv/%zz%f HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .answered("HTTP/1.1 400 "),
        Attack::bytes("another protocol", "*1\r\n$4\r\nPING\r\n"),
        Attack::bytes("another version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").answered("HTTP/1.1 505 "),
        Attack::bytes("a method of 1 MiB", "A".repeat(MIB)).answered("HTTP/1.1 431 "),
        Attack::bytes("ten thousand headers", format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)))
            .answered("HTTP/1.1 431 "),
        Attack::bytes("a key of 1 MiB", format!("GET /kv/{} HTTP/1.1\r\n\r\n", "k".repeat(MIB)))
            .answered("HTTP/1.1 431 "),
        Attack::endless("an endless head", b"GET / HTTP/1.1\r\n", b"Name: value\r\n"),
        Attack::endless("an endless header", b"GET / HTTP/1.1\r\nName: ", b"value"),
        Attack::endless(
            "an endless chunk's size",
            b"PUT /kv/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"0",
        ),
        Attack::endless(
            "endless chunks",
            b"PUT /kv/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
        Attack::endless(
            "endless trailers",
            b"PUT /kv/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"a: b\r\n",
        ),
        Attack::endless(
            "requests whose answers nobody reads",
            b"",
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        Attack::held("many values of 16 MiB, announced", put("Content-Length: 16777216")),
        Attack::held("many heads, half of each", "GET /kv/k HTTP/1.1\r\nHost"),
    ]
}

fn redis_attacks() -> Vec<Attack> {
    vec![
        Attack::bytes("nothing at all", []),
        Attack::bytes("random bytes", noise(256 << 10)),
        Attack::bytes("zeros", vec![0; MIB]).answered("-ERR Protocol error: "),
        Attack::bytes("line ends", "\r\n".repeat(100_000)),
        Attack::bytes("half a command", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nx"),
        Attack::bytes("a thousand million arguments", "*1000000000\r\n$4\r\nPING\r\n")
            .answered("-ERR Protocol error: "),
        Attack::bytes("2^64 arguments", "*18446744073709551616\r\n").answered("-ERR Protocol error: "),
        Attack::bytes("-5 arguments", "*-5\r\n*-1\r\n*0\r\n"),
        Attack::bytes("an argument of 1 TiB", "*2\r\n$3\r\nGET\r\n$1099511627776\r\nx")
            .answered("-ERR Protocol error: "),
        Attack::bytes("an argument of -1 bytes", "*2\r\n$3\r\nGET\r\n$-1\r\n")
            .answered("-ERR Protocol error: "),
        Attack::bytes("an argument without its end", "*2\r\n$3\r\nGETxx$1\r\nk\r\n")
            .answered("-ERR Protocol error: "),
        Attack::bytes("nested arrays", "*1\r\n".repeat(100_000)).answered("-ERR Protocol error: "),
        Attack::bytes("an open quote", "SET k \"value\r\n").answered("-ERR Protocol error: "),
        Attack::bytes("another protocol", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Attack::bytes("a page's POST", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nFLUSHALL\r\n")
            .answered("-ERR this port speaks the Redis protocol"),
        Attack::bytes("empty arguments", "*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n")
            .answered("-ERR unknown command"),
        Attack::bytes("a line of 1 MiB", "A".repeat(MIB)).answered("-ERR Protocol error: "),
        Attack::endless("an endless line", b"GET ", b"key"),
        Attack::endless("an endless number", b"*", b"1"),
        Attack::endless("an endless length", b"*2\r\n$3\r\nGET\r\n$", b"0"),
        Attack::endless("endless arguments", b"*1000000000\r\n", b"$1\r\nx\r\n"),
        Attack::endless("endless keys", b"*1000000\r\n$3\r\nDEL\r\n", b"$1\r\nx\r\n"),
        Attack::endless(
            "requests whose replies nobody reads",
            b"",
            b"*2\r\n$4\r\nECHO\r\n$26\r\nabcdefghijklmnopqrstuvwxyz\r\n",
        ),
        Attack::endless("large values that nobody reads", b"", b"GET large\r\n"),
        Attack::held("many values of 16 MiB, announced", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\nx"),
        Attack::held("many commands of a million arguments, announced", "*1048576\r\n$3\r\nDEL\r\n"),
        Attack::held("many commands, half of each", "*2\r\n$3\r\nGE"),
    ]
}

fn attack(ports: &dyn Fn(&Endpoint) -> Vec<SocketAddr>, attacks: &[Attack]) {
    let mut cluster = start();
    let before = memory(&mut cluster);
    for _ in 0..rounds(1) {
        for attack in attacks {
            let ports = cluster.endpoints().iter().flat_map(ports);
            let scars: Vec<Scar> = ports.map(&attack.run).collect();
            // What the attacks hold, they hold until the servers have been looked at.
            assert_serves(&cluster, attack.name);
            assert_unharmed(&mut cluster, &before, attack.name);
            for scar in &scars {
                let found = attack.answer.is_empty()
                    || scar.answer.windows(attack.answer.len()).any(|part| part == attack.answer);
                assert!(found, "{} was answered {}", attack.name, scar.answer.escape_ascii());
            }
        }
    }
    let grown = memory(&mut cluster).iter().zip(&before).map(|(now, before)| now.1 - before.1).max();
    println!("no server's memory has grown by more than {} MiB", grown.unwrap_or(0) >> 20);
    cluster.stop_all();
}

/// A cluster that has held a large value already, so that its memory has grown by what that takes.
fn start() -> Cluster {
    let cluster = ClusterPlan::new(3, 4).start();
    for endpoint in cluster.endpoints() {
        let [_, mut redis] = Client::both(endpoint);
        assert_eq!(redis.set("large", &vec![b'x'; MIB]), Answer::Done(()));
    }
    assert_serves(&cluster, "before any attack");
    cluster
}

/// Every server takes a write, and all of them show it.
fn assert_serves(cluster: &Cluster, when: &str) {
    for endpoint in cluster.endpoints() {
        let value = format!("by server {}, {when}", endpoint.server);
        for (at, mut client) in Client::both(endpoint).into_iter().enumerate() {
            let key = format!("key-{at}");
            wait::until(&format!("a write to be acknowledged {value}"), || {
                (client.set(&key, value.as_bytes()) == Answer::Done(())).then_some(())
            });
            for reader in cluster.endpoints() {
                let found = Client::both(reader)[at].get(&key);
                assert_eq!(
                    found,
                    Answer::Done(Some(value.clone().into_bytes())),
                    "by server {}",
                    reader.server
                );
            }
        }
    }
}

fn assert_unharmed(cluster: &mut Cluster, before: &[(u64, u64)], name: &str) {
    for (server, bytes) in before {
        let now = cluster.process(*server).peak_bytes();
        let growth = now.saturating_sub(*bytes);
        assert!(
            growth <= MOST_GROWTH,
            "{name}: server {server} has grown by {} MiB to {} MiB",
            growth >> 20,
            now >> 20
        );
    }
    for server in cluster.servers() {
        assert!(!cluster.log(server).contains("panic"), "{name}: server {server} has panicked");
    }
}

/// The most memory that each server has ever held, in bytes.
fn memory(cluster: &mut Cluster) -> Vec<(u64, u64)> {
    cluster.servers().map(|server| (server, cluster.process(server).peak_bytes())).collect()
}

/// A connection that gives up on a server which does not go on, or `None` if there are too many.
fn connect(port: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&port, Duration::from_secs(5)).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(300))).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(300))).ok()?;
    Some(stream)
}

/// How many connections to each of so many ports leave this process three quarters of the files that it may open.
fn most_files(ports: usize) -> u64 {
    getrlimit(Resource::Nofile).current.map_or(u64::MAX, |limit| limit / 4 / ports as u64)
}

/// What the server has to say, until it ends the connection or has no more to say.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// A body in the frame that travels between servers: length, CRC-32 of length and body, body.
fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let checksum = crc32fast::hash(&[&length, body].concat()).to_le_bytes();
    [&length, &checksum, body].concat()
}

/// Bytes that are noise, and the same each time (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}
