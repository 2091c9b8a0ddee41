//! Who is admitted, and that both ends read the same reason for a refusal.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use niagara_net::{
    Admission, AdmitAll, Event, Greeting, Hello, LEVELS_VERSION, Levels, LinkConfig, Refusal, VERSION,
};

use crate::rig::{DEADLINE, Node, Raw, config, drive, hello, nowhere, wire};

/// Knows the store of each server.
struct KnownStores;

impl Admission for KnownStores {
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        match peer.store == hello(peer.server).store {
            true => Ok(()),
            false => Err(Refusal::Store(format!("server {} lost its store", peer.server))),
        }
    }
}

/// Lets a server with changed settings dial server 1, and checks that both ends see the refusal, that the
/// dialler refuses if `by_dialler` and else server 1, and that neither considers the connection usable.
fn refused(dialler: LinkConfig, expected: &Refusal, by_dialler: bool) {
    let mut one = Node::open_with(config(1, &[(2, nowhere()), (3, nowhere())]), Arc::new(KnownStores));
    let peers = dialler.peers.iter().map(|peer| (peer.server, one.address())).collect::<Vec<_>>();
    let dialler = LinkConfig { peers: config(0, &peers).peers, ..dialler };
    let mut other = Node::open(dialler);
    drive([&mut one, &mut other], "both see a refusal", |[one, other]| {
        !one.events.is_empty() && !other.events.is_empty()
    });
    for (node, by_us) in [(&one, !by_dialler), (&other, by_dialler)] {
        assert_eq!(node.refusals().first(), Some(&(expected.clone(), by_us)));
        assert_eq!(node.refusals().len(), node.events.len(), "nothing but refusals: {:?}", node.events);
        let counters = node.counters();
        assert_eq!(counters.refusals_sent > 0, by_us);
        assert_eq!(counters.refusals_received > 0, !by_us);
        assert_eq!(counters.connects, 0);
    }
}

fn dialler(change: impl FnOnce(&mut Hello)) -> LinkConfig {
    let mut config = config(2, &[(1, nowhere())]);
    change(&mut config.hello);
    config
}

#[test]
fn another_cluster_is_refused() {
    refused(dialler(|hello| hello.cluster += 1), &Refusal::WrongCluster, false);
}

#[test]
fn another_channel_is_refused() {
    // One below those that are open here: a higher one may be opened yet.
    refused(dialler(|hello| hello.channel = 0), &Refusal::WrongChannel { refuser: 1, refused: 0 }, false);
}

#[test]
fn another_number_of_channels_is_refused() {
    refused(dialler(|hello| hello.channels = 8), &Refusal::WrongChannels { refuser: 4, refused: 8 }, false);
}

#[test]
fn an_unknown_server_is_refused() {
    refused(dialler(|hello| hello.server = 7), &Refusal::UnknownServer { server: 7 }, false);
}

#[test]
fn a_lost_store_is_refused() {
    let reason = "server 2 lost its store".to_owned();
    refused(dialler(|hello| hello.store = 0), &Refusal::Store(reason), false);
}

#[test]
fn the_wrong_server_at_an_address_is_refused_by_who_dialled_it() {
    refused(config(3, &[(2, nowhere())]), &Refusal::WrongServer { expected: 2, found: 1 }, true);
}

#[test]
fn a_listener_whose_store_is_lost_is_refused_by_who_dialled_it() {
    let mut lost = config(1, &[(2, nowhere())]);
    lost.hello.store = 0;
    let mut one = Node::open_with(lost, Arc::new(AdmitAll));
    let mut two = Node::open_with(config(2, &[(1, one.address())]), Arc::new(KnownStores));
    drive([&mut one, &mut two], "both see a refusal", |[one, two]| {
        !one.events.is_empty() && !two.events.is_empty()
    });
    let refusal = Refusal::Store("server 1 lost its store".to_owned());
    assert_eq!(one.events[0], Event::Refused { peer: Some(2), refusal: refusal.clone(), by_us: false });
    assert_eq!(two.events[0], Event::Refused { peer: Some(1), refusal, by_us: true });
    assert_eq!((one.counters().connects, two.counters().connects), (0, 0));
}

#[test]
fn a_lower_id_must_not_dial() {
    let mut two = Node::open(config(2, &[(1, nowhere())]));
    let mut raw = Raw::connect(two.address());
    raw.write(&wire(&Greeting::Hello(hello(1)).encode()));
    let refusal = Refusal::NotYourTurn { refuser: 2, refused: 1 };
    assert_eq!(raw.greeting(&mut two), Greeting::Refusal(refusal.clone()));
    raw.await_end(&mut two);
    assert_eq!(two.refusals(), [(refusal, true)]);
}

/// A hello as a later version of the protocol might send it.
fn hello_of_version(version: u16) -> Vec<u8> {
    let mut body = Greeting::Hello(hello(2)).encode().to_vec();
    body[8..10].copy_from_slice(&version.to_le_bytes());
    body.extend(b"and more");
    wire(&body)
}

#[test]
fn a_dialler_of_another_version_is_told_so() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut raw = Raw::connect(one.address());
    raw.write(&hello_of_version(9));
    let refusal = Refusal::WrongVersion { refuser: VERSION, refused: 9 };
    assert_eq!(raw.greeting(&mut one), Greeting::Refusal(refusal.clone()));
    raw.await_end(&mut one);
    assert_eq!(one.events, [Event::Refused { peer: None, refusal, by_us: true }]);
}

#[test]
fn a_listener_of_another_version_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut two = Node::open(config(2, &[(1, listener.local_addr().unwrap())]));
    let mut raw = Raw::accept(&listener, &mut two);
    assert_eq!(raw.greeting(&mut two), Greeting::Hello(hello(2)));
    raw.write(&hello_of_version(9));
    let refusal = Refusal::WrongVersion { refuser: VERSION, refused: 9 };
    assert_eq!(raw.greeting(&mut two), Greeting::Refusal(refusal.clone()));
    assert_eq!(two.events, [Event::Refused { peer: Some(1), refusal, by_us: true }]);
}

const LEVELS: Levels = Levels { in_force: 1, known: 2 };

fn with_levels(mut config: LinkConfig) -> LinkConfig {
    config.hello.levels = Some(LEVELS);
    config
}

#[test]
fn who_knows_of_no_levels_is_greeted_without_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut two = Node::open(with_levels(config(2, &[(1, listener.local_addr().unwrap())])));
    let with = Greeting::Hello(Hello { levels: Some(LEVELS), ..hello(2) });
    for _ in 0..2 {
        let mut raw = Raw::accept(&listener, &mut two);
        assert_eq!(raw.greeting(&mut two), with);
        let refusal = Refusal::WrongVersion { refuser: VERSION, refused: LEVELS_VERSION };
        raw.write(&wire(&Greeting::Refusal(refusal).encode()));
        raw.await_end(&mut two);
        let mut raw = Raw::accept(&listener, &mut two);
        assert_eq!(raw.greeting(&mut two), Greeting::Hello(hello(2)));
        raw.write(&wire(&Greeting::Hello(hello(1)).encode()));
        assert_eq!(raw.greeting(&mut two), Greeting::Welcome);
        drive([&mut two], "the connection is up", |[two]| two.is_connected(1));
        drop(raw);
        // It may be of a newer release when it is back.
        drive([&mut two], "the connection is down", |[two]| !two.is_connected(1));
    }
    assert!(two.refusals().is_empty(), "nothing is wrong: {:?}", two.events);
}

#[test]
fn a_listener_answers_as_it_was_greeted() {
    for greeted in [None, Some(LEVELS)] {
        let mut one = Node::open(with_levels(config(1, &[(2, nowhere())])));
        let mut raw = Raw::connect(one.address());
        raw.write(&wire(&Greeting::Hello(Hello { levels: greeted, ..hello(2) }).encode()));
        assert_eq!(raw.greeting(&mut one), Greeting::Hello(Hello { levels: greeted, ..hello(1) }));
    }
}

#[test]
fn a_listener_of_the_first_level_refuses_as_one_of_an_earlier_release() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut two = Node::open(with_levels(config(2, &[(1, one.address())])));
    drive([&mut one, &mut two], "both are connected", |[one, two]| {
        one.is_connected(2) && two.is_connected(1)
    });
    let refusal = Refusal::WrongVersion { refuser: VERSION, refused: LEVELS_VERSION };
    assert_eq!((one.refusals(), two.refusals()), (vec![(refusal, true)], Vec::new()));
}

#[test]
fn a_server_of_the_first_level_is_told_that_the_cluster_is_beyond() {
    let above = Levels { in_force: 2, known: 2 };
    let mut one = config(1, &[(2, nowhere())]);
    one.hello.levels = Some(above);
    let mut one = Node::open(one);
    let mut raw = Raw::connect(one.address());
    raw.write(&wire(&Greeting::Hello(hello(2)).encode()));
    let Greeting::Refusal(Refusal::Level(why)) = raw.greeting(&mut one) else { panic!("it is refused") };
    assert!(why.contains("at level 2, and server 2 runs a release that knows levels up to 1"), "{why}");
}

#[test]
fn a_listener_that_never_answers_is_given_up_and_dialled_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut hasty = config(2, &[(1, listener.local_addr().unwrap())]);
    hasty.hello_timeout = Duration::from_millis(20);
    let mut two = Node::open(hasty);
    let mut raw = Raw::accept(&listener, &mut two);
    assert_eq!(raw.greeting(&mut two), Greeting::Hello(hello(2)));
    raw.await_end(&mut two);
    Raw::accept(&listener, &mut two);
    let counters = two.counters();
    assert!(counters.greeting_timeouts > 0 && counters.dial_failures > 0, "{counters:?}");
    assert_eq!(two.events, []);
}

#[test]
fn a_host_name_is_resolved() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut two = config(2, &[(1, nowhere())]);
    two.peers[0].address = format!("localhost:{}", one.address().port());
    let mut two = Node::open(two);
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
}

/// An answer that arrives while nobody sleeps wakes nobody, so the last check before the sleep must find it.
#[test]
fn a_name_that_is_resolved_between_two_turns_is_dialled_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut two = config(2, &[(1, nowhere())]);
    two.peers[0].address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let mut two = Node::open(two);
    two.turn();
    // Time for the look-up to end between the turns. If it takes longer, the test shows less but does not
    // fail.
    thread::sleep(Duration::from_millis(100));
    listener.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    while listener.accept().is_err() {
        two.turn_at(Instant::now(), Some(DEADLINE), || true);
        assert!(begin.elapsed() < DEADLINE, "asleep on the answer");
    }
}

/// A greeting's time starts when its connection is accepted, not when the sleep started that this has ended.
#[test]
fn a_long_sleep_takes_no_time_from_the_greeting_that_ends_it() {
    let mut one = Node::open(config(1, &[(2, nowhere())]));
    let mut raw = Raw::connect(one.address());
    let stale = Instant::now() - Duration::from_secs(60);
    one.turn_at(stale, Some(DEADLINE), || true);
    raw.write(&wire(&Greeting::Hello(hello(2)).encode()));
    assert_eq!(raw.greeting(&mut one), Greeting::Hello(hello(1)));
    raw.write(&wire(&Greeting::Welcome.encode()));
    drive([&mut one], "it is up", |[one]| one.is_connected(2));
}

#[test]
fn an_address_that_makes_no_sense_is_tried_again_and_harms_nobody() {
    let mut one = Node::open(config(1, &[(3, nowhere())]));
    let mut three = config(3, &[(1, one.address()), (2, nowhere())]);
    three.peers[1].address = "no port".to_owned();
    let mut three = Node::open(three);
    drive([&mut one, &mut three], "the other peer is up", |[_, three]| {
        three.is_connected(1) && three.counters().dial_failures > 1
    });
}

#[test]
fn a_dialled_connection_starts_from_the_bound_address() {
    let from = SocketAddr::from(([127, 0, 0, 3], 0)).ip();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bound = config(2, &[(1, listener.local_addr().unwrap())]);
    bound.bind_address = Some(from);
    let mut two = Node::open(bound);
    assert_eq!(Raw::accept(&listener, &mut two).address().ip(), from);
}
