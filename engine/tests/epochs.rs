//! The number of groups changes while the servers run and clients write.

mod eventually;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Consistency, Durability, Engine, NotChanged, Threads};

type Engines = Vec<Engine<Counter>>;

fn start(config: &Config) -> Engine<Counter> {
    Engine::start(config.clone(), Counter::default()).unwrap()
}

/// Three servers whose groups share one address.
fn configs(groups: u16, durability: Durability, dir: &std::path::Path) -> Vec<Config> {
    let mut configs = Config::local(3, 1).unwrap();
    for config in &mut configs {
        config.groups = Some(groups);
        config.durability = durability;
        config.data_dir = dir.join(config.server.to_string());
        config.segment_bytes = 1 << 20;
    }
    configs
}

/// Changes the number of groups, and waits until every server is there.
fn change(engines: &Engines, groups: u16) {
    let before = engines.iter().map(|engine| engine.client().epoch().number).max().unwrap();
    eventually("a server takes the request", || {
        engines.iter().any(|engine| engine.client().ask_for_groups(groups).is_ok())
            || engines.iter().any(|engine| engine.client().epoch().number > before)
    });
    eventually("every server is in the next epoch", || {
        engines.iter().all(|engine| engine.client().epoch().number > before)
    });
    for engine in engines {
        let epoch = engine.client().epoch();
        assert_eq!((epoch.groups, epoch.members), (groups, vec![1, 2, 3]));
    }
}

/// Writes until told to stop; returns how many writes were acknowledged, and how many ended without an outcome.
fn write(engine: &Engine<Counter>, stop: &AtomicBool) -> (usize, usize) {
    let client = engine.client();
    let (mut done, mut unknown) = (0, 0);
    while !stop.load(SeqCst) {
        match client.propose(Bytes::from_static(b"count")) {
            Ok(ticket) => match ticket.wait() {
                Ok(_) => done += 1,
                Err(_) => unknown += 1,
            },
            Err(_) => thread::yield_now(),
        }
    }
    (done, unknown)
}

fn count(engine: &Engine<Counter>) -> usize {
    engine.client().read(Consistency::Strong).wait().unwrap().load(SeqCst)
}

#[test]
fn the_number_of_groups_changes_under_load() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::Memory, Durability::Os] {
        let configs = configs(2, durability, &dir.path().join(durability.to_string()));
        let engines: Engines = configs.iter().map(start).collect();
        eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
        let stop = Arc::new(AtomicBool::new(false));
        let total = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for engine in engines.iter().chain(&engines) {
                let (stop, total) = (Arc::clone(&stop), Arc::clone(&total));
                scope.spawn(move || {
                    let (done, unknown) = write(engine, &stop);
                    assert_eq!(unknown, 0, "each write has an outcome");
                    total.fetch_add(done, SeqCst);
                });
            }
            for groups in [4, 1, 3] {
                change(&engines, groups);
            }
            stop.store(true, SeqCst);
        });
        assert!(total.load(SeqCst) > 0);
        for engine in &engines {
            assert_eq!(count(engine), total.load(SeqCst));
        }
        engines.into_iter().for_each(Engine::stop);
    }
}

#[test]
fn servers_come_back_in_the_epoch_that_they_left() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(2, Durability::Os, dir.path());
    let mut engines: Engines = configs.iter().map(start).collect();
    let mut written = 0;
    for (life, groups) in [3, 1, 4].into_iter().enumerate() {
        eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
        change(&engines, groups);
        for _ in 0..20 {
            engines[life].client().propose(Bytes::from_static(b"count")).unwrap().wait().unwrap();
            written += 1;
        }
        engines.drain(..).for_each(Engine::stop);
        engines.extend(configs.iter().map(start));
        eventually("all servers are in the epoch that they left", || {
            engines.iter().all(|engine| engine.client().epoch().groups == groups)
        });
        eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
        for engine in &engines {
            assert_eq!(count(engine), written);
        }
    }
}

#[test]
fn a_server_that_was_away_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(2, Durability::Os, dir.path());
    for config in &mut configs {
        config.snapshot_entries = 50;
    }
    let mut engines: Engines = configs.iter().map(start).collect();
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
    engines.remove(2).stop();
    let mut written = 0;
    for groups in [4, 3] {
        change(&engines, groups);
        for _ in 0..300 {
            engines[0].client().propose(Bytes::from_static(b"count")).unwrap().wait().unwrap();
            written += 1;
        }
    }
    engines.push(start(&configs[2]));
    eventually("the third server has come after", || engines[2].client().epoch().number == 3);
    assert_eq!(count(&engines[2]), written);
}

#[test]
fn a_request_that_cannot_be_met_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(&configs(2, Durability::Memory, dir.path())[0]);
    assert_eq!(engine.client().ask_for_groups(0), Err(NotChanged::Groups { groups: 0 }));
    assert_eq!(engine.client().ask_for_groups(3), Err(NotChanged::LeadsNothing { leader: 0 }));
}

/// A thread for each group, up to four: more groups get more threads, and fewer leave some of them asleep.
#[test]
fn threads_follow_the_groups() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(1, Durability::Memory, dir.path());
    configs.iter_mut().for_each(|config| config.threads = Threads::Count(4));
    let engines: Engines = configs.iter().map(start).collect();
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
    let threads =
        || -> Vec<u16> { engines.iter().map(|engine| engine.client().status().group_threads).collect() };
    assert_eq!(threads(), [1; 3]);
    for (groups, expected) in [(3, 3), (8, 4), (2, 2), (8, 4)] {
        change(&engines, groups);
        eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
        assert_eq!(threads(), [expected; 3], "{groups} groups");
        let client = engines[1].client();
        let before = count(&engines[2]);
        client.propose(Bytes::from_static(b"count")).unwrap().wait().unwrap();
        assert_eq!(count(&engines[2]), before + 1);
    }
    engines.into_iter().for_each(Engine::stop);
}
