//! Memory is allocated per batch, never per command.

use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use niagara_engine::internals::example::Counter;
use niagara_engine::{Completion, Config, Durability, Engine, Member, Port, Wake};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// Proposes so many commands at once, and waits for all.
fn batch(port: &mut Port<Counter>, commands: u64, done: &mut Vec<Completion<usize>>) {
    let lane = port.choose_lane();
    (0..commands)
        .for_each(|token| port.propose(lane, token, b"sixteen bytes...").expect("there is a leader"));
    port.flush();
    let mut left = commands;
    while left > 0 {
        port.collect(done);
        left -= done.len() as u64;
        done.clear();
        if left > 0 && port.may_sleep() {
            thread::park_timeout(Duration::from_secs(1));
        }
        port.awake();
    }
}

/// Blocks that all threads of a server allocate for a batch, on average over many.
fn blocks_per_batch(port: &mut Port<Counter>, commands: u64) -> f64 {
    const BATCHES: u64 = 300;
    let mut done = Vec::new();
    (0..30).for_each(|_| batch(port, commands, &mut done));
    let before = dhat::HeapStats::get().total_blocks;
    (0..BATCHES).for_each(|_| batch(port, commands, &mut done));
    (dhat::HeapStats::get().total_blocks - before) as f64 / BATCHES as f64
}

#[test]
fn a_batch_of_a_thousand_commands_allocates_hardly_more_than_one_of_ten() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let member = Member { server: 1, addresses: vec!["127.0.0.1:0".into()], transfer: "127.0.0.1:0".into() };
    let mut config = Config::new(1, 1, vec![member]);
    config.durability = Durability::Memory;
    let engine = Engine::start(config, Counter::default()).expect("loopback and memory are enough to start");
    let client = engine.client();
    while !client.has_quorum() {
        thread::sleep(Duration::from_millis(10));
    }
    let mut port = client.port(Arc::new(Unpark(thread::current())));
    let [ten, thousand] = [10, 1000].map(|commands| blocks_per_batch(&mut port, commands));
    println!("blocks allocated per batch: {ten:.1} for ten commands, {thousand:.1} for a thousand");
    // What grows does so by doubling; a block per command would be a thousand more.
    assert!(thousand < ten + 20.0, "{ten} blocks for ten commands, {thousand} for a thousand");
    engine.stop();
}
