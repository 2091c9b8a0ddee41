//! Several channels on one transport: one thread, one epoll, and sockets of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{AdmitAll, Event, Frame, Hello, LinkConfig, OpenError, Sent, TcpTransport, Transport};

use crate::rig::{DEADLINE, config, nowhere};

/// Channels in an order that is not that of their numbers.
const NUMBERS: [u32; 4] = [3, 1, 0, 2];

fn of_channel(mut config: LinkConfig, channel: u32) -> LinkConfig {
    config.hello = Hello { channel, ..config.hello };
    config
}

/// Servers 1 and 2 with all channels open.
fn pair() -> [TcpTransport; 2] {
    let [mut one, mut two] = [(); 2].map(|()| TcpTransport::new().unwrap());
    for number in NUMBERS {
        one.open(of_channel(config(1, &[(2, nowhere())]), number), None, Arc::new(AdmitAll)).unwrap();
        let address = one.local_addr(number).unwrap();
        two.open(of_channel(config(2, &[(1, address)]), number), None, Arc::new(AdmitAll)).unwrap();
    }
    [one, two]
}

/// Gives both turns until the condition holds, and returns what happened at the first.
fn drive(
    [one, two]: &mut [TcpTransport; 2],
    mut holds: impl FnMut(&[(u32, Event)], &TcpTransport) -> bool,
) -> Vec<(u32, Event)> {
    let (begin, mut events, wait) = (Instant::now(), Vec::new(), Some(Duration::from_millis(1)));
    while !holds(&events, two) {
        assert!(begin.elapsed() < DEADLINE, "{events:?} {one:?} {two:?}");
        one.turn(Instant::now(), wait, &mut || true, &mut events).unwrap();
        two.turn(Instant::now(), wait, &mut || true, &mut Vec::new()).unwrap();
    }
    events
}

fn all_up(servers: &mut [TcpTransport; 2]) {
    drive(servers, |events, two| {
        events.iter().filter(|(_, event)| *event == Event::Up { peer: 2 }).count() == NUMBERS.len()
            && NUMBERS.iter().all(|number| two.is_connected(*number, 1))
    });
}

fn body(number: u32) -> Bytes {
    Bytes::from(format!("on channel {number}"))
}

#[test]
fn each_message_arrives_on_its_channel() {
    let mut servers = pair();
    all_up(&mut servers);
    for number in NUMBERS {
        assert_eq!(servers[1].send(number, 1, Frame::from(body(number))), Sent::Queued);
        assert!(servers[1].queued_bytes(number, 1).unwrap() > 0);
    }
    servers[1].flush();
    assert!(NUMBERS.iter().all(|number| servers[1].queued_bytes(*number, 1) == Some(0)));
    let mut events = drive(&mut servers, |events, _| events.len() == NUMBERS.len());
    events.sort_by_key(|(number, _)| *number);
    let sent = (0..4).map(|number| (number, Event::Frame { from: 2, body: body(number) }));
    assert_eq!(events, sent.collect::<Vec<_>>());
    assert!(NUMBERS.iter().all(|number| servers[1].counters(*number).frames_sent == 1));
}

#[test]
fn a_channel_that_closes_leaves_the_others() {
    let mut servers = pair();
    all_up(&mut servers);
    servers[1].close(1);
    assert_eq!(servers[1].local_addr(1), None);
    assert_eq!(servers[1].send(1, 1, Frame::from(body(1))), Sent::Dropped);
    servers[1].send(2, 1, Frame::from(body(2)));
    servers[1].flush();
    let mut events = drive(&mut servers, |events, _| events.len() == 2);
    events.sort_by_key(|(number, _)| *number);
    assert!(matches!(events[0], (1, Event::Down { peer: 2, .. })), "{events:?}");
    assert_eq!(events[1], (2, Event::Frame { from: 2, body: body(2) }));

    let address = servers[0].local_addr(1).unwrap();
    servers[1].open(of_channel(config(2, &[(1, address)]), 1), None, Arc::new(AdmitAll)).unwrap();
    let events = drive(&mut servers, |events, _| !events.is_empty());
    assert_eq!(events, [(1, Event::Up { peer: 2 })]);
}

#[test]
fn a_number_stands_for_one_channel() {
    let [mut one, _] = pair();
    let again = one.open(of_channel(config(1, &[]), 2), None, Arc::new(AdmitAll));
    assert!(matches!(again, Err(OpenError::RepeatedChannel { channel: 2 })), "{again:?}");
}
