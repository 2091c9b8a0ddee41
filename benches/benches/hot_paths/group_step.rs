//! What it costs to replicate one entry of one group, without sockets, threads and disks: from the cut out of waiting
//! commands until they are applied.
//!
//! A group has one thread on every server, so what the leader's spends on an entry bounds the entries per second of the
//! group; what its sequencer and application spend bounds those of all groups together; and what the whole way takes is the
//! least latency, to which a network can only add. Three servers are driven by hand, with the production code of every
//! thread. Frames go through the receiver's checks; the copy into its buffer stands for the sockets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group};
use niagara_engine::internals::example::Counter;
use niagara_engine::internals::sim::{Clock, Environment, SimServer};
use niagara_engine::{Completion, Config, Durability, Member, Port, Wake};
use niagara_log::SystemFiles;
use niagara_net::{DEFAULT_MAX_FRAME_BYTES, DEFAULT_READ_BUFFER_BYTES, Event, Frame, FrameReader};

const SERVERS: usize = 3;

/// The server that the placement wants to lead the only group, by zero-based index.
const LEADER: usize = 0;

const GROUP: usize = 0;

/// Commands of 16 bytes, each behind one byte of length, that fill an entry of 64 KiB.
const FULL: usize = (64 << 10) / 17;

/// One server, and what is on its way to it: each frame with its sender.
struct Server {
    machine: SimServer<Counter>,
    arriving: VecDeque<(u64, Frame)>,
    reader: FrameReader,
}

impl Server {
    fn open(id: u64) -> Server {
        let member = |server| {
            let address = "nowhere:0".to_owned();
            Member { server, addresses: vec![address.clone()], transfer: address }
        };
        let mut config = Config::new(1, id, (1..=SERVERS as u64).map(member).collect());
        config.durability = Durability::Memory;
        // The log is compacted now and then, so that it does not grow for as long as the bench runs.
        config.snapshot_entries = 1 << 16;
        config.snapshot_bytes = 16 << 20;
        let environment = Environment {
            boot: id,
            clock: Clock::System,
            files: Arc::new(SystemFiles),
            prepare_beside: false,
            election_seed: Some(1),
        };
        Server {
            machine: SimServer::open(&config, &environment, Counter::default()).expect("an empty log opens"),
            arriving: VecDeque::new(),
            reader: FrameReader::new(DEFAULT_READ_BUFFER_BYTES, DEFAULT_MAX_FRAME_BYTES),
        }
    }

    /// Receives what has arrived, and lets every thread go round until there is nothing to do. What it sends, and how long
    /// its threads ran.
    fn run(&mut self) -> (Vec<(u64, Frame)>, Spent) {
        let (mut sent, mut spent) = (Vec::new(), Spent::default());
        let mut begun = Instant::now();
        while let Some((from, frame)) = self.arriving.pop_front() {
            let body = read(&mut self.reader, &frame);
            self.machine.handle(GROUP, Event::Frame { from, body });
        }
        loop {
            sent.append(&mut self.machine.turn(GROUP));
            self.machine.write_log(GROUP).expect("memory can be written");
            let turned = Instant::now();
            while self.machine.merge() {}
            while self.machine.execute() {}
            let executed = Instant::now();
            spent.group += turned - begun;
            spent.others += executed - turned;
            if !self.machine.wants_turn(GROUP) {
                return (sent, spent);
            }
            begun = executed;
        }
    }

    /// What other threads do beside the group's, and in longer intervals.
    fn keep_snapshots(&mut self) {
        while self.machine.wants_keeping() {
            self.machine.keep_snapshots();
        }
    }
}

/// A frame as it comes out of a socket.
fn read(reader: &mut FrameReader, frame: &Frame) -> Bytes {
    for mut bytes in frame.slices() {
        while !bytes.is_empty() {
            let room = reader.room();
            let (piece, rest) = bytes.split_at(room.len().min(bytes.len()));
            room[..piece.len()].copy_from_slice(piece);
            reader.advance(piece.len());
            bytes = rest;
        }
    }
    let body = reader.next_body().expect("nothing damages it");
    body.expect("all of it has come")
}

/// How long a server's threads ran.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// The group's, which writes the log in memory, too.
    group: Duration,
    /// The sequencer's and the application's.
    others: Duration,
}

impl Spent {
    fn total(self) -> Duration {
        self.group + self.others
    }
}

/// How long it took to replicate an entry.
#[derive(Default)]
struct Took {
    /// On its way from the cut to applied on the leader: the leader and the faster of the followers, one after the other.
    applied: Duration,
    /// All that the leader's threads did for it, until everybody has applied it.
    leader: Spent,
    /// All that all three servers did for it.
    all: Duration,
}

/// Three servers, and a caller of the leader.
struct Cluster {
    servers: Vec<Server>,
    port: Port<Counter>,
    completions: Vec<Completion<usize>>,
}

/// Nobody sleeps here.
struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

impl Cluster {
    /// A cluster whose leader is elected.
    fn new() -> Cluster {
        let servers: Vec<Server> = (1..=SERVERS as u64).map(Server::open).collect();
        let port = servers[LEADER].machine.client().port(Arc::new(NeverAsleep));
        let mut cluster = Cluster { servers, port, completions: Vec::new() };
        for (at, server) in cluster.servers.iter_mut().enumerate() {
            let peers = (0..SERVERS).filter(|peer| *peer != at);
            peers.for_each(|peer| server.machine.handle(GROUP, Event::Up { peer: peer as u64 + 1 }));
        }
        for _ in 0..100 {
            for at in 0..SERVERS {
                cluster.servers[at].machine.tick_group(GROUP);
                cluster.run(at, &mut Took::default());
            }
            cluster.settle(&mut Took::default());
        }
        assert!(cluster.servers[LEADER].machine.standing(GROUP).leads, "the wanted server leads");
        cluster
    }

    /// Lets a server run, puts what it sends before the others, and counts its time. How long it ran.
    fn run(&mut self, at: usize, took: &mut Took) -> Duration {
        let (sent, spent) = self.servers[at].run();
        for (to, frame) in sent {
            self.servers[to as usize - 1].arriving.push_back((at as u64 + 1, frame));
        }
        if at == LEADER {
            took.leader.group += spent.group;
            took.leader.others += spent.others;
        }
        took.all += spent.total();
        spent.total()
    }

    /// Lets those run who are sent something, until nothing is on its way.
    fn settle(&mut self, took: &mut Took) {
        while let Some(at) = self.servers.iter().position(|server| !server.arriving.is_empty()) {
            self.run(at, took);
        }
    }

    /// Puts commands into the leader's lane, less than what would make two entries.
    fn stage(&mut self, commands: usize) {
        let lane = self.port.choose_lane();
        for token in 0..commands as u64 {
            self.port.propose(lane, token, &[b'c'; 16]).expect("the lane is empty");
        }
        self.port.flush();
    }

    /// Replicates what waits, as one entry.
    fn replicate(&mut self, commands: usize) -> Took {
        let mut took = Took::default();
        let index = self.servers[LEADER].machine.standing(GROUP).last + 1;
        let cut = self.run(LEADER, &mut took);
        assert_eq!(self.servers[LEADER].machine.standing(GROUP).last, index, "the commands share one entry");
        let follow = self.run(LEADER + 1, &mut took);
        let commit = self.run(LEADER, &mut took);
        took.applied = cut + follow + commit;
        self.port.collect(&mut self.completions);
        assert_eq!(self.completions.len(), commands, "one follower is enough");
        self.completions.clear();
        self.settle(&mut took);
        self.servers.iter_mut().for_each(Server::keep_snapshots);
        took
    }
}

/// A part of the time that an entry takes, and its name.
type Part = (&'static str, fn(&Took) -> Duration);

const PARTS: [Part; 4] = [
    ("from the cut to applied on the leader", |took| took.applied),
    ("the leader's group thread", |took| took.leader.group),
    ("the leader's sequencer and application", |took| took.leader.others),
    ("all three servers", |took| took.all),
];

fn group_step(c: &mut Criterion) {
    let mut cluster = Cluster::new();
    for (entry, commands) in [("an entry of 64 KiB", FULL), ("an entry with a single command", 1)] {
        let mut bench = c.benchmark_group(entry);
        bench.throughput(Throughput::Elements(commands as u64));
        for (name, part) in PARTS {
            bench.bench_function(name, |b| {
                b.iter_custom(|entries| {
                    let one = |_| {
                        cluster.stage(commands);
                        part(&cluster.replicate(commands))
                    };
                    (0..entries).map(one).sum()
                });
            });
        }
        bench.bench_function("staging in a port", |b| {
            b.iter_custom(|entries| {
                let one = |_| {
                    let begun = Instant::now();
                    cluster.stage(commands);
                    let took = begun.elapsed();
                    cluster.replicate(commands);
                    took
                };
                (0..entries).map(one).sum()
            });
        });
        bench.finish();
    }
}

criterion_group! { name = benches; config = crate::measured_for(2); targets = group_step }
