//! More groups than addresses: groups on different threads listen at one address.

mod eventually;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Consistency, Durability, Engine, Threads};

const GROUPS: u16 = 5;

/// Three servers whose five groups share this many addresses and are driven by so many threads.
fn configs(addresses: u16, threads: u16) -> Vec<Config> {
    let mut configs = Config::local(3, addresses).unwrap();
    for config in &mut configs {
        config.groups = Some(GROUPS);
        config.threads = Threads::Count(threads);
    }
    configs
}

fn all_led(engine: &Engine<Counter>) -> bool {
    engine.client().status().local.iter().all(|group| group.leader != 0)
}

#[test]
fn groups_on_several_threads_share_addresses() {
    for (addresses, threads) in [(1, 1), (1, 3), (2, 2), (3, 5)] {
        let configs = configs(addresses, threads);
        let start = |config: &Config| Engine::start(config.clone(), Counter::default()).unwrap();
        let engines: Vec<_> = configs.iter().map(start).collect();
        for engine in &engines {
            let distinct: BTreeSet<_> = engine.addresses().into_iter().collect();
            assert_eq!((engine.addresses().len(), distinct.len()), (GROUPS.into(), addresses.into()));
            assert_eq!(engine.addresses()[usize::from(addresses)..][..1], engine.addresses()[..1]);
        }
        eventually("a leader of each group", || engines.iter().all(all_led));
        for (i, engine) in engines.iter().cycle().take(30).enumerate() {
            let done = engine.client().propose(Bytes::from(i.to_string())).unwrap().wait().unwrap();
            assert_eq!(done.reply, i + 1, "{addresses} addresses, {threads} threads");
        }
        for engine in &engines {
            let counter = engine.client().read(Consistency::Strong).wait().unwrap();
            assert_eq!(counter.load(SeqCst), 30);
        }
        engines.into_iter().for_each(Engine::stop);
    }
}

#[test]
fn a_server_comes_back_to_its_shared_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(2, 3);
    for config in &mut configs {
        config.durability = Durability::Os;
        config.data_dir = dir.path().join(config.server.to_string());
        config.segment_bytes = 1 << 20;
    }
    let start = |config: &Config| Engine::start(config.clone(), Counter::default()).unwrap();
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    for life in 1..=3 {
        eventually("a leader of each group", || engines.iter().all(all_led));
        let done = engines[2].client().propose(Bytes::from_static(b"once")).unwrap().wait().unwrap();
        assert_eq!(done.reply, life);
        engines.remove(1).stop();
        engines.insert(1, start(&configs[1]));
    }
    eventually("a leader of each group", || engines.iter().all(all_led));
    assert_eq!(engines[1].client().read(Consistency::Strong).wait().unwrap().load(SeqCst), 3);
}

#[test]
fn addresses_that_no_group_would_use_are_refused() {
    let mut config = Config::local(1, 3).unwrap().remove(0);
    config.groups = Some(2);
    let said = config.check().unwrap_err().to_string();
    assert!(said.contains("3 addresses for 2 groups"), "{said}");
    config.groups = Some(0);
    assert!(config.check().unwrap_err().to_string().contains("1 to 1024"));
}
