//! How much two transports exchange over the loopback device, each on its own thread.
//!
//! `cargo run --release -p niagara-net --example throughput [FRAME_BYTES FRAMES_PER_FLUSH]`
//!
//! Server 2 sends batches of frames to server 1 as fast as its queue takes them; server 1 counts. The printed
//! figures are what arrived per second and passed its checksum.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{AdmitAll, Counters, Frame, Hello, LinkConfig, Peer, Sent, TcpTransport, Transport};

const RUN: Duration = Duration::from_secs(3);
const TURN: Option<Duration> = Some(Duration::from_millis(10));

fn open(server: u64, peer: u64, address: String) -> TcpTransport {
    let hello = Hello { cluster: 1, server, channel: 0, channels: 1, store: 0, ..Hello::default() };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = LinkConfig::new(hello, listen, vec![Peer { server: peer, address }]);
    let mut transport = TcpTransport::new().expect("epoll works");
    transport.open(config, None, Arc::new(AdmitAll)).expect("the loopback device works");
    transport
}

fn turn(transport: &mut TcpTransport, may_sleep: bool) {
    let mut events = Vec::new();
    transport.turn(Instant::now(), TURN, &mut || may_sleep, &mut events).expect("epoll works");
}

/// Sends until stopped. Resends a message that did not fit the queue once the socket has taken some.
fn send(mut sender: TcpTransport, frame_bytes: usize, per_flush: usize, stop: &AtomicBool) -> Counters {
    let body = Bytes::from(vec![7; frame_bytes]);
    while !stop.load(Ordering::Relaxed) {
        let connected = sender.is_connected(0, 1);
        let full = connected
            && (0..per_flush).any(|_| sender.send(0, 1, Frame::from(body.clone())) == Sent::Dropped);
        sender.flush();
        turn(&mut sender, full || !connected);
    }
    sender.counters(0)
}

fn run(frame_bytes: usize, per_flush: usize) {
    let mut receiver = open(1, 2, String::new());
    let sender = open(2, 1, receiver.local_addr(0).expect("it is open").to_string());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let sending = thread::spawn(move || send(sender, frame_bytes, per_flush, &stopped));

    while receiver.counters(0).frames_received == 0 {
        turn(&mut receiver, true);
    }
    let (begin, before) = (Instant::now(), receiver.counters(0));
    while begin.elapsed() < RUN {
        turn(&mut receiver, true);
    }
    let (seconds, after) = (begin.elapsed().as_secs_f64(), receiver.counters(0));
    stop.store(true, Ordering::Relaxed);
    drop(receiver);
    let sent = sending.join().expect("the sender ends when told to");

    let frames = (after.frames_received - before.frames_received) as f64;
    let bytes = (after.bytes_received - before.bytes_received) as f64;
    let reads = (after.read_calls - before.read_calls) as f64;
    println!(
        "{frame_bytes:>8}-byte frames, {per_flush:>3} per flush: {:>10.0} frames/s {:>7.0} MB/s, \
         {:>6.1} frames per write call, {:>6.1} per read call",
        frames / seconds,
        bytes / seconds / 1e6,
        sent.frames_sent as f64 / sent.write_calls as f64,
        frames / reads,
    );
}

fn main() {
    let numbers: Vec<usize> = env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    match numbers[..] {
        [frame_bytes, per_flush] => run(frame_bytes, per_flush),
        _ => [(64, 1), (64, 100), (1024, 100), (64 << 10, 4), (1 << 20, 1)]
            .into_iter()
            .for_each(|(frame_bytes, per_flush)| run(frame_bytes, per_flush)),
    }
}
