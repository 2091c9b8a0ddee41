//! Servers that refuse each other say so where an operator looks.

mod eventually;

use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Engine};

fn start(config: &Config) -> Engine<Counter> {
    Engine::start(config.clone(), Counter::default()).unwrap()
}

fn configs() -> Vec<Config> {
    Config::local(3, 2).unwrap()
}

fn alarms(engine: &Engine<Counter>) -> Vec<String> {
    engine.client().status().alarms
}

#[test]
fn a_server_in_memory_that_comes_back_as_a_stranger_says_so() {
    let configs = configs();
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    engines[0].client().propose("count".into()).unwrap().wait().unwrap();
    assert!(engines.iter().all(|engine| alarms(engine).is_empty()));
    engines.remove(2).stop();
    let again = start(&configs[2]);
    eventually("the server that was restarted says that both others refuse it", || {
        let alarms = alarms(&again);
        [1, 2].iter().all(|peer| {
            alarms.iter().any(|alarm| alarm.contains(&format!("server {peer} refuses this server")))
        })
    });
    eventually("the others say whom they refuse", || {
        engines.iter().all(|engine| alarms(engine).iter().any(|alarm| alarm.contains("refuses server 3")))
    });
    assert_eq!(alarms(&again).len(), 2, "once for each peer, not for each group: {:?}", alarms(&again));
}

#[test]
fn servers_of_different_applications_say_so_until_it_is_mended() {
    let mut configs = configs();
    configs[1].application = 7;
    let engines: Vec<_> = configs[..2].iter().map(start).collect();
    eventually("one of the two refuses the other, and both say so", || {
        engines.iter().all(|engine| !alarms(engine).is_empty())
    });
    let [first, second] = <[_; 2]>::try_from(engines).ok().unwrap();
    second.stop();
    configs[1].application = 0;
    let second = start(&configs[1]);
    eventually("the alarms end with their cause", || {
        first.client().has_quorum() && [&first, &second].iter().all(|engine| alarms(engine).is_empty())
    });
}

#[test]
fn another_cluster_is_refused_by_name() {
    let mut configs = configs();
    configs[1].cluster ^= 1;
    let engines: Vec<_> = configs[..2].iter().map(start).collect();
    eventually("both name the other", || {
        engines.iter().all(|engine| alarms(engine).iter().any(|alarm| alarm.contains("different clusters")))
    });
}
