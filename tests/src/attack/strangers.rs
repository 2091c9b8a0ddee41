//! Strangers: a thread for each kind, each with an address of its own.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use niagara_testing::parts::chance::Chance;
use socket2::{Domain, Socket, Type};

use super::processors::STRANGER;
use super::{AttackPlan, LARGE};
use crate::Endpoint;

/// How much of it there is, or was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Idle connections that are open.
    pub idle: usize,
    /// Connections of slow writers that were opened: a server closes them after a while.
    pub slow_writers: usize,
    /// Those of deaf readers.
    pub deaf_readers: usize,
    /// Connections that have sent rubbish.
    pub rubbish: usize,
}

/// What threads count.
#[derive(Default)]
struct Counts {
    idle: AtomicUsize,
    slow_writers: AtomicUsize,
    deaf_readers: AtomicUsize,
    rubbish: AtomicUsize,
}

/// Running strangers.
pub(super) struct Strangers {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

/// What slow writers send at once: it is held until their requests are finished, so never.
const FIRST_PART: usize = 1 << 20;
/// Replies that a deaf reader asks for.
const ASKED: usize = 100;
/// Between two looks at connections that are held.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// A server that takes no connection now may take one later.
const PATIENCE: Duration = Duration::from_millis(200);

/// The ports that strangers attack.
#[derive(Clone, Debug)]
pub(super) struct Attacked {
    /// Those for clients.
    pub(super) clients: Vec<SocketAddr>,
    /// Of these, those that speak the Redis protocol.
    pub(super) redis: Vec<SocketAddr>,
    /// Those for servers, too.
    pub(super) all: Vec<SocketAddr>,
}

impl Attacked {
    /// Those of servers.
    pub(super) fn of(endpoints: &[Endpoint]) -> Attacked {
        Attacked {
            clients: endpoints.iter().flat_map(|endpoint| [endpoint.http, endpoint.redis]).collect(),
            redis: endpoints.iter().map(|endpoint| endpoint.redis).collect(),
            all: endpoints.iter().flat_map(Endpoint::addresses).collect(),
        }
    }
}

impl Strangers {
    pub(super) fn start(plan: &AttackPlan, attacked: Attacked) -> Strangers {
        let mut strangers = Strangers { stop: Arc::default(), counts: Arc::default(), threads: Vec::new() };
        let Attacked { clients, redis, all } = attacked;
        let AttackPlan { idle, slow_writers, deaf_readers, rubbish_per_second, .. } = *plan;
        strangers.spawn(move |stop, counts| be_idle(&clients, idle, stop, &counts.idle));
        let ports = redis.clone();
        strangers.spawn(move |stop, counts| write_slowly(&ports, slow_writers, stop, &counts.slow_writers));
        strangers.spawn(move |stop, counts| be_deaf(&redis, deaf_readers, stop, &counts.deaf_readers));
        strangers.spawn(move |stop, counts| talk_rubbish(&all, rubbish_per_second, stop, &counts.rubbish));
        strangers
    }

    fn spawn(&mut self, work: impl FnOnce(&AtomicBool, &Counts) + Send + 'static) {
        let (stop, counts) = (Arc::clone(&self.stop), Arc::clone(&self.counts));
        let thread = thread::Builder::new().name(STRANGER.into());
        self.threads.push(thread.spawn(move || work(&stop, &counts)).expect("a thread can be started"));
    }

    pub(super) fn done(&self) -> Done {
        let Counts { idle, slow_writers, deaf_readers, rubbish } = &*self.counts;
        let [idle, slow_writers, deaf_readers, rubbish] =
            [idle, slow_writers, deaf_readers, rubbish].map(|count| count.load(Relaxed));
        Done { idle, slow_writers, deaf_readers, rubbish }
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("strangers do not panic");
        }
    }
}

/// A connection from a stranger's address, if the server takes one.
fn connect(host: u8, port: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into()).ok()?;
    // Without this, the ports of connections that have ended would soon be used up.
    socket.set_linger(Some(Duration::ZERO)).ok()?;
    socket.connect_timeout(&port.into(), PATIENCE).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket.into())
}

/// Whether the server has not ended a connection yet.
pub(super) fn is_open(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 256];
    match stream.read(&mut buffer) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn be_idle(ports: &[SocketAddr], most: usize, stop: &AtomicBool, count: &AtomicUsize) {
    let (mut held, mut next): (Vec<TcpStream>, usize) = (Vec::new(), 0);
    while !stop.load(Relaxed) {
        held.retain(is_open);
        while held.len() < most && !stop.load(Relaxed) {
            next += 1;
            match connect(2, ports[next % ports.len()]) {
                Some(stream) => held.push(stream),
                None => break,
            }
        }
        count.store(held.len(), Relaxed);
        thread::sleep(LOOK);
    }
}

fn write_slowly(ports: &[SocketAddr], most: usize, stop: &AtomicBool, count: &AtomicUsize) {
    let mut begin = b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$16777216\r\n".to_vec();
    begin.resize(begin.len() + FIRST_PART, b'x');
    hold(3, ports, most, &begin, b"x", stop, count);
}

fn be_deaf(ports: &[SocketAddr], most: usize, stop: &AtomicBool, count: &AtomicUsize) {
    let begin = format!("GET {LARGE}\r\n").repeat(ASKED).into_bytes();
    hold(4, ports, most, &begin, b"PING\r\n", stop, count);
}

/// Keeps so many connections open, on which it sends a beginning, and then the same again every second. It reads nothing.
fn hold(
    host: u8,
    ports: &[SocketAddr],
    most: usize,
    begin: &[u8],
    again: &[u8],
    stop: &AtomicBool,
    count: &AtomicUsize,
) {
    /// A connection, and how much of the beginning is sent.
    type Held = (TcpStream, usize);
    let advance = |(stream, sent): &mut Held| loop {
        // Nothing is read, so only a write notices that the server has ended the connection.
        let rest = if *sent < begin.len() { &begin[*sent..] } else { again };
        match stream.write(rest) {
            Ok(0) => return false,
            Ok(written) => {
                *sent += written;
                if *sent > begin.len() {
                    return true;
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    };
    let (mut held, mut next): (Vec<Held>, usize) = (Vec::new(), 0);
    while !stop.load(Relaxed) {
        held.retain_mut(advance);
        for _ in held.len()..most {
            next += 1;
            if let Some(stream) = connect(host, ports[next % ports.len()]) {
                let mut one = (stream, 0);
                count.fetch_add(1, Relaxed);
                if advance(&mut one) {
                    held.push(one);
                }
            }
        }
        // A beginning that is longer than what sockets hold goes out in parts.
        let is_begun = held.iter().all(|(_, sent)| *sent >= begin.len());
        thread::sleep(if is_begun { LOOK } else { LOOK / 20 });
    }
}

/// What strangers say: nothing of it is a request.
fn rubbish(chance: &mut Chance) -> Vec<u8> {
    let noise = |chance: &mut Chance, most| {
        let length = 1 + chance.below(most) as usize;
        (0..length).map(|_| chance.below(256) as u8).collect::<Vec<u8>>()
    };
    match chance.below(8) {
        0 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        1 => b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n".to_vec(),
        2 => b"*1000000000\r\n$4\r\n".to_vec(),
        3 => b"SSH-2.0-scanner\r\n".to_vec(),
        4 => vec![0; 64],
        5 => [0xff; 16].to_vec(),
        6 => [b"*2\r\n$3\r\nGET\r\n$9\r\n".to_vec(), noise(chance, 64)].concat(),
        _ => noise(chance, 4096),
    }
}

fn talk_rubbish(ports: &[SocketAddr], per_second: u32, stop: &AtomicBool, count: &AtomicUsize) {
    let (begin, mut chance) = (Instant::now(), Chance::new(1));
    // Each stays for a moment, so that the server reads what it says.
    let mut open = VecDeque::new();
    let mut sent = 0_u64;
    while !stop.load(Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        while sent < due {
            sent += 1;
            if let Some(mut stream) = connect(5, ports[chance.below(ports.len() as u64) as usize]) {
                // The server may end it before all is written.
                let _ = stream.write(&rubbish(&mut chance));
                count.fetch_add(1, Relaxed);
                open.push_back(stream);
            }
        }
        open.drain(..open.len().saturating_sub(per_second as usize / 4));
        thread::sleep(Duration::from_millis(5));
    }
}
