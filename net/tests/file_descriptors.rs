//! A server that has run out of file descriptors neither ends nor spins, and recovers when there are some
//! again.
//!
//! The limit applies to the whole process, so this test has its own.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_net::{AdmitAll, Event, Hello, LinkConfig, Peer, TcpTransport, Transport};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const DEADLINE: Duration = Duration::from_secs(120);

fn hello(server: u64) -> Hello {
    Hello { cluster: 1, server, channel: 0, channels: 1, store: 0, ..Hello::default() }
}

fn open(server: u64, peer: u64, address: String) -> TcpTransport {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = LinkConfig::new(hello(server), listen, vec![Peer { server: peer, address }]);
    config.reconnect_max = Duration::from_millis(50);
    let mut transport = TcpTransport::new().unwrap();
    transport.open(config, None, Arc::new(AdmitAll)).unwrap();
    transport
}

fn address(transport: &TcpTransport) -> SocketAddr {
    transport.local_addr(0).unwrap()
}

/// Opens files until there is no descriptor left.
fn use_up_descriptors() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

#[test]
fn accepting_pauses_while_there_are_no_file_descriptors() {
    let mut one = open(1, 2, String::new());
    let mut two = open(2, 1, address(&one).to_string());
    let before = getrlimit(Resource::Nofile);
    // The kernel has connected it; it has yet to be accepted. It took its own descriptor while there were
    // some.
    let stranger = TcpStream::connect(address(&one)).unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: before.maximum }).unwrap();
    let hoard = use_up_descriptors();
    assert!(!hoard.is_empty());

    let (begin, mut events, mut turns) = (Instant::now(), Vec::new(), 0u32);
    while one.counters(0).accept_errors < 3 || two.counters(0).dial_failures < 3 {
        assert!(begin.elapsed() < DEADLINE, "{one:?} {two:?}");
        two.turn(Instant::now(), Some(Duration::from_millis(5)), &mut || true, &mut events).unwrap();
        one.turn(Instant::now(), Some(Duration::from_millis(5)), &mut || true, &mut events).unwrap();
        turns += 1;
    }
    assert!(turns > 10, "accepting was tried again without a pause: 3 errors in {turns} turns");
    assert_eq!(events, []);

    drop((hoard, stranger));
    setrlimit(Resource::Nofile, before).unwrap();
    while !(one.is_connected(0, 2) && two.is_connected(0, 1)) {
        assert!(begin.elapsed() < DEADLINE, "{one:?} {two:?}");
        two.turn(Instant::now(), Some(Duration::from_millis(5)), &mut || true, &mut events).unwrap();
        one.turn(Instant::now(), Some(Duration::from_millis(5)), &mut || true, &mut events).unwrap();
    }
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.contains(&(0, Event::Up { peer: 1 })) && events.contains(&(0, Event::Up { peer: 2 })));
}
