//! Three replicas of one group elect a leader and commit a command; each message is delivered by hand.
//!
//! `cargo run -p niagara-group --example elect`

use std::cell::RefCell;
use std::collections::VecDeque;

use niagara_group::batch::{Span, SubBatch};
use niagara_group::wire::Wire;
use niagara_group::{Driver, DriverConfig, LaneSource, Output, SlotIndex, View, Write};
use niagara_log::{Durability, HardState, LogConfig};

/// Commands from this server's clients: one, or none.
struct Lane(RefCell<Option<SubBatch>>);

impl LaneSource for Lane {
    fn is_empty(&self) -> bool {
        self.0.borrow().is_none()
    }
    fn bytes(&self) -> usize {
        self.0.borrow().as_ref().map_or(0, |batch| batch.body.len())
    }
    fn take(&self, _max_bytes: usize, out: &mut Vec<SubBatch>) {
        out.extend(self.0.take());
    }
    fn next_command(&self) -> u64 {
        1
    }
    fn gap_attempt(&self) -> Option<u32> {
        None
    }
}

/// Messages on their way: sender, receiver and contents.
type Network = VecDeque<(u64, u64, Wire)>;

fn replica(server: u64) -> Driver {
    let config = LogConfig::new("unused", Durability::Memory, 1);
    let (log, _) = niagara_log::open(&config, &mut |_| {}).expect("a new log in memory opens");
    let config = DriverConfig {
        server,
        group: 0,
        lanes: vec![0],
        lanes_before: 0,
        incarnation: 1,
        known_level: 1,
        voters: vec![1, 2, 3],
        wanted_leader: 1,
        first_leader: 1,
        boot: server,
        heartbeat_ticks: 2,
        election_ticks: 10,
        promise: None,
        campaign_ticks: 11..20,
        campaign_seed: Some(1),
        window: 4,
        entry_bytes: 64 << 10,
        sub_batch_bytes: 64 << 10,
        foreign_bytes: 1 << 20,
        send_queue_bytes: 1 << 20,
        pin_bytes: 1 << 20,
        unsynced_bytes: 1 << 20,
    };
    Driver::new(config, log, HardState::default(), SlotIndex::default())
}

/// Runs a turn and queues its messages. Its writes are durable at once, since the log is in memory; so what
/// waited for them leaves with the next turn.
fn turn(server: u64, driver: &mut Driver, command: Option<SubBatch>, network: &mut Network) {
    let (view, mut output) = (View { anchor: true, ..View::default() }, Output::default());
    driver.turn(&view, &[&Lane(RefCell::new(command))], &mut output);
    network.extend(output.messages.into_iter().map(|(to, wire)| (server, to, wire)));
    for write in output.writes {
        let Write::Ready { ready, entries, hard_state, .. } = write else { continue };
        let entries: Vec<_> = entries.iter().map(|entry| (entry.index, &entry.data)).collect();
        println!("    server {server} writes {hard_state:?}, entries {entries:?}");
        driver.persisted(ready);
        turn(server, driver, None, network);
    }
}

/// Delivers messages until none are left.
fn deliver(drivers: &mut [Driver], network: &mut Network) {
    while let Some((from, to, wire)) = network.pop_front() {
        if let Wire::Raft(message) | Wire::Notice(message) = &wire {
            let (kind, term, entries) = (message.msg_type, message.term, message.entries.len());
            println!(
                "  {from} -> {to}  {kind:?}, term {term}, entries: {entries}, commit {}",
                message.commit
            );
        }
        let driver = &mut drivers[to as usize - 1];
        driver.receive(from, wire);
        turn(to, driver, None, network);
    }
}

fn main() {
    let mut drivers: Vec<Driver> = (1..=3).map(replica).collect();
    let mut network = Network::new();
    println!("Server 1 hears of no leader for an election timeout:");
    while network.is_empty() {
        drivers[0].tick(&View::default());
        turn(1, &mut drivers[0], None, &mut network);
    }
    deliver(&mut drivers, &mut network);
    println!("Server 1 leads in term {}. A client's command arrives:", drivers[0].term());
    let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 1 };
    let batch = SubBatch { span, lone: true, body: "x = 1".into() };
    turn(1, &mut drivers[0], Some(batch), &mut network);
    deliver(&mut drivers, &mut network);
    assert!(drivers.iter().all(|driver| driver.commit() == 2));
    println!("All three know that entry 2 is committed.");
}
