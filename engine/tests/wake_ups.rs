//! What a batch of commands costs in wake-ups: a few for each thread that it passes through, however many
//! commands it has.

#[path = "no_ticks/servers.rs"]
mod servers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use niagara_engine::{Engine, Wake};

use servers::{Servers, Unpark, completions};

/// Number of batches, one after the other.
const BATCHES: u64 = 100;
/// The most times that a server's threads together go to sleep per batch: two or three, and a few more on a
/// busy machine. A thread that is woken for each command does so a thousand times.
const MOST_SLEEPS: f64 = 10.0;

/// Wakes the port's thread, and counts that.
struct Counted(Unpark, AtomicU64);

impl Wake for Counted {
    fn wake(&self) {
        self.1.fetch_add(1, SeqCst);
        self.0.wake();
    }
}

/// How often the engines' threads have gone to sleep. With a clock that stands still, each sleep ends with a
/// wake-up by another thread or by a message, so this counts wake-ups.
fn sleeps() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of_engines = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        ["group-", "sequencer", "application"].iter().any(|part| name.starts_with(part))
    });
    let sleeps = of_engines.map(|task| {
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.expect("proc(5) has it").trim().parse::<u64>().unwrap()
    });
    sleeps.sum()
}

/// Wake-ups per batch of `commands` commands through the first server: of all engines' threads, and of the
/// port's.
fn wake_ups_per_batch(servers: &Servers, commands: u64) -> (f64, f64) {
    let wake = Arc::new(Counted(Unpark(thread::current()), AtomicU64::new(0)));
    let mut port = servers.engines[0].client().port(Arc::<Counted>::clone(&wake));
    let before = sleeps();
    for _ in 0..BATCHES {
        let lane = port.choose_lane();
        (0..commands).for_each(|token| port.propose(lane, token, b"sixteen bytes...").unwrap());
        port.flush();
        completions("a batch", &mut port, commands as usize);
    }
    let per_batch = |count: u64| count as f64 / BATCHES as f64;
    (per_batch(sleeps() - before), per_batch(wake.1.load(SeqCst)))
}

#[test]
fn a_batch_of_a_thousand_commands_wakes_as_often_as_one_of_ten() {
    for count in [1, 3] {
        let mut servers = Servers::start(count, None);
        wake_ups_per_batch(&servers, 10);
        for commands in [10, 1000] {
            let (sleeps, wakes) = wake_ups_per_batch(&servers, commands);
            let each = sleeps / count as f64;
            println!(
                "{count} servers, {commands} commands: a server sleeps {each:.1} times for a batch, the port {wakes:.2}"
            );
            assert!(
                each < MOST_SLEEPS,
                "a server goes to sleep {each} times for a batch of {commands} commands"
            );
            assert!(wakes <= 3.0, "a port is woken {wakes} times for a batch of {commands} commands");
        }
        std::mem::take(&mut servers.engines).into_iter().for_each(Engine::stop);
    }
}
