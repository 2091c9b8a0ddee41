//! Engines on real threads, whose clock stands still: whatever completes does so since each thread was woken for it.
//!
//! With a clock that ticks, a wake-up that is missing costs a tick, and the next test passes all the same. Here it costs the
//! test: every thread sleeps until it is woken. Elections need ticks, so the test moves the clock until all groups have the
//! leaders that they should, and then no more.

use std::cell::Cell;
use std::net::TcpListener;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake as TaskWake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_engine::example::Counter;
use niagara_engine::sim::{Clock, ManualClock};
use niagara_engine::{
    Completion, Config, Consistency, Durability, Engine, GlobalPosition, Member, Port, Wake,
};

/// A step of the engines' clock.
const TICK: Duration = Duration::from_secs(1);
/// More than enough for what takes milliseconds; a sleep that nobody ends lasts longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Operations of a kind through each server.
const TIMES: usize = 10;
const GROUPS: u16 = 2;

/// Servers in one process that share a clock.
struct Servers {
    engines: Vec<Engine<Counter>>,
    clock: Arc<ManualClock>,
    now: Cell<Duration>,
}

impl Servers {
    fn start(servers: u64, dir: Option<&Path>) -> Servers {
        let members = members(servers);
        let clock = Arc::new(ManualClock::new());
        let start = |server| {
            let mut config = Config::new(0xe5, server, members.clone());
            (config.tick, config.segment_bytes) = (TICK, 1 << 20);
            // A burst is more than may wait for execution, so that the merge stops for it, too.
            config.merge_bytes = 64 << 10;
            match dir {
                Some(dir) => config.data_dir = dir.join(server.to_string()),
                None => config.durability = Durability::Memory,
            }
            Engine::start_under(Clock::Manual(Arc::clone(&clock)), config, Counter::default()).unwrap()
        };
        let servers =
            Servers { engines: (1..=servers).map(start).collect(), clock, now: Cell::new(Duration::ZERO) };
        servers.settle();
        servers
    }

    /// Moves the clock until the leaders are those that belong there, and the idle groups have skipped ahead.
    fn settle(&self) {
        let begun = Instant::now();
        let mut settled = 0;
        while settled < 50 {
            assert!(begun.elapsed() < PATIENCE, "no leaders were elected");
            self.tick();
            settled = if self.is_led_as_wanted() { settled + 1 } else { 0 };
        }
    }

    /// Moves the clock until the merge of each server awaits the group of the last command, as it does when nothing is under way.
    ///
    /// A strong read asks the group that its server's merge awaits. If that is another one, which skips ahead at the same
    /// moment, the read's barrier is a thousand rounds away, and the read asks again after two ticks, by design; with the clock
    /// standing still that would be never. The group of the last command does not skip ahead.
    fn rest(&self, last: GlobalPosition) {
        let group = (last.get() - 1) % u64::from(GROUPS) + 1;
        let (begun, mut rested) = (Instant::now(), 0);
        while rested < 3 {
            assert!(begun.elapsed() < PATIENCE, "the merges do not come to rest");
            self.tick();
            let mut servers = self.engines.iter().map(|engine| engine.client().status());
            let is_at_rest = servers.all(|status| u64::from(status.awaited_group) == group);
            rested = if is_at_rest { rested + 1 } else { 0 };
        }
    }

    fn tick(&self) {
        self.now.set(self.now.get() + TICK);
        self.clock.set(self.now.get());
        self.engines.iter().for_each(Engine::clock_moved);
        // What a tick sets off is to arrive before the next.
        thread::sleep(Duration::from_millis(2));
    }

    /// Leaders are spread over the servers, and known to all.
    fn is_led_as_wanted(&self) -> bool {
        let servers = self.engines.len() as u64;
        self.engines.iter().all(|engine| {
            let led = engine.client().status().local.into_iter();
            led.zip(0..).all(|(group, index)| group.leader == index % servers + 1)
        })
    }
}

impl Drop for Servers {
    /// Threads that nobody wakes cannot be joined either: a test that has failed leaves them.
    fn drop(&mut self) {
        if thread::panicking() {
            std::mem::forget(std::mem::take(&mut self.engines));
        }
    }
}

/// Addresses that nobody uses at the moment.
fn members(servers: u64) -> Vec<Member> {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners: Vec<_> = (0..servers * u64::from(GROUPS + 1)).map(|_| free()).collect();
    let mut addresses = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string());
    let mut next = || addresses.next().unwrap();
    let member =
        |server| Member { server, addresses: (0..GROUPS).map(|_| next()).collect(), transfer: next() };
    (1..=servers).map(member).collect()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

impl TaskWake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What a ticket is for, which must come before the patience ends.
fn outcome<T>(what: &str, ticket: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut ticket, begun) = (pin!(ticket), Instant::now());
    loop {
        if let Poll::Ready(outcome) = ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: nobody was woken");
        thread::park_timeout(PATIENCE);
    }
}

/// So many completions of a port.
fn completions(what: &str, port: &mut Port<Counter>, wanted: usize) -> Vec<Completion<usize>> {
    let (mut came, begun) = (Vec::new(), Instant::now());
    port.collect(&mut came);
    while came.len() < wanted {
        assert!(begun.elapsed() < PATIENCE, "{what}: nobody was woken");
        if port.may_sleep() {
            thread::park_timeout(PATIENCE);
        }
        port.awake();
        let mut more = Vec::new();
        port.collect(&mut more);
        came.append(&mut more);
    }
    came
}

/// One operation at a time, so that all threads sleep before each.
fn lone_operations(servers: &Servers) {
    for (from, engine) in servers.engines.iter().enumerate() {
        let client = engine.client();
        let mut port = client.port(Arc::new(Unpark(thread::current())));
        for _ in 0..TIMES {
            let ticket = client.propose(Bytes::from_static(b"lone")).unwrap();
            let applied = outcome("a lone write", ticket).unwrap();
            // Every server executes it without being asked for anything.
            for other in &servers.engines {
                let ticket = other.client().read(Consistency::AtLeast(applied.position));
                let count = outcome("a read of a position", ticket).unwrap();
                assert!(count.load(SeqCst) >= applied.reply);
            }
            servers.rest(applied.position);
            let count = outcome("a lone strong read", client.read(Consistency::Strong)).unwrap();
            assert!(count.load(SeqCst) >= applied.reply, "read_is_fresh");
            let next = servers.engines[(from + 1) % servers.engines.len()].client();
            let count = outcome("a strong read elsewhere", next.read(Consistency::Strong)).unwrap();
            assert!(count.load(SeqCst) >= applied.reply, "read_is_fresh");
            let mut last = applied.position;
            for lane in [port.choose_lane()].into_iter().chain(port.lanes_led_here().collect::<Vec<_>>()) {
                port.propose(lane, 7, b"lone").unwrap();
                port.flush();
                let came = completions("a lone write through a port", &mut port, 1);
                let [Completion::Applied { token: 7, position, .. }] = came[..] else { panic!("{came:?}") };
                last = position;
            }
            servers.rest(last);
            port.read(8, Consistency::Strong);
            port.flush();
            let came = completions("a lone strong read through a port", &mut port, 1);
            assert!(matches!(came[..], [Completion::Readable { token: 8, .. }]), "{came:?}");
        }
    }
}

/// More than a group's window holds, at once, and the lane of each group: its thread waits for the merge, and is woken.
fn bursts(servers: &Servers) {
    const COMMANDS: u64 = 600;
    for engine in &servers.engines {
        let mut port = engine.client().port(Arc::new(Unpark(thread::current())));
        for lane in port.lanes_led_here().collect::<Vec<_>>() {
            (0..COMMANDS).for_each(|token| port.propose(lane, token, &[0; 1 << 10]).unwrap());
            port.flush();
            let came = completions("a burst", &mut port, COMMANDS as usize);
            assert!(came.iter().all(|one| matches!(one, Completion::Applied { .. })));
        }
    }
}

/// A snapshot that is asked for, of each server's own.
fn snapshots(servers: &Servers) {
    for client in servers.engines.iter().map(Engine::client) {
        let begun = Instant::now();
        client.snapshot();
        while client.status().snapshot.position == 0 {
            assert!(begun.elapsed() < PATIENCE, "a snapshot: nobody was woken");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// `dir`: with logs that are synced, by threads of their own.
fn nothing_waits_for_a_tick(count: u64, dir: Option<&Path>) {
    let mut servers = Servers::start(count, dir);
    lone_operations(&servers);
    bursts(&servers);
    snapshots(&servers);
    std::mem::take(&mut servers.engines).into_iter().for_each(Engine::stop);
}

#[test]
fn nothing_waits_for_a_tick_in_one_server() {
    nothing_waits_for_a_tick(1, None);
}

#[test]
fn nothing_waits_for_a_tick_in_one_server_that_syncs() {
    nothing_waits_for_a_tick(1, Some(tempfile::tempdir().unwrap().path()));
}

#[test]
fn nothing_waits_for_a_tick_in_three_servers() {
    nothing_waits_for_a_tick(3, None);
}

#[test]
fn nothing_waits_for_a_tick_in_three_servers_that_sync() {
    nothing_waits_for_a_tick(3, Some(tempfile::tempdir().unwrap().path()));
}
