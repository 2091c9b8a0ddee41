//! A server with a slow application, driven by hand.

use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Config, Durability, Member, Wake};
use niagara_log::SystemFiles;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Slots wait for the merge, which waits for execution: no group is to blame, so none is asked to pad.
#[test]
fn a_slow_application_is_no_groups_stall() {
    let addresses = vec!["nowhere:0".to_owned(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "nowhere:0".into() }]);
    config.durability = Durability::Memory;
    config.lane_bytes = 256 << 20;
    let environment = Environment {
        boot: 1,
        clock: Clock::Manual(Arc::new(ManualClock::new())),
        files: Arc::new(SystemFiles),
        prepare_beside: false,
        election_seed: Some(1),
    };
    let mut server = SimServer::open(&config, &environment, Counter::default()).unwrap();
    let turn = |server: &mut SimServer<Counter>| {
        for group in 0..2 {
            server.tick_group(group);
            for _ in 0..3 {
                server.turn(group);
                server.write_log(group).unwrap();
            }
        }
    };
    let mut port = server.client().port(Arc::new(Nobody));
    while port.lanes_led_here().count() < 2 {
        turn(&mut server);
    }
    let lanes: Vec<_> = port.lanes_led_here().collect();
    for token in 0..40 {
        for lane in &lanes {
            port.propose_shared(*lane, token, Bytes::from(vec![1; 600 << 10])).unwrap();
        }
        port.flush();
        turn(&mut server);
        while server.merge() {}
    }
    assert!(!server.wants_merge(), "the merge waits for execution");
    for _ in 0..20 {
        turn(&mut server);
        server.tick();
    }
    assert_eq!(server.figures().pad_requests, 0);
    while server.pending_commands() > 0 {
        turn(&mut server);
        server.tick();
        server.merge();
        server.execute();
    }
}
