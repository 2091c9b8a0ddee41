//! Faults of all kinds, in any order.

use std::env;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use niagara_engine::Durability;
use niagara_tests::{Client, Cluster, ClusterPlan, History, Load, LoadPlan, rounds};

/// Time between two faults, in milliseconds: some come while the one before is being dealt with, others long after.
const PAUSES: [u64; 6] = [1, 10, 50, 200, 600, 1500];

/// Proves that servers which fail, stand still and come back in any order, a majority of them at times, lose nothing that was
/// acknowledged, execute nothing twice and answer no strong read from an old state; and that the cluster serves again once
/// they are back (`progress_after_heal`).
///
/// The faults come from a number, printed and taken from `NIAGARA_TEST_SEED` if that is set. What servers and clients make of
/// them depends on the machine, so a failure need not come back with its number.
#[test]
fn in_any_order() {
    let mut random = Random::new();
    let mut cluster = ClusterPlan::new(3, 4).durability(Durability::Fsync).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan { readers: 2, ..LoadPlan::default() });
    let mut states = [State::Up; 3];
    for _ in 0..rounds(30) {
        let at = random.below(states.len());
        states[at] = next_fault(&mut cluster, at as u64 + 1, states[at], &mut random);
        thread::sleep(Duration::from_millis(PAUSES[random.below(PAUSES.len())]));
    }
    for (server, state) in cluster.servers().zip(states) {
        heal(&mut cluster, server, state);
    }
    load.await_progress(100);
    cluster.servers().for_each(|server| cluster.await_ready(server));
    load.stop();
    for endpoint in cluster.endpoints() {
        Client::both(endpoint).iter_mut().for_each(|client| history.verify(client));
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
    cluster.stop_all();
}

#[derive(Clone, Copy)]
enum State {
    Up,
    Paused,
    Down,
}

/// Does something to a server that is in this state; the state that it is in then.
fn next_fault(cluster: &mut Cluster, server: u64, state: State, random: &mut Random) -> State {
    match (state, random.below(2)) {
        (State::Up, 0) => {
            println!("pause {server}");
            cluster.pause(server);
            State::Paused
        }
        (State::Up | State::Paused, 1) => {
            println!("kill {server}");
            cluster.kill(server);
            State::Down
        }
        (state, _) => {
            heal(cluster, server, state);
            State::Up
        }
    }
}

fn heal(cluster: &mut Cluster, server: u64, state: State) {
    match state {
        State::Up => {}
        State::Paused => {
            println!("resume {server}");
            cluster.resume(server);
        }
        State::Down => {
            println!("start {server}");
            cluster.launch(server);
        }
    }
}

/// Numbers from a seed (xorshift).
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = match env::var("NIAGARA_TEST_SEED") {
            Ok(text) => text.parse().expect("NIAGARA_TEST_SEED is a number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64),
        };
        println!("NIAGARA_TEST_SEED={seed}");
        // Spread, since xorshift is slow to leave numbers with few bits, and never leaves 0.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}
