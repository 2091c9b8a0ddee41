//! Servers in one process whose clock stands still unless the test moves it.
//!
//! Elections need ticks, so the clock is moved until all groups have the leaders that they should have, and
//! then only at a test's request.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use niagara_engine::internals::example::Counter;
use niagara_engine::internals::sim::{Clock, ManualClock};
use niagara_engine::{Completion, Config, Durability, Engine, Member, Port, Wake};

/// Period of the engines' clock.
const TICK: Duration = Duration::from_secs(1);
/// More than enough for what takes milliseconds. A sleep without a wake-up lasts longer.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const GROUPS: u16 = 2;

/// Servers in one process that share a clock.
pub struct Servers {
    pub engines: Vec<Engine<Counter>>,
    clock: Arc<ManualClock>,
    now: Cell<Duration>,
}

impl Servers {
    /// Starts that many, with synced logs in this directory, or in memory. Their leaders have been elected.
    pub fn start(servers: u16, dir: Option<&Path>) -> Servers {
        let members = members(servers);
        let clock = Arc::new(ManualClock::new());
        let start = |server| {
            let mut config = Config::new(0xe5, server, members.clone());
            (config.tick, config.segment_bytes) = (TICK, 1 << 20);
            // A burst exceeds what may wait for execution, so the merge pauses for it, too.
            config.merge_bytes = 64 << 10;
            match dir {
                Some(dir) => config.data_dir = dir.join(server.to_string()),
                None => config.durability = Durability::Memory,
            }
            Engine::start_under(Clock::Manual(Arc::clone(&clock)), config, Counter::default()).unwrap()
        };
        let servers = Servers {
            engines: (1..=servers.into()).map(start).collect(),
            clock,
            now: Cell::new(Duration::ZERO),
        };
        servers.settle();
        servers
    }

    /// Moves the clock until the right servers lead, and the idle groups have skipped ahead.
    fn settle(&self) {
        let begun = Instant::now();
        let mut settled = 0;
        while settled < 50 {
            assert!(begun.elapsed() < PATIENCE, "no leaders were elected");
            self.tick();
            settled = if self.is_led_as_wanted() { settled + 1 } else { 0 };
        }
    }

    /// Moves the clock by a tick.
    pub fn tick(&self) {
        self.now.set(self.now.get() + TICK);
        self.clock.set(self.now.get());
        self.engines.iter().for_each(Engine::clock_moved);
        // The effects of a tick should arrive before the next.
        thread::sleep(Duration::from_millis(2));
    }

    /// Whether leaders are spread over the servers, and every server knows them.
    fn is_led_as_wanted(&self) -> bool {
        let servers = self.engines.len() as u64;
        self.engines.iter().all(|engine| {
            let led = engine.client().status().local.into_iter();
            led.zip(0..).all(|(group, index)| group.leader == index % servers + 1)
        })
    }
}

impl Drop for Servers {
    /// Threads that nobody wakes cannot be joined either, so a failed test leaves them.
    fn drop(&mut self) {
        if thread::panicking() {
            std::mem::forget(std::mem::take(&mut self.engines));
        }
    }
}

/// Addresses that nobody uses at the moment.
fn members(servers: u16) -> Vec<Member> {
    Config::local(servers, GROUPS).unwrap()[0].members.clone()
}

/// Wakes a parked thread.
pub struct Unpark(pub Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// `wanted` completions of a port.
///
/// # Panics
/// If they come too late, or only after patience has run out.
pub fn completions(what: &str, port: &mut Port<Counter>, wanted: usize) -> Vec<Completion<usize>> {
    let (mut came, begun) = (Vec::new(), Instant::now());
    loop {
        let mut more = Vec::new();
        port.collect(&mut more);
        came.append(&mut more);
        assert!(begun.elapsed() < PATIENCE, "{what}: nobody was woken");
        if came.len() >= wanted {
            return came;
        }
        if port.may_sleep() {
            thread::park_timeout(PATIENCE);
        }
        port.awake();
    }
}
