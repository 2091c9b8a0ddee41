//! Whatever connects and sends whatever, a pair of servers keeps exchanging messages.

use std::net::SocketAddr;
use std::time::Duration;

use niagara_net::{Counters, Event, Greeting, MAX_GREETING_BYTES};
use proptest::prelude::*;

use crate::rig::{Node, Raw, config, drive, hello, nowhere, pair, pair_of, wire};

/// Exchanges one more message with server 1.
fn round_trip(one: &mut Node, two: &mut Node) {
    let before = two.bodies(1).count();
    two.send(1, "ping");
    let mut answered = one.bodies(2).count();
    drive([one, two], "a message has gone there and back", |[one, two]| {
        while answered < one.bodies(2).count() {
            answered += 1;
            one.send(2, "pong");
        }
        two.bodies(1).count() > before
    });
}

/// Waits until server 1 has counted enough.
fn await_count(one: &mut Node, what: &str, count: impl Fn(Counters) -> u64, at_least: u64) {
    drive([one], what, |[one]| count(one.counters()) >= at_least);
}

/// The pair still has its first connection, and nothing else happened on it.
fn assert_undisturbed(one: &Node, two: &Node) {
    assert_eq!(one.changes(), [&Event::Up { peer: 2 }]);
    assert_eq!(two.changes(), [&Event::Up { peer: 1 }]);
}

fn hostile_openings() -> Vec<(&'static str, Vec<u8>)> {
    let greeting = Greeting::Hello(hello(2)).encode();
    let mut wrong_checksum = wire(&greeting);
    wrong_checksum[4] ^= 1;
    let mut wrong_magic = greeting.to_vec();
    wrong_magic[0] = b'n';
    let length = MAX_GREETING_BYTES + 1;
    let too_long = [&(length as u32).to_le_bytes()[..], &vec![0; length]].concat();
    vec![
        ("a web browser", b"GET / HTTP/1.1\r\nHost: niagara\r\n\r\n".to_vec()),
        ("a length of 4 GiB", [&[0xff; 4][..], &[0; 100]].concat()),
        ("a length just above a greeting's", too_long),
        ("the right magic with a wrong checksum", wrong_checksum),
        ("a valid frame with a wrong magic", wire(&wrong_magic)),
        ("an empty frame", wire(b"")),
        ("a welcome that nobody waits for", wire(&Greeting::Welcome.encode())),
        ("a hello that is cut off inside its frame", wire(&greeting[..30])),
        ("two hellos", [wire(&greeting), wire(&greeting)].concat()),
        ("messages instead of a welcome", [wire(&greeting), wire(b"append")].concat()),
    ]
}

#[test]
fn noise_is_shut_out() {
    let (mut one, mut two) = pair();
    for ((what, bytes), number) in hostile_openings().into_iter().zip(1..) {
        let mut raw = Raw::connect(one.address());
        raw.write(&bytes);
        await_count(&mut one, what, |counters| counters.bad_frames, number);
        drive([&mut one], what, |_| {
            raw.read();
            raw.ended
        });
        round_trip(&mut one, &mut two);
    }
    assert_undisturbed(&one, &two);
}

#[test]
fn silence_is_shut_out_in_time() {
    let mut hasty = config(1, &[(2, nowhere())]);
    hasty.hello_timeout = Duration::from_millis(50);
    let (mut one, mut two) = pair_of(hasty, |one| config(2, &[(1, one)]));
    let greeting = wire(&Greeting::Hello(hello(2)).encode());
    let silent = [&[][..], &greeting[..3], &greeting[..40], &greeting];
    let mut strangers = silent.map(|bytes| {
        let mut raw = Raw::connect(one.address());
        raw.write(bytes);
        raw
    });
    await_count(&mut one, "all are shut out", |counters| counters.greeting_timeouts, 4);
    round_trip(&mut one, &mut two);
    for raw in &mut strangers[..3] {
        raw.await_end(&mut one);
    }
    assert_eq!(strangers[3].greeting(&mut one), Greeting::Hello(hello(1)), "a hello is answered");
    strangers[3].await_end(&mut one);
    assert_undisturbed(&one, &two);
}

#[test]
fn hundreds_of_idle_connections_are_bounded_and_then_shut_out() {
    const STRANGERS: u64 = 500;
    const PENDING: u64 = 20;
    let mut limited = config(1, &[(2, nowhere())]);
    limited.max_pending_connections = PENDING as usize;
    limited.hello_timeout = Duration::from_millis(300);
    let (mut one, mut two) = pair_of(limited, |one| config(2, &[(1, one)]));
    let mut strangers: Vec<Raw> = (0..STRANGERS).map(|_| Raw::connect(one.address())).collect();
    let handled = |counters: Counters| counters.strangers_turned_away + counters.greeting_timeouts;
    await_count(&mut one, "all are shut out", handled, STRANGERS);
    let counters = one.counters();
    assert!(counters.strangers_turned_away >= 1 && counters.greeting_timeouts >= PENDING, "{counters:?}");
    strangers.iter_mut().for_each(|raw| raw.await_end(&mut one));
    round_trip(&mut one, &mut two);
    assert_undisturbed(&one, &two);

    // The places are free again: a peer that reconnects finds one.
    drop(two);
    let mut two = Node::open(config(2, &[(1, one.address())]));
    drive([&mut one, &mut two], "the peer is back", |[one, two]| one.is_connected(2) && two.is_connected(1));
}

#[test]
fn what_a_welcomed_peer_sends_too_much_of_is_not_believed() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut raw = Raw::join(&mut one, 2);
    raw.write(&[0xff; 64]);
    raw.await_end(&mut one);
    assert_eq!(one.counters().bad_frames, 1);
    assert!(!one.is_connected(2));
}

/// A connection that sends `opening` and closes must leave nothing behind.
fn come_and_go(address: SocketAddr, opening: &[u8]) {
    Raw::connect(address).write(opening);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_strangers_never_stop_a_server(
        openings in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..600), any::<prop::sample::Index>()),
            1..10,
        ),
    ) {
        let mut one = Node::open(config(1, &[(2, nowhere())]));
        let strangers = openings.len() as u64;
        for (begins_well, noise, cut) in openings {
            let hello = wire(&Greeting::Hello(hello(2)).encode());
            let well = if begins_well { &hello[..cut.index(hello.len() + 1)] } else { &[] };
            come_and_go(one.address(), &[well, &noise].concat());
        }
        let mut raw = Raw::join(&mut one, 2);
        raw.write(&wire(b"still here"));
        drive([&mut one], "a message arrives", |[one]| one.bodies(2).any(|body| body == "still here"));
        prop_assert_eq!(one.counters().connects, 1);
        prop_assert!(one.counters().bad_frames <= strangers);
    }
}
