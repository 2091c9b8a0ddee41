//! Messages between healthy servers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{Event, Frame, Sent};

use crate::rig::{DEADLINE, Node, config, drive, nowhere, pair, pair_of};

#[test]
fn small_frames_arrive_in_order_in_both_directions() {
    const FRAMES: u32 = 20_000;
    let (mut one, mut two) = pair();
    for number in 0..FRAMES {
        assert_eq!(one.send(2, number.to_le_bytes().to_vec()), Sent::Queued);
        assert_eq!(two.send(1, (!number).to_le_bytes().to_vec()), Sent::Queued);
        if number % 100 == 0 {
            one.flush();
            two.flush();
        }
    }
    drive([&mut one, &mut two], "all have arrived", |[one, two]| {
        one.bodies(2).count() == FRAMES as usize && two.bodies(1).count() == FRAMES as usize
    });
    assert!(two.bodies(1).zip(0..FRAMES).all(|(body, number)| **body == number.to_le_bytes()));
    assert!(one.bodies(2).zip(0..FRAMES).all(|(body, number)| **body == (!number).to_le_bytes()));

    let (sent, received) = (one.counters(), two.counters());
    assert_eq!((sent.frames_sent, sent.bytes_sent), (u64::from(FRAMES), u64::from(FRAMES) * 12));
    assert_eq!((received.frames_received, received.bytes_received), (sent.frames_sent, sent.bytes_sent));
}

#[test]
fn large_and_small_frames_of_several_parts_arrive_whole_and_in_order() {
    const LARGE: usize = 16 << 20;
    let limits = |mut config: niagara_net::LinkConfig| {
        config.send_queue_bytes = 100 << 20;
        config
    };
    let (mut one, mut two) =
        pair_of(limits(config(1, &[(2, nowhere())])), |one| limits(config(2, &[(1, one)])));
    let bodies: Vec<Vec<Bytes>> = (0..6u8)
        .map(|number| {
            let large = (0..LARGE).map(|at| (at / 251) as u8 ^ number).collect::<Vec<u8>>();
            vec![Bytes::from(vec![number; 3]), Bytes::new(), Bytes::from(large)]
        })
        .flat_map(|large| [large, vec![Bytes::from_static(b"small")], vec![]])
        .collect();
    for parts in &bodies {
        assert_eq!(one.send_frame(2, Frame::from_parts(parts.clone())), Sent::Queued);
    }
    drive([&mut one, &mut two], "all have arrived", |[_, two]| two.bodies(1).count() == bodies.len());
    assert!(two.bodies(1).zip(&bodies).all(|(body, parts)| *body == parts.concat()));
}

#[test]
fn many_frames_share_a_write_call_and_a_read_call() {
    const FRAMES: u64 = 100;
    let (mut one, mut two) = pair();
    let (sent, received) = (one.counters(), two.counters());
    for _ in 0..FRAMES {
        one.send(2, vec![1; 64]);
    }
    assert_eq!(one.counters().write_calls, sent.write_calls, "queueing costs no system call");
    one.flush();
    let writes = one.counters().write_calls - sent.write_calls;
    assert_eq!(writes, 1, "write calls for {FRAMES} frames");
    drive([&mut one, &mut two], "all have arrived", |[_, two]| two.bodies(1).count() as u64 == FRAMES);
    let reads = two.counters().read_calls - received.read_calls;
    assert!(reads <= writes, "one read call for each write call at most, but {reads} for {writes}");
}

#[test]
fn a_turn_writes_what_nobody_flushed() {
    let (mut one, mut two) = pair();
    one.send(2, "not flushed");
    drive([&mut one, &mut two], "it has arrived", |[_, two]| two.bodies(1).any(|body| body == "not flushed"));
}

#[test]
fn three_servers_have_one_connection_per_pair() {
    let mut one = Node::open(config(1, &[(2, nowhere()), (3, nowhere())]));
    let mut two = Node::open(config(2, &[(1, one.address()), (3, nowhere())]));
    let mut three = Node::open(config(3, &[(1, one.address()), (2, two.address())]));
    let others = |server: u64| (1..=3).filter(move |peer| *peer != server);
    drive([&mut one, &mut two, &mut three], "everybody is up with everybody", |nodes| {
        nodes.iter().zip(1..).all(|(node, server)| others(server).all(|peer| node.is_connected(peer)))
    });
    for (node, server) in [&mut one, &mut two, &mut three].into_iter().zip(1..) {
        others(server).for_each(|peer| assert_eq!(node.send(peer, server.to_string()), Sent::Queued));
    }
    drive([&mut one, &mut two, &mut three], "everybody hears from everybody", |nodes| {
        nodes.iter().zip(1..).all(|(node, server)| others(server).all(|peer| node.bodies(peer).count() == 1))
    });
    for (node, server) in [&one, &two, &three].into_iter().zip(1..) {
        assert!(others(server).all(|peer| node.bodies(peer).all(|body| *body == peer.to_string())));
        assert_eq!(node.counters().connects, 2);
    }
}

#[test]
fn a_message_that_cannot_be_sent_is_dropped_and_counted() {
    let mut limited = config(1, &[(2, nowhere()), (3, nowhere())]);
    limited.max_frame_bytes = 2000;
    let (mut one, _two) = pair_of(limited, |one| config(2, &[(1, one)]));
    assert_eq!(one.send(3, "not connected"), Sent::Dropped);
    assert_eq!(one.send(4, "no such peer"), Sent::Dropped);
    assert_eq!(one.send(2, vec![0; 2001]), Sent::Dropped);
    assert_eq!(one.send(2, vec![0; 2000]), Sent::Queued);
    let counters = one.counters();
    assert_eq!(
        (counters.dropped_not_connected, counters.dropped_too_long, counters.dropped_queue_full),
        (2, 1, 0)
    );
}

#[test]
fn a_frame_above_the_receivers_limit_ends_the_connection() {
    let mut limited = config(1, &[(2, nowhere())]);
    limited.max_frame_bytes = 2000;
    let (mut one, mut two) = pair_of(limited, |one| config(2, &[(1, one)]));
    two.send(1, vec![0; 2001]);
    drive([&mut one, &mut two], "both see the end and connect again", |[one, two]| {
        one.changes().len() == 3 && two.changes().len() == 3
    });
    let [_, Event::Down { peer: 2, reason }, Event::Up { peer: 2 }] = one.changes()[..] else {
        panic!("{:?}", one.changes())
    };
    assert!(reason.to_string().contains("max_frame_bytes"), "{reason}");
    assert_eq!(one.counters().bad_frames, 1);
}

#[test]
fn a_peer_that_sends_without_pause_leaves_the_owner_its_turns() {
    let mut roomy = config(1, &[(2, nowhere())]);
    roomy.socket_receive_bytes = Some(4 << 20);
    let (mut one, mut two) = pair_of(roomy, |one| config(2, &[(1, one)]));
    // As much as the kernel's buffers take, which is several turns' worth where it allows buffers of that
    // size.
    for _ in 0..30 {
        assert_eq!(two.send(1, vec![9; 100_000]), Sent::Queued);
    }
    (0..50).for_each(|_| two.turn());
    let written = two.counters().frames_sent;

    let (mut most, mut before) = (0, one.counters());
    while before.frames_received < written {
        // A reader that stops before the socket is empty must not fall asleep: no event announces the rest.
        let begin = Instant::now();
        one.turn_at(begin, Some(DEADLINE), || true);
        assert!(begin.elapsed() < DEADLINE, "asleep at {before:?}");
        let after = one.counters();
        most = most.max(after.bytes_received - before.bytes_received);
        before = after;
    }
    // The bound of a turn, and what the last read call and the frame that it completes may add.
    assert!(most < (1 << 20) + 400_000, "{most} bytes in one turn");
}

#[test]
fn with_nothing_to_do_a_turn_lasts_until_its_timeout() {
    let (mut one, _two) = pair();
    let (begin, timeout) = (Instant::now(), Duration::from_millis(30));
    let mut turns = 0;
    while begin.elapsed() < timeout {
        one.turn_at(Instant::now(), Some(timeout), || true);
        turns += 1;
    }
    assert!(turns < 10, "an idle transport turned {turns} times");
}
