//! Messages between followers and members.

use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::internals::feed::encoded_again;
use niagara_engine::internals::sim::{Clock, Environment, SimServer};
use niagara_engine::{Config, Durability, Member};
use niagara_log::SystemFiles;
use niagara_net::Event;

/// An id that no member has.
const FOLLOWER: u64 = 9;

/// **A body has one meaning at most:** what is understood is encoded in the very same bytes. **And a member goes on,** whatever
/// a follower tells it behind the greeting, twice: it answers, waits, or has the follower disconnected.
///
/// # Panics
/// When the property does not hold.
pub fn feed(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    match encoded_again(&body) {
        Ok(frame) => assert_eq!(frame.parts().concat(), data),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let mut member = member();
    member.handle_follower(Event::Up { peer: FOLLOWER });
    for _ in 0..2 {
        if !member.handle_follower(Event::Frame { from: FOLLOWER, body: body.clone() }) {
            break;
        }
        for (to, frame) in member.supply() {
            assert_eq!(to, FOLLOWER, "nobody else is connected");
            assert!(!frame.is_empty());
        }
    }
}

/// A cluster of one, in memory, with a command that has been executed.
fn member() -> SimServer<Counter> {
    let nowhere = "nowhere:0".to_owned();
    let members = vec![Member { server: 1, addresses: vec![nowhere.clone(); 2], transfer: nowhere }];
    let mut config = Config::new(1, 1, members);
    config.durability = Durability::Memory;
    let environment = Environment {
        boot: 1,
        clock: Clock::System,
        files: Arc::new(SystemFiles),
        prepare_beside: false,
        election_seed: Some(1),
    };
    let mut member =
        SimServer::open(&config, &environment, Counter::default()).expect("nothing is in its way");
    let asked = member.client().propose("count".into());
    drop(asked.expect("its groups have leaders"));
    while member.pending_commands() > 0 {
        for group in 0..2 {
            member.tick_group(group);
            member.turn(group);
            member.write_log(group).expect("memory takes it");
        }
        member.merge();
        member.execute();
    }
    member
}
