//! What happens when a peer does not keep up.

use bytes::Bytes;
use niagara_net::{Frame, Sent};

use crate::rig::{config, drive, nowhere, pair_of};

/// Sends from server 2 to a server 1 that never reads, until a message is dropped. Returns how many were
/// queued.
fn fill(two: &mut crate::rig::Node, body_bytes: usize) -> u32 {
    let mut number = 0u32;
    loop {
        let body = [&number.to_le_bytes()[..], &vec![7; body_bytes - 4]].concat();
        if two.send(1, body) == Sent::Dropped {
            return number;
        }
        two.flush();
        number += 1;
    }
}

#[test]
fn a_full_queue_drops_whole_messages_and_counts_them() {
    const BODY: usize = 50_000;
    const LIMIT: usize = 1 << 20;
    let (mut one, mut two) = pair_of(config(1, &[(2, nowhere())]), |one| {
        let mut config = config(2, &[(1, one)]);
        config.send_queue_bytes = LIMIT;
        config
    });
    let queued = fill(&mut two, BODY) as usize;
    for _ in 0..9 {
        assert_eq!(two.send(1, vec![0; BODY]), Sent::Dropped);
    }
    let counters = two.counters();
    assert_eq!(counters.dropped_queue_full, 10);
    let waiting = queued * (8 + BODY) - counters.bytes_sent as usize;
    assert!((LIMIT - BODY - 8..=LIMIT).contains(&waiting), "{waiting} bytes wait");

    drive([&mut one, &mut two], "what was queued has arrived", |[one, _]| one.bodies(2).count() == queued);
    let intact =
        |(body, number): (&bytes::Bytes, u32)| body.len() == BODY && body[..4] == number.to_le_bytes();
    assert!(one.bodies(2).zip(0..).all(intact));
    assert_eq!(two.send(1, "again"), Sent::Queued);
    drive([&mut one, &mut two], "sending goes on", |[one, _]| one.bodies(2).any(|body| body == "again"));
    assert_eq!(one.counters().connects, 1, "on the same connection");
}

#[test]
fn an_empty_queue_takes_one_message_longer_than_the_queue() {
    let (mut one, mut two) = pair_of(config(1, &[(2, nowhere())]), |one| {
        let mut config = config(2, &[(1, one)]);
        config.send_queue_bytes = 1000;
        config
    });
    assert_eq!(two.send(1, vec![1; 5 << 20]), Sent::Queued);
    assert_eq!(two.send(1, "one more"), Sent::Dropped);
    drive([&mut one, &mut two], "it has arrived", |[one, _]| one.bodies(2).any(|body| body.len() == 5 << 20));
    assert_eq!(two.send(1, vec![1; 5 << 20]), Sent::Queued, "the queue is empty again");
}

#[test]
fn messages_that_wait_when_the_connection_ends_are_counted() {
    let (one, mut two) = pair_of(config(1, &[(2, nowhere())]), |one| config(2, &[(1, one)]));
    let queued = u64::from(fill(&mut two, 100_000));
    drop(one);
    drive([&mut two], "the end is seen", |[two]| !two.is_connected(1));
    let counters = two.counters();
    assert!(counters.dropped_not_connected > 0);
    assert_eq!(counters.frames_sent + counters.dropped_not_connected, queued);
}

/// A heartbeat behind 16 MiB arrives before them, and after no more than what the kernel and one piece hold.
#[test]
fn an_urgent_message_passes_a_long_one() {
    const LONG: usize = 16 << 20;
    let (mut one, mut two) = pair_of(config(1, &[(2, nowhere())]), |one| {
        let mut config = config(2, &[(1, one)]);
        config.socket_send_bytes = Some(256 << 10);
        config
    });
    assert_eq!(two.send(1, vec![1; LONG]), Sent::Queued);
    two.flush();
    let waiting = two.queued_bytes(1).unwrap();
    assert!(waiting > LONG / 2, "the kernel has taken all but {waiting} bytes");
    assert_eq!(two.send_frame(1, Frame::from(Bytes::from_static(b"heartbeat")).urgent()), Sent::Queued);
    drive([&mut one, &mut two], "both have arrived", |[one, _]| one.bodies(2).count() == 2);
    assert_eq!(one.bodies(2).map(Bytes::len).collect::<Vec<_>>(), [9, LONG]);
    assert!(one.bodies(2).nth(1).unwrap().iter().all(|byte| *byte == 1));
    let (sent, received) = (two.counters(), one.counters());
    assert_eq!((sent.bytes_sent, sent.frames_sent), (received.bytes_received, received.frames_received));
}
