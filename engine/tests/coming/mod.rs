//! Servers that come and go.

use std::cell::Cell;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Consistency, Engine, Member, MemberView, MembersChange, ProbeResponder};

use crate::eventually::eventually;
use crate::two_groups::{fit, newcomer_config, start};

/// A server that is to come. Members find it at its addresses until it starts.
pub struct Newcomer {
    config: Config,
    waits: Cell<Option<ProbeResponder>>,
}

impl Deref for Newcomer {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

pub fn newcomer(server: u64, of: &Config, dir: &Path) -> Newcomer {
    let mut config = newcomer_config(server, of.cluster);
    fit(&mut config, of.durability, dir);
    let waits = Cell::new(Some(ProbeResponder::start(&config).unwrap()));
    Newcomer { config, waits }
}

pub fn contact(config: &Config) -> MemberView {
    let Member { server, addresses, transfer } = config.members[0].clone();
    MemberView { server, addresses, transfer, weight: 100, note: format!("note of {server}") }
}

/// Changes the members, and waits until the servers that run are there.
pub fn change(engines: &[&Engine<Counter>], change: &MembersChange) {
    let before = engines.iter().map(|engine| engine.client().epoch().number).max().unwrap();
    let is_over = |engine: &&Engine<Counter>| engine.client().epoch().number > before;
    eventually("a server takes the request", || {
        engines.iter().any(|engine| engine.client().start_to_change_members(change.clone()).is_ok())
            || engines.iter().any(is_over)
    });
    eventually("the epoch has ended", || {
        engines.iter().filter(|engine| !change.leave.contains(&id(engine))).all(is_over)
    });
}

pub fn id(engine: &Engine<Counter>) -> u64 {
    engine.client().status().server
}

/// Starts a server that comes, when it is a member.
pub fn come(newcomer: &Newcomer, member: &Engine<Counter>) -> Engine<Counter> {
    drop(newcomer.waits.take());
    let mut config = newcomer.config.clone();
    config.join = Some(member.client().epoch());
    start(&config)
}

pub fn count(engine: &Engine<Counter>) -> usize {
    let mut count = None;
    eventually("a strong read is answered", || {
        let read = engine.client().read(Consistency::Strong).wait();
        count = read.ok().map(|counter| counter.load(SeqCst));
        count.is_some()
    });
    count.unwrap()
}

pub fn write(engine: &Engine<Counter>, times: usize) {
    for _ in 0..times {
        engine.client().propose(Bytes::from_static(b"count")).unwrap().wait().unwrap();
    }
}

pub fn have_quorum(engines: &[&Engine<Counter>]) {
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
}
