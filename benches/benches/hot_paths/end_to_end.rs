//! Three servers in one process, over real threads and loopback sockets, as an embedding program sees them.
//!
//! It bounds what a caller of the embedding API gets: with one ticket in flight the latency of a command, with many the
//! commands per second. All three servers share this machine's cores, of which R groups with a thread each want 3 R and
//! more: on few cores larger R cannot be faster, and what is to be seen is what it costs. Nothing touches a disk.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use niagara_engine::internals::example::Counter;
use niagara_engine::{Client, Completion, Config, Consistency, Durability, Engine, Member, Port, Wake};

const SERVERS: u64 = 3;

/// Addresses on loopback that nobody uses, one for each group of each server, and one for its snapshots.
fn members(groups: usize) -> Vec<Member> {
    let each = groups + 1;
    let listen = |_| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    // All are held until all are known, else the same one might be given twice.
    let listeners: Vec<TcpListener> = (0..SERVERS as usize * each).map(listen).collect();
    let address = |listener: &TcpListener| listener.local_addr().expect("it is bound").to_string();
    let addresses: Vec<String> = listeners.iter().map(address).collect();
    let member = |(server, addresses): (u64, &[String])| Member {
        server,
        addresses: addresses[1..].to_vec(),
        transfer: addresses[0].clone(),
    };
    (1..).zip(addresses.chunks(each)).map(member).collect()
}

/// A cluster in memory, in which every group has a leader and commands get through.
fn start(groups: usize) -> Vec<Engine<Counter>> {
    let members = members(groups);
    let start = |server| {
        let mut config = Config::new(0xbe, server, members.clone());
        config.durability = Durability::Memory;
        Engine::start(config, Counter::default()).expect("loopback and memory are enough to start")
    };
    let engines: Vec<Engine<Counter>> = (1..=SERVERS).map(start).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !engines.iter().all(|engine| engine.client().has_quorum()) {
        assert!(Instant::now() < deadline, "the groups elect leaders");
        thread::sleep(Duration::from_millis(5));
    }
    run(&engines[0].client(), 1);
    engines
}

/// Puts commands in flight, and waits for all of them.
fn run(client: &Client<Counter>, commands: u64) {
    let propose = |_| client.propose(Bytes::from_static(&[b'c'; 16])).expect("there is room for them");
    let tickets: Vec<_> = (0..commands).map(propose).collect();
    for ticket in tickets {
        ticket.wait().expect("a healthy cluster executes it");
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// Commands that are staged before a port is flushed, as a front end's turn does.
const COMMANDS_PER_FLUSH: u64 = 1024;

/// The same commands through a port.
fn run_port(port: &mut Port<Counter>, commands: u64) {
    let (mut proposed, mut ended, mut done) = (0, 0, Vec::new());
    while ended < commands {
        let lane = port.choose_lane();
        for _ in 0..COMMANDS_PER_FLUSH.min(commands - proposed) {
            port.propose(lane, proposed, &[b'c'; 16]).expect("there is room for them");
            proposed += 1;
        }
        port.flush();
        port.collect(&mut done);
        if done.is_empty() && proposed == commands {
            if port.may_sleep() {
                thread::park();
            }
            port.awake();
        }
        ended += done.len() as u64;
        let applied = |completion| matches!(completion, Completion::Applied { .. });
        assert!(done.drain(..).all(applied), "a healthy cluster executes it");
    }
}

/// Many commands in flight of one caller: through tickets, and through a port.
fn many_in_flight(c: &mut Criterion) {
    const COMMANDS: u64 = 60_000;
    let mut bench = c.benchmark_group("60,000 in flight");
    bench.throughput(Throughput::Elements(COMMANDS));
    for groups in [1, 2] {
        let engines = start(groups);
        let client = engines[0].client();
        let mut port = client.port(Arc::new(Unpark(thread::current())));
        bench.bench_function(BenchmarkId::new("tickets", format!("R={groups}")), |b| {
            b.iter(|| run(&client, COMMANDS));
        });
        bench.bench_function(BenchmarkId::new("port", format!("R={groups}")), |b| {
            b.iter(|| run_port(&mut port, COMMANDS));
        });
        engines.into_iter().for_each(Engine::stop);
    }
    bench.finish();
}

fn end_to_end(c: &mut Criterion) {
    let mut bench = c.benchmark_group("end to end");
    for groups in [1, 2, 4] {
        let engines = start(groups);
        // This server leads group 1, to which its commands go before they spill to others.
        let client = engines[0].client();
        for commands in [1, 100, 1000] {
            bench.throughput(Throughput::Elements(commands));
            bench.bench_function(BenchmarkId::new(format!("R={groups}"), commands), |b| {
                b.iter(|| run(&client, commands));
            });
        }
        bench.throughput(Throughput::Elements(1));
        bench.bench_function(BenchmarkId::new(format!("R={groups}"), "strong read"), |b| {
            b.iter(|| drop(client.read(Consistency::Strong).wait().expect("there is a quorum")));
        });
        engines.into_iter().for_each(Engine::stop);
    }
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1).sample_size(10); targets = end_to_end, many_in_flight }
