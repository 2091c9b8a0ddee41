//! Connections end; channels continue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use niagara_net::{AdmitAll, DownReason, Event, FrameError, LinkConfig, OpenError};

use crate::rig::{DEADLINE, Node, Raw, config, drive, nowhere, pair, wire};

/// Reopens a server on its former port. Another socket of the machine may have the port for a moment.
fn reopen(config: &LinkConfig, listen: SocketAddr) -> Node {
    let begin = Instant::now();
    loop {
        match Node::try_open(LinkConfig { listen, ..config.clone() }, Arc::new(AdmitAll)) {
            Ok(node) => return node,
            Err(OpenError::Listen { .. }) if begin.elapsed() < DEADLINE => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_listener_that_comes_back_is_found_again() {
    let (mut one, mut two) = pair();
    one.send(2, "before");
    drive([&mut one, &mut two], "it has arrived", |[_, two]| two.bodies(1).count() == 1);
    let address = one.address();
    drop(one);
    drive([&mut two], "the end is seen, and dialling fails", |[two]| {
        !two.is_connected(1) && two.counters().dial_failures > 0
    });
    let mut one = reopen(&config(1, &[(2, nowhere())]), address);
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
    one.send(2, "after");
    drive([&mut one, &mut two], "it has arrived", |[_, two]| two.bodies(1).count() == 2);

    let [Event::Up { peer: 1 }, Event::Down { peer: 1, .. }, Event::Up { peer: 1 }] = two.changes()[..]
    else {
        panic!("{:?}", two.changes())
    };
    let counters = two.counters();
    assert_eq!((counters.connects, counters.reconnects), (2, 1));
}

#[test]
fn a_dialler_that_comes_back_is_let_in_again() {
    let (mut one, two) = pair();
    drop(two);
    drive([&mut one], "the end is seen", |[one]| !one.is_connected(2));
    let mut two = Node::open(config(2, &[(1, one.address())]));
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
    let closed = Event::Down { peer: 2, reason: DownReason::Closed };
    assert_eq!(one.events, [Event::Up { peer: 2 }, closed, Event::Up { peer: 2 }]);
}

#[test]
fn messages_before_the_end_of_a_connection_are_not_lost() {
    const FRAMES: usize = 30;
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut raw = Raw::join(&mut one, 2);
    for _ in 0..FRAMES {
        raw.write(&wire(&[1; 1000]));
    }
    drop(raw);
    drive([&mut one], "the end is seen", |[one]| !one.is_connected(2));
    assert_eq!(one.bodies(2).count(), FRAMES);
    assert_eq!(one.changes().len(), 2);
    assert_eq!(one.events.last(), Some(&Event::Down { peer: 2, reason: DownReason::Closed }));
}

#[test]
fn a_new_connection_of_the_same_server_replaces_the_old_one() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut old = Raw::join(&mut one, 2);
    let mut new = Raw::join(&mut one, 2);
    old.await_end(&mut one);
    let replaced = Event::Down { peer: 2, reason: DownReason::Replaced };
    assert_eq!(one.events, [Event::Up { peer: 2 }, replaced, Event::Up { peer: 2 }]);
    one.send(2, "to the new one");
    assert_eq!(new.body(&mut one), b"to the new one");
}

#[test]
fn a_stranger_that_only_claims_to_be_a_server_does_not_replace_it() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut old = Raw::join(&mut one, 2);
    let mut claims = Raw::connect(one.address());
    claims.write(&wire(&niagara_net::Greeting::Hello(crate::rig::hello(2)).encode()));
    claims.greeting(&mut one);
    one.send(2, "still the old one");
    assert_eq!(old.body(&mut one), b"still the old one");
}

#[test]
fn a_damaged_frame_ends_the_connection_and_only_that() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut raw = Raw::join(&mut one, 2);
    raw.write(&wire(b"good"));
    let mut damaged = wire(b"damaged");
    damaged[10] ^= 1;
    raw.write(&damaged);
    raw.await_end(&mut one);
    assert_eq!(one.bodies(2).collect::<Vec<_>>(), ["good"]);
    let Some(Event::Down { peer: 2, reason: DownReason::BadFrame(FrameError::Checksum { .. }) }) =
        one.events.last()
    else {
        panic!("{:?}", one.events)
    };
    assert_eq!(one.counters().bad_frames, 1);

    let mut again = Raw::join(&mut one, 2);
    again.write(&wire(b"good again"));
    drive([&mut one], "it has arrived", |[one]| one.bodies(2).any(|body| body == "good again"));
}
