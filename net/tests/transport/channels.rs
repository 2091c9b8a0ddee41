//! Several channels on one transport: one thread, one epoll, and sockets of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{
    AdmitAll, Event, Frame, Hello, LinkConfig, OpenError, Refusal, Sent, Switchboard, TcpTransport, Transport,
};

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

/// Server 1 with channels 1 and 2 on transports of their own and at one address, and server 2, which dials both.
fn sharing() -> [TcpTransport; 3] {
    let board = Arc::<Switchboard>::default();
    let [mut first, mut second] = [(); 2].map(|()| TcpTransport::sharing(&board).unwrap());
    first.open(of_channel(config(1, &[(2, nowhere())]), 1), None, Arc::new(AdmitAll)).unwrap();
    let address = first.local_addr(1).unwrap();
    let mut at_the_same = of_channel(config(1, &[(2, nowhere())]), 2);
    at_the_same.listen = address;
    second.open(at_the_same.clone(), None, Arc::new(AdmitAll)).unwrap();
    assert_eq!(second.local_addr(2), Some(address));
    let again = first.open(at_the_same, None, Arc::new(AdmitAll));
    assert!(matches!(again, Err(OpenError::RepeatedChannel { channel: 2 })), "open elsewhere: {again:?}");
    let mut two = TcpTransport::new().unwrap();
    for number in [1, 2] {
        two.open(of_channel(config(2, &[(1, address)]), number), None, Arc::new(AdmitAll)).unwrap();
    }
    [first, second, two]
}

fn turn_all(servers: &mut [TcpTransport], events: &mut [Vec<(u32, Event)>]) {
    for (transport, events) in servers.iter_mut().zip(events) {
        transport.turn(Instant::now(), Some(Duration::from_millis(1)), &mut || true, events).unwrap();
    }
}

#[test]
fn channels_of_several_transports_share_an_address() {
    let (mut servers, mut events) = (sharing(), [const { Vec::new() }; 3]);
    let begin = Instant::now();
    while !(servers[0].is_connected(1, 2) && servers[1].is_connected(2, 2) && servers[2].is_connected(1, 1)) {
        assert!(begin.elapsed() < DEADLINE, "{servers:?}");
        turn_all(&mut servers, &mut events);
    }
    for number in [1, 2] {
        servers[2].send(number, 1, Frame::from(body(number)));
    }
    while events[0].len() + events[1].len() < 4 {
        assert!(begin.elapsed() < DEADLINE, "{events:?}");
        turn_all(&mut servers, &mut events);
    }
    for (at, number) in [(0, 1), (1, 2)] {
        let came = Event::Frame { from: 2, body: body(number) };
        assert_eq!(events[at], [(number, Event::Up { peer: 2 }), (number, came)]);
    }
}

#[test]
fn an_address_outlives_the_channel_that_it_was_opened_for() {
    let (mut servers, mut events) = (sharing(), [const { Vec::new() }; 3]);
    let begin = Instant::now();
    servers[0].close(1);
    let refused = |events: &[(u32, Event)]| {
        let not_open =
            Event::Refused { peer: Some(1), refusal: Refusal::NotOpen { channel: 1 }, by_us: false };
        events.contains(&(1, not_open))
    };
    while !(servers[1].is_connected(2, 2) && refused(&events[2])) {
        assert!(begin.elapsed() < DEADLINE, "{servers:?} {events:?}");
        turn_all(&mut servers, &mut events);
    }
    servers[1].close(2);
    servers[0].close(1);
    let address = servers[0].local_addr(1);
    assert_eq!(address, None);
}

#[test]
fn who_dials_a_channel_that_is_about_to_be_opened_waits_for_it() {
    let board = Arc::<Switchboard>::default();
    let [mut first, mut second] = [(); 2].map(|()| TcpTransport::sharing(&board).unwrap());
    first.open(of_channel(config(1, &[(2, nowhere())]), 1), None, Arc::new(AdmitAll)).unwrap();
    let address = first.local_addr(1).unwrap();
    let mut two = TcpTransport::new().unwrap();
    let early = of_channel(config(2, &[(1, address)]), 7);
    two.open(early, None, Arc::new(AdmitAll)).unwrap();
    let (mut servers, mut events) = ([first, two], [const { Vec::new() }; 2]);
    let begin = Instant::now();
    // In so many turns the listener has accepted, read the greeting, and would have answered.
    for _ in 0..100 {
        turn_all(&mut servers, &mut events);
    }
    assert!(events[1].is_empty() && !servers[1].is_connected(7, 1), "{events:?}");
    let mut late = of_channel(config(1, &[(2, nowhere())]), 7);
    late.listen = address;
    second.open(late, None, Arc::new(AdmitAll)).unwrap();
    let [first, two] = servers;
    let (mut servers, mut events) = ([first, second, two], [const { Vec::new() }; 3]);
    while !(servers[1].is_connected(7, 2) && servers[2].is_connected(7, 1)) {
        assert!(begin.elapsed() < DEADLINE, "{servers:?}");
        turn_all(&mut servers, &mut events);
    }
    assert_eq!(servers[2].counters(7).dial_failures, 0, "it has dialled once");
}

#[test]
fn a_channel_that_is_never_opened_is_refused_in_the_end() {
    let mut soon = of_channel(config(1, &[(2, nowhere())]), 1);
    soon.hello_timeout = Duration::from_millis(50);
    let mut one = TcpTransport::new().unwrap();
    one.open(soon, None, Arc::new(AdmitAll)).unwrap();
    let address = one.local_addr(1).unwrap();
    let mut two = TcpTransport::new().unwrap();
    two.open(of_channel(config(2, &[(1, address)]), 7), None, Arc::new(AdmitAll)).unwrap();
    let (mut servers, mut events) = ([one, two], [const { Vec::new() }; 2]);
    let refusal = Refusal::WrongChannel { refuser: 1, refused: 7 };
    let refused = (7, Event::Refused { peer: Some(1), refusal, by_us: false });
    let begin = Instant::now();
    while !events[1].contains(&refused) {
        assert!(begin.elapsed() < DEADLINE, "{servers:?}");
        turn_all(&mut servers, &mut events);
    }
}
