//! A server whose application is slow, driven by hand.

use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::example::Counter;
use niagara_engine::log::SystemFiles;
use niagara_engine::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Config, Durability, Member, Wake};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Slots wait for the merge, which waits for execution: no group is to blame, and none is asked to pad.
#[test]
fn a_slow_application_is_no_groups_stall() {
    let addresses = vec!["nowhere:0".to_owned(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "nowhere:0".into() }]);
    config.durability = Durability::Memory;
    config.lane_bytes = 256 << 20;
    let outside = Environment {
        boot: 1,
        clock: Clock::Manual(Arc::new(ManualClock::new())),
        files: Arc::new(SystemFiles),
        prepare_beside: false,
        election_seed: Some(1),
    };
    let mut machine = SimServer::open(&config, &outside, Counter::default()).unwrap();
    let turn = |machine: &mut SimServer<Counter>| {
        for group in 0..2 {
            machine.tick_group(group);
            for _ in 0..3 {
                machine.turn(group);
                machine.write_log(group).unwrap();
            }
        }
    };
    let mut port = machine.client().port(Arc::new(Nobody));
    while port.lanes_led_here().count() < 2 {
        turn(&mut machine);
    }
    let lanes: Vec<_> = port.lanes_led_here().collect();
    for token in 0..40 {
        for lane in &lanes {
            port.propose_shared(*lane, token, Bytes::from(vec![1; 600 << 10])).unwrap();
        }
        port.flush();
        turn(&mut machine);
        while machine.merge() {}
    }
    assert!(!machine.wants_merge(), "the merge waits for execution");
    for _ in 0..20 {
        turn(&mut machine);
        machine.tick();
    }
    assert_eq!(machine.figures().pad_requests, 0);
    while machine.pending_commands() > 0 {
        turn(&mut machine);
        machine.tick();
        machine.merge();
        machine.execute();
    }
}
