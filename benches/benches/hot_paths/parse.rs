//! What clients' bytes cost before anything is replicated: parsing alone, and a front end's whole work.
//!
//! A front end's thread parses every request that comes in and prints every reply, so this bounds the requests per second
//! and front-end thread. `resp::parse` copies the arguments out of the input, which a session does not, so it bounds the
//! parser from above; the session of a front end is measured whole, with the engine's work left out.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group};
use niagara_engine::internals::sim::{Clock, Environment, SimServer};
use niagara_engine::{Config, Durability, Member};
use niagara_kvstore::sim::SimFrontEnd;
use niagara_kvstore::{Kv, Life, http, resp};
use niagara_log::SystemFiles;

/// Requests of a pipeline.
const PIPELINE: usize = 100;

const CONNECTION: u32 = 1;

/// SETs of 16-byte keys and values, as clients' libraries write them.
fn arrays() -> Vec<u8> {
    let set = |number| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey/{number:012}\r\n$16\r\nvvvvvvvvvvvvvvvv\r\n");
    (0..PIPELINE).map(set).collect::<String>().into()
}

/// The same, as people type them.
fn lines() -> Vec<u8> {
    let set = |number| format!("SET key/{number:012} vvvvvvvvvvvvvvvv\r\n");
    (0..PIPELINE).map(set).collect::<String>().into()
}

/// Parses a stream from start to end, and returns how many requests it holds.
fn parse_all(mut stream: &[u8]) -> usize {
    let mut requests = 0;
    while !stream.is_empty() {
        let request = resp::parse(stream).expect("it is well formed").expect("it is all there");
        stream = &stream[request.length..];
        black_box(request.arguments);
        requests += 1;
    }
    requests
}

fn redis(c: &mut Criterion) {
    let mut bench = c.benchmark_group("parse 100 SETs, per request");
    bench.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, stream) in [("arrays", arrays()), ("lines", lines())] {
        bench.bench_function(name, |b| b.iter(|| assert_eq!(parse_all(black_box(&stream)), PIPELINE)));
    }
    bench.finish();
}

const PUT: &str = "PUT /kv/key%2F000000000042 HTTP/1.1\r\nHost: localhost:7001\r\nUser-Agent: curl/8.5.0\r\n\
                   Accept: */*\r\nContent-Length: 16\r\nContent-Type: application/octet-stream\r\n\r\nvvvvvvvvvvvvvvvv";

const GET: &str = "GET /kv/key%2F000000000042 HTTP/1.1\r\nHost: localhost:7001\r\nUser-Agent: curl/8.5.0\r\n\
                   Accept: */*\r\n\r\n";

/// The heads of requests, with the header lines of a common client.
fn http(c: &mut Criterion) {
    let mut bench = c.benchmark_group("parse the head of an HTTP request");
    bench.throughput(Throughput::Elements(1));
    for (name, request) in [("PUT", PUT), ("GET", GET)] {
        bench.bench_function(name, |b| {
            b.iter(|| assert!(matches!(http::parse(black_box(request.as_bytes())), Ok(Some(_)))));
        });
    }
    bench.finish();
}

/// A front end at a cluster of one server, which is driven by hand.
struct Front {
    machine: SimServer<Kv>,
    desk: SimFrontEnd<Kv>,
}

impl Front {
    fn new() -> Front {
        let address = "nowhere:0".to_owned();
        let member = Member { server: 1, addresses: vec![address.clone()], transfer: address };
        let mut config = Config::new(1, 1, vec![member]);
        config.durability = Durability::Memory;
        config.snapshot_entries = 1 << 16;
        let outside = Environment {
            boot: 1,
            clock: Clock::System,
            files: Arc::new(SystemFiles),
            prepare_beside: false,
            election_seed: Some(1),
        };
        let mut machine = SimServer::open(&config, &outside, Kv::new()).expect("an empty log opens");
        while !machine.standing(0).leads {
            machine.tick_group(0);
            machine.turn(0);
            machine.write_log(0).expect("memory can be written");
        }
        let mut desk = SimFrontEnd::new(&machine.client(), Life::new(1).expect("not 0"), Instant::now());
        desk.connect_redis(CONNECTION);
        Front { machine, desk }
    }

    /// The engine's part: executes what waits.
    fn execute(&mut self) {
        while self.machine.pending_commands() > 0 {
            self.machine.turn(0);
            self.machine.write_log(0).expect("memory can be written");
            while self.machine.merge() {}
            while self.machine.execute() {}
        }
        while self.machine.wants_keeping() {
            self.machine.keep_snapshots();
        }
    }

    /// Serves a pipeline, and returns how long the front end took for it.
    fn serve(&mut self, stream: &[u8]) -> Duration {
        let begun = Instant::now();
        self.desk.receive(CONNECTION, stream);
        let early = self.desk.turn(begun);
        let requests = begun.elapsed();
        assert!(early.is_empty(), "nothing is answered before it is executed");
        self.execute();
        let begun = Instant::now();
        let replies = self.desk.turn(begun);
        let took = requests + begun.elapsed();
        assert_eq!(replies, [(CONNECTION, b"+OK\r\n".repeat(PIPELINE))]);
        took
    }
}

/// From a client's bytes to commands in a lane, and from their outcomes to the bytes of the replies.
fn session(c: &mut Criterion) {
    let mut bench = c.benchmark_group("serve 100 SETs, per request");
    let mut front = Front::new();
    bench.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, stream) in [("arrays", arrays()), ("lines", lines())] {
        bench.bench_function(name, |b| {
            b.iter_custom(|times| (0..times).map(|_| front.serve(&stream)).sum());
        });
    }
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1).sample_size(50); targets = redis, http, session }
