//! Probes of servers that run, of one that waits, and of what is no server of the cluster.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use niagara_net::{Frame, FrameReader, Greeting, LinkConfig, Peer, ProbeError, Refusal, Responder, probe};

use crate::rig::{DEADLINE, Node, config, drive, hello, nowhere};

/// What a server of the tests' cluster finds at an address that is said to be that of another one.
fn probed(prober: u64, server: u64, address: SocketAddr) -> Result<(), ProbeError> {
    probe(config(prober, &[]), Peer { server, address: address.to_string() }, DEADLINE)
}

/// What comes out, while a server that runs takes its turns.
fn while_it_runs<T: Send>(node: &mut Node, ask: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let asked = scope.spawn(ask);
        while !asked.is_finished() {
            node.turn();
        }
        asked.join().unwrap()
    })
}

/// What comes out, while a server waits at a socket.
fn while_it_waits<T>(config: &LinkConfig, ask: impl FnOnce(SocketAddr) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut responder = Responder::new(config, [listener]).unwrap();
    let (waker, is_over) = (responder.waker(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| responder.run(&is_over));
        let out = ask(address);
        is_over.store(true, SeqCst);
        waker.wake();
        out
    })
}

#[test]
fn a_server_that_runs_answers_whatever_the_ids_and_keeps_its_connections() {
    let mut one = Node::open(config(2, &[(3, nowhere())]));
    let mut three = Node::open(config(3, &[(2, one.address())]));
    drive([&mut one, &mut three], "both are up", |[one, three]| one.is_connected(3) && three.is_connected(2));
    let at = one.address();
    for prober in [1, 2, 3, 9] {
        while_it_runs(&mut one, || probed(prober, 2, at)).unwrap();
    }
    assert!(one.is_connected(3) && one.counters().bad_frames == 0, "{:?}", one.counters());
    let found = while_it_runs(&mut one, || probed(1, 3, at));
    assert!(matches!(found, Err(ProbeError::Refused(Refusal::WrongServer { expected: 3, found: 2 }))));
}

#[test]
fn a_server_that_waits_answers_those_of_its_cluster() {
    while_it_waits(&config(4, &[]), |at| {
        probed(1, 4, at).unwrap();
        probed(9, 4, at).unwrap();
        let wrong = probed(1, 5, at).unwrap_err();
        assert!(matches!(wrong, ProbeError::Refused(Refusal::WrongServer { expected: 5, found: 4 })));
    });
    let mut other = config(4, &[]);
    other.hello.cluster += 1;
    let found = while_it_waits(&other, |at| probed(1, 4, at));
    assert!(matches!(found, Err(ProbeError::Refused(Refusal::WrongCluster))), "{found:?}");
    let mut other = config(4, &[]);
    other.hello.application = 7;
    let found = while_it_waits(&other, |at| probed(1, 4, at));
    assert!(matches!(found, Err(ProbeError::Refused(Refusal::Application(_)))), "{found:?}");
}

/// Who dials for messages is neither refused nor heard: when the server runs, it is.
#[test]
fn a_server_that_waits_lets_those_wait_who_dial_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut five = Node::open(config(5, &[(4, at)]));
    let mut responder = Responder::new(&config(4, &[]), [listener.try_clone().unwrap()]).unwrap();
    let (waker, is_over) = (responder.waker(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| responder.run(&is_over));
        while_it_runs(&mut five, || probed(1, 4, at)).unwrap();
        is_over.store(true, SeqCst);
        waker.wake();
    });
    drop(responder);
    assert_eq!(five.refusals(), []);
    let mut four = Node::open_at(config(4, &[(5, nowhere())]), listener);
    drive([&mut four, &mut five], "both are up", |[four, five]| four.is_connected(5) && five.is_connected(4));
}

#[test]
fn what_is_no_server_is_told_apart() {
    let nobody = probed(1, 4, nowhere()).unwrap_err();
    assert!(matches!(&nobody, ProbeError::Unreachable(why) if why.contains("refused")), "{nobody:?}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let silence = probe(config(1, &[]), Peer { server: 4, address }, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(silence, ProbeError::Silent), "{silence:?}");
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = foreign.local_addr().unwrap();
    let found = thread::scope(|scope| {
        scope.spawn(|| foreign.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
        probed(1, 4, address)
    });
    assert!(matches!(found, Err(ProbeError::Foreign)), "{found:?}");
    let nonsense = probe(config(1, &[]), Peer { server: 4, address: "nowhere".into() }, DEADLINE);
    assert!(matches!(nonsense, Err(ProbeError::Unreachable(_))), "{nonsense:?}");
}

/// Earlier releases refuse the channel, after they have compared the cluster.
#[test]
fn a_server_that_knows_of_no_probes_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let refuse = |refusal: Refusal| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = FrameReader::new(4096, 4096);
                while reader.next_body().unwrap().is_none() {
                    let count = stream.read(reader.room()).unwrap();
                    reader.advance(count);
                }
                let frame = Frame::from(Greeting::Refusal(refusal).encode());
                frame.slices().for_each(|slice| stream.write_all(slice).unwrap());
            });
            probed(1, 4, address)
        })
    };
    let found = refuse(Refusal::WrongChannels { refuser: hello(4).channels, refused: 0 });
    assert!(matches!(found, Err(ProbeError::Unsupported)), "{found:?}");
    let found = refuse(Refusal::WrongCluster);
    assert!(matches!(found, Err(ProbeError::Refused(Refusal::WrongCluster))), "{found:?}");
}
