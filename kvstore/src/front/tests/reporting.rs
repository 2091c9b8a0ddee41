//! Reports of reads: when a server makes them, and what they say.

use std::time::{Duration, Instant};

use super::fake::{FakeEngine, FakeServer};
use crate::Op;
use crate::command::{self, Condition};
use crate::front::reporting::Reporting;
use crate::front::token::NOBODY;
use crate::protocol::Engine;

struct World {
    server: FakeServer,
    engine: FakeEngine,
    reporting: Reporting,
    now: Instant,
}

impl World {
    fn new() -> World {
        let server = FakeServer::new();
        let (mut engine, _) = server.engine();
        engine.trace = Some(Vec::new());
        let reporting = Reporting::new(server.reader().clone());
        World { server, engine, reporting, now: Instant::now() }
    }

    fn execute(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut command = Vec::new();
        encode(&mut command);
        let lane = self.engine.choose_lane();
        self.engine.propose(lane, NOBODY, &command).unwrap();
        self.settle();
    }

    fn set(&mut self, key: &[u8]) {
        self.execute(|out| command::encode_set_head(out, key, &Condition::Always, false));
    }

    fn configure(&mut self, policy: &[u8]) {
        let words: [&[u8]; 5] = [b"SET", b"maxmemory", b"1gb", b"maxmemory-policy", policy];
        self.execute(|out| command::encode_call(out, Op::Config, words.into_iter()));
    }

    fn settle(&mut self) {
        self.engine.flush();
        while self.engine.step() {}
    }

    fn read(&self, key: &[u8]) {
        assert!(self.server.reader().get(key).is_some());
    }

    /// The reports that are made so many milliseconds later.
    fn reports_after(&mut self, ms: u64) -> Vec<String> {
        self.now += Duration::from_millis(ms);
        self.engine.trace = Some(Vec::new());
        self.reporting.turn(self.now, &mut self.engine);
        self.settle();
        let trace = self.engine.trace.take().unwrap_or_default();
        self.engine.trace = Some(Vec::new());
        trace.into_iter().filter(|line| line.contains("used")).collect()
    }
}

#[test]
fn reads_are_reported_only_while_somebody_asks_for_them() {
    let mut world = World::new();
    world.set(b"k");
    world.read(b"k");
    assert!(world.reports_after(1000).is_empty(), "there is no limit");
    world.configure(b"allkeys-random");
    world.read(b"k");
    assert!(world.reports_after(1000).is_empty(), "nobody asks when keys are used");
    world.configure(b"allkeys-lru");
    assert!(world.reports_after(1000).is_empty(), "nobody has read anything");
    world.read(b"k");
    assert_eq!(world.reports_after(1000).len(), 1);
}

#[test]
fn reports_are_rare_and_an_idle_server_makes_none() {
    let mut world = World::new();
    world.configure(b"volatile-lru");
    world.set(b"a");
    world.set(b"b");
    world.read(b"a");
    world.read(b"b");
    let reports = world.reports_after(0);
    assert!(reports.len() == 1 && reports[0].contains("2 keys used"), "{reports:?}");
    // What was just reported is read again, and nothing is written: it stays the latest.
    world.read(b"a");
    assert!(world.reports_after(100).is_empty());
    let due = world.reporting.due().expect("it looks again");
    assert_eq!(due, world.now + Duration::from_millis(400));
    assert!(world.reports_after(400).is_empty());
    world.read(b"a");
    assert!(world.reports_after(600).is_empty());
    assert_eq!(world.reporting.due(), None);
    // Others are written meanwhile.
    world.set(b"c");
    world.read(b"a");
    assert!(world.reports_after(600).is_empty(), "it was known to be used since the last report");
    world.read(b"a");
    assert_eq!(world.reports_after(600).len(), 1);
}
