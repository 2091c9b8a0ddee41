//! The level of a cluster: where it begins, who keeps it from rising, and what it allows.

mod eventually;

use std::path::Path;

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{
    Config, Consistency, Durability, Engine, KNOWN_LEVEL, NotChanged, Refused, Retry, StartError,
};

type Engines = Vec<Engine<Counter>>;

fn start(config: &Config) -> Engine<Counter> {
    Engine::start(config.clone(), Counter::default()).unwrap()
}

/// Servers that begin at the first level, and know as many as this release.
fn configs(servers: u16, durability: Durability, dir: &Path) -> Vec<Config> {
    let mut configs = Config::local(servers, 2).unwrap();
    for config in &mut configs {
        config.first_level = 1;
        config.durability = durability;
        config.data_dir = dir.join(config.server.to_string());
        config.segment_bytes = 1 << 20;
    }
    configs
}

/// A server of a release that knows the first level only.
fn earlier(config: &Config) -> Config {
    let mut earlier = config.clone();
    earlier.known_level = 1;
    earlier
}

fn await_quorum(engines: &Engines) {
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
}

fn levels(engines: &Engines) -> Vec<u32> {
    engines.iter().map(|engine| engine.client().level().level).collect()
}

/// What all servers know, when all know of each other.
fn await_known(engines: &Engines) -> u32 {
    let mut known = None;
    eventually("the servers know of each other", || {
        let all: Vec<_> = engines.iter().map(|engine| engine.client().level().known_by_all).collect();
        known = all[0].filter(|_| all.iter().all(|one| *one == all[0]));
        known.is_some()
    });
    known.unwrap()
}

/// Why no server raises the level, as those say that lead a group.
fn refusal(engines: &Engines, level: u32) -> NotChanged {
    let mut refused = None;
    eventually("a server refuses", || {
        let asked = engines.iter().map(|engine| engine.client().ask_for_level(level));
        let mut whys = asked.map(|asked| asked.expect_err("the level must not rise"));
        refused = whys.find(|why| !matches!(why, NotChanged::LeadsNothing { .. } | NotChanged::UnderWay));
        refused.is_some()
    });
    refused.unwrap()
}

fn raise(engines: &Engines, level: u32) {
    eventually("a server takes the request", || {
        engines.iter().any(|engine| engine.client().ask_for_level(level).is_ok())
            || levels(engines).contains(&level)
    });
    eventually("every server is at the level", || levels(engines).iter().all(|now| *now == level));
}

fn execute(engine: &Engine<Counter>, command: &'static str) -> usize {
    engine.client().propose(Bytes::from_static(command.as_bytes())).unwrap().wait().unwrap().reply
}

#[test]
fn a_new_cluster_begins_at_the_newest_level_and_stays_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(1, Durability::Os, dir.path());
    configs[0].first_level = KNOWN_LEVEL;
    let engine = start(&configs[0]);
    eventually("a leader", || engine.client().has_quorum());
    let status = engine.client().status();
    assert_eq!((status.level, status.known_level), (KNOWN_LEVEL, KNOWN_LEVEL));
    assert_eq!(engine.client().epoch().level, KNOWN_LEVEL);
    assert_eq!(execute(&engine, "level 2"), 1);
    engine.client().snapshot().wait().unwrap();
    assert_eq!(execute(&engine, "level 2"), 2);
    engine.stop();
    // What the configuration says counts once.
    configs[0].first_level = 1;
    let engine = start(&configs[0]);
    eventually("a leader", || engine.client().has_quorum());
    assert_eq!(engine.client().level().level, KNOWN_LEVEL);
    assert_eq!(execute(&engine, "level 2"), 3);
    engine.stop();
    let refused = Engine::start(earlier(&configs[0]), Counter::default()).unwrap_err();
    assert!(matches!(refused, StartError::Level { level: KNOWN_LEVEL, known: 1 }), "{refused}");
    assert!(refused.to_string().contains("start a newer release"), "{refused}");
}

#[test]
fn servers_are_upgraded_one_after_the_other_and_then_the_level_rises() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Engines = configs.iter().map(earlier).map(|config| start(&config)).collect();
    await_quorum(&engines);
    assert_eq!((levels(&engines), await_known(&engines)), (vec![1, 1, 1], 1));
    let unknown = |server| NotChanged::UnknownLevel { server, known: 1, level: 2 };
    assert_eq!(refusal(&engines, 2), unknown(1));
    let mut written = 0;
    for (server, config) in configs.iter().enumerate() {
        engines.remove(server).stop();
        engines.insert(server, start(config));
        await_quorum(&engines);
        written = execute(&engines[server], "count");
        let refused = engines[server].client().propose(Bytes::from_static(b"level 2")).map(drop);
        assert_eq!(refused, Err(Refused::Level { needed: 2, now: 1 }), "no server has raised the level");
        if server < 2 {
            assert_eq!(await_known(&engines), 1);
            assert!(matches!(refusal(&engines, 2), NotChanged::UnknownLevel { known: 1, level: 2, .. }));
        }
    }
    assert_eq!(await_known(&engines), KNOWN_LEVEL);
    raise(&engines, KNOWN_LEVEL);
    assert_eq!(execute(&engines[1], "level 2"), written + 1);
    assert_eq!(refusal(&engines, KNOWN_LEVEL), NotChanged::Same);
    assert_eq!(refusal(&engines, 1), NotChanged::LowerLevel { now: KNOWN_LEVEL, level: 1 });
    let unknown = NotChanged::UnknownLevel { server: 1, known: KNOWN_LEVEL, level: KNOWN_LEVEL + 1 };
    assert_eq!(refusal(&engines, KNOWN_LEVEL + 1), unknown);
    for engine in &engines {
        let count = engine.client().read(Consistency::Strong).wait().unwrap();
        assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), written + 1);
    }
    // Nobody goes back.
    engines.drain(..).for_each(Engine::stop);
    let refused = Engine::start(earlier(&configs[1]), Counter::default()).unwrap_err();
    assert!(matches!(refused, StartError::Level { level: KNOWN_LEVEL, known: 1 }), "{refused}");
    engines.extend(configs.iter().map(start));
    await_quorum(&engines);
    assert_eq!(levels(&engines), [KNOWN_LEVEL; 3]);
    engines.into_iter().for_each(Engine::stop);
}

#[test]
fn the_level_stays_while_a_member_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Engines = configs.iter().map(start).collect();
    await_quorum(&engines);
    assert_eq!(await_known(&engines), KNOWN_LEVEL);
    engines.remove(2).stop();
    eventually("the others notice", || {
        engines.iter().all(|engine| engine.client().level().members[2].known.is_none())
    });
    assert_eq!(refusal(&engines, 2), NotChanged::Away { server: 3 });
    assert_eq!(levels(&engines), [1, 1]);
    engines.push(start(&configs[2]));
    assert_eq!(await_known(&engines), KNOWN_LEVEL);
    raise(&engines, 2);
    engines.into_iter().for_each(Engine::stop);
}

#[test]
fn a_server_that_does_not_know_the_level_is_let_in_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(3, Durability::Memory, dir.path());
    configs[..2].iter_mut().for_each(|config| config.first_level = 2);
    configs[2].known_level = 1;
    let engines: Engines = configs.iter().map(start).collect();
    eventually("the others, and it itself, say why", || {
        engines.iter().all(|engine| {
            let alarms = engine.client().status().alarms;
            let told = "the cluster is at level 2, and server 3 runs a release that knows levels up to 1";
            alarms.iter().any(|alarm| alarm.contains(told))
        })
    });
    eventually("the others serve", || engines[..2].iter().all(|engine| engine.client().has_quorum()));
    assert_eq!(execute(&engines[0], "level 2"), 1);
    engines.into_iter().for_each(Engine::stop);
}

#[test]
fn servers_that_begin_at_different_levels_do_not_form_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(2, Durability::Memory, dir.path());
    configs[1].first_level = 2;
    let engines: Engines = configs.iter().map(start).collect();
    eventually("both say why", || {
        engines.iter().all(|engine| {
            let alarms = engine.client().status().alarms;
            alarms.iter().any(|alarm| alarm.contains("set the same first level on all servers"))
        })
    });
    assert!(engines.iter().all(|engine| !engine.client().has_quorum()));
    engines.into_iter().for_each(Engine::stop);
}

#[test]
fn a_command_above_the_level_is_refused_for_good_until_that_rises() {
    let dir = tempfile::tempdir().unwrap();
    let config = configs(1, Durability::Memory, dir.path()).remove(0);
    let engine = start(&config);
    eventually("a leader", || engine.client().has_quorum());
    let refused = engine.client().propose(Bytes::from_static(b"level 2")).map(drop).unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    assert!(refused.to_string().contains("needs level 2, and the cluster is at level 1"), "{refused}");
    let engines = vec![engine];
    raise(&engines, 2);
    assert_eq!(execute(&engines[0], "level 2"), 1);
    engines.into_iter().for_each(Engine::stop);
}
