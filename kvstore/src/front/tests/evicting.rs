//! Evictions in a store to which nobody writes: when a server proposes them, and when it leaves them to others.

use std::time::{Duration, Instant};

use super::fake::{FakeEngine, FakeServer};
use crate::Op;
use crate::command::{self, Condition};
use crate::front::evicting::Evicting;
use crate::front::token::NOBODY;
use crate::protocol::Engine;

struct World {
    server: FakeServer,
    engine: FakeEngine,
    evicting: Evicting,
    now: Instant,
}

impl World {
    fn with_keys(count: u64) -> World {
        let server = FakeServer::new();
        let (mut engine, _) = server.engine();
        engine.trace = Some(Vec::new());
        let evicting = Evicting::new(server.reader().clone());
        let mut world = World { server, engine, evicting, now: Instant::now() };
        (0..count).for_each(|number| world.set(number));
        world
    }

    fn execute(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut command = Vec::new();
        encode(&mut command);
        let lane = self.engine.choose_lane();
        self.engine.propose(lane, NOBODY, &command).unwrap();
        self.settle();
    }

    fn set(&mut self, number: u64) {
        self.execute(|out| command::encode_set_head(out, &number.to_le_bytes(), &Condition::Always, false));
    }

    fn limit(&mut self, most: &[u8], policy: &[u8]) {
        let words: [&[u8]; 5] = [b"SET", b"maxmemory", most, b"maxmemory-policy", policy];
        self.execute(|out| command::encode_call(out, Op::Config, words.into_iter()));
    }

    fn settle(&mut self) {
        self.engine.flush();
        while self.engine.step() {}
    }

    /// How many evictions are proposed, and executed, so many milliseconds later.
    fn proposed_after(&mut self, ms: u64) -> usize {
        self.now += Duration::from_millis(ms);
        self.engine.trace = Some(Vec::new());
        self.evicting.turn(self.now, &mut self.engine);
        self.settle();
        let trace = self.engine.trace.replace(Vec::new()).unwrap_or_default();
        trace.iter().filter(|line| line.contains("make room")).count()
    }

    fn keys(&self) -> u64 {
        self.server.reader().len()
    }
}

#[test]
fn a_lowered_limit_holds_soon_although_nobody_writes() {
    let mut world = World::with_keys(1000);
    assert_eq!(world.proposed_after(1000), 0, "there is no limit");
    world.limit(b"20kb", b"allkeys-random");
    assert_eq!((world.proposed_after(0), world.keys()), (0, 1000), "writes may come");
    assert_eq!(world.evicting.due(), Some(world.now + Duration::from_millis(100)));
    let mut before = world.keys();
    while world.server.reader().sizes().1 > 20 << 10 {
        assert_eq!(world.proposed_after(100), 1);
        assert!((1..=256).contains(&(before - world.keys())), "{} of {before} are left", world.keys());
        before = world.keys();
        // The next one follows at once.
        assert!(world.evicting.due().is_some());
    }
    assert!(world.keys() > 80, "no more goes than must");
    assert_eq!(world.proposed_after(1000), 0);
    assert_eq!(world.evicting.due(), None, "an idle server sleeps");
}

#[test]
fn what_one_command_leaves_goes_with_the_next_at_once() {
    let mut world = World::with_keys(1000);
    world.limit(b"1kb", b"allkeys-random");
    world.proposed_after(0);
    assert_eq!((world.proposed_after(100), world.keys()), (1, 744));
    assert_eq!((world.proposed_after(0), world.keys()), (1, 488));
}

#[test]
fn writes_that_come_evict_by_themselves() {
    let mut world = World::with_keys(2000);
    world.limit(b"1kb", b"allkeys-random");
    for number in 2000..2005 {
        assert_eq!(world.proposed_after(99), 0, "{number}");
        world.set(number);
    }
    let quiet = world.proposed_after(0) + world.proposed_after(100);
    assert_eq!(quiet, 1);
}

#[test]
fn nothing_is_proposed_that_would_evict_nothing() {
    let mut world = World::with_keys(100);
    for policy in [&b"noeviction"[..], b"volatile-lru", b"volatile-ttl", b"volatile-random"] {
        world.limit(b"1", policy);
        assert_eq!(world.proposed_after(0) + world.proposed_after(5000), 0);
        assert_eq!(world.evicting.due(), None);
    }
    // The policy is changed, and now keys may go.
    world.limit(b"1", b"allkeys-lru");
    assert_eq!(world.proposed_after(0) + world.proposed_after(100), 1);
    assert_eq!(world.keys(), 0);
}

#[test]
fn what_is_lost_is_proposed_again() {
    let mut world = World::with_keys(100);
    world.limit(b"1", b"allkeys-lru");
    world.proposed_after(0);
    world.now += Duration::from_millis(100);
    let now = world.now;
    // It is on its way.
    world.evicting.turn(now, &mut world.engine);
    assert_eq!(world.evicting.proposed(), Some(now));
    world.evicting.turn(now + Duration::from_millis(999), &mut world.engine);
    assert_eq!(world.evicting.proposed(), Some(now));
    world.evicting.turn(now + Duration::from_secs(1), &mut world.engine);
    assert_eq!(world.evicting.proposed(), Some(now + Duration::from_secs(1)));
}
