//! Engines on real threads, whose clock stands still: nothing can complete without a wake-up of each thread
//! that it needs.
//!
//! With a clock that ticks, a missing wake-up costs a tick, and the test passes all the same. Here it fails
//! the test: every thread sleeps until it is woken.

mod servers;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake as TaskWake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_engine::{Completion, Consistency, Engine, GlobalPosition, LaneId};

use servers::{GROUPS, PATIENCE, Servers, Unpark, completions};

/// Operations of each kind through each server.
const TIMES: usize = 10;

impl TaskWake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The result of a ticket.
///
/// # Panics
/// If it comes too late, or only after patience has run out.
fn outcome<T>(what: &str, ticket: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut ticket, begun) = (pin!(ticket), Instant::now());
    loop {
        let polled = ticket.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(begun.elapsed() < PATIENCE, "{what}: nobody was woken");
        if let Poll::Ready(outcome) = polled {
            return outcome;
        }
        thread::park_timeout(PATIENCE);
    }
}

/// Moves the clock until each server's merge awaits the group of the last command, as it does when nothing is
/// in flight.
///
/// A strong read asks the group that its server's merge awaits. If that is another group, which skips ahead
/// at the same moment, the read's barrier is a thousand rounds away, and by design the read asks again after
/// two ticks; with the clock standing still, that would be never. The group of the last command does not skip
/// ahead.
fn rest(servers: &Servers, last: GlobalPosition) {
    let group = (last.get() - 1) % u64::from(GROUPS) + 1;
    let (begun, mut rested) = (Instant::now(), 0);
    while rested < 3 {
        assert!(begun.elapsed() < PATIENCE, "the merges do not come to rest");
        servers.tick();
        let mut statuses = servers.engines.iter().map(|engine| engine.client().status());
        let is_at_rest = statuses.all(|status| u64::from(status.awaited_group) == group);
        rested = if is_at_rest { rested + 1 } else { 0 };
    }
}

/// Lanes of all groups, whichever server leads them.
fn lanes(servers: &Servers) -> Vec<LaneId> {
    let ports =
        servers.engines.iter().map(|engine| engine.client().port(Arc::new(Unpark(thread::current()))));
    ports.flat_map(|port| port.lanes_led_here().collect::<Vec<_>>()).collect()
}

/// One operation at a time, so that all threads sleep before each.
fn lone_operations(servers: &Servers) {
    for (from, engine) in servers.engines.iter().enumerate() {
        let client = engine.client();
        let mut port = client.port(Arc::new(Unpark(thread::current())));
        for _ in 0..TIMES {
            let ticket = client.propose(Bytes::from_static(b"lone")).unwrap();
            let applied = outcome("a lone write", ticket).unwrap();
            // Every server executes it without any request.
            for other in &servers.engines {
                let ticket = other.client().read(Consistency::AtLeast(applied.position));
                let count = outcome("a read of a position", ticket).unwrap();
                assert!(count.load(SeqCst) >= applied.reply);
            }
            rest(servers, applied.position);
            let count = outcome("a lone strong read", client.read(Consistency::Strong)).unwrap();
            assert!(count.load(SeqCst) >= applied.reply, "read_is_fresh");
            let next = servers.engines[(from + 1) % servers.engines.len()].client();
            let count = outcome("a strong read elsewhere", next.read(Consistency::Strong)).unwrap();
            assert!(count.load(SeqCst) >= applied.reply, "read_is_fresh");
            let mut last = applied.position;
            for lane in lanes(servers) {
                port.propose(lane, 7, b"lone").unwrap();
                port.flush();
                let came = completions("a lone write through a port", &mut port, 1);
                let [Completion::Applied { token: 7, position, .. }] = came[..] else { panic!("{came:?}") };
                last = position;
            }
            rest(servers, last);
            port.read(8, Consistency::Strong);
            port.flush();
            let came = completions("a lone strong read through a port", &mut port, 1);
            assert!(matches!(came[..], [Completion::Readable { token: 8, .. }]), "{came:?}");
        }
    }
}

/// More at once than a group's window holds, and than may be forwarded to another server: the group's thread
/// waits for the merge, or for execution, and is woken.
fn bursts(servers: &Servers) {
    const COMMANDS: u64 = 600;
    for engine in &servers.engines {
        let mut port = engine.client().port(Arc::new(Unpark(thread::current())));
        for lane in lanes(servers) {
            (0..COMMANDS).for_each(|token| port.propose(lane, token, &[0; 1 << 10]).unwrap());
            port.flush();
            let came = completions("a burst", &mut port, COMMANDS as usize);
            assert!(came.iter().all(|one| matches!(one, Completion::Applied { .. })));
        }
    }
}

/// Requests a snapshot of each server.
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

/// `dir` is where logs are kept, with threads that sync them; without it they are in memory.
fn nothing_waits_for_a_tick(count: u16, dir: Option<&Path>) {
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
