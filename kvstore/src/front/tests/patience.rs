//! How long a connection waits for its client, with time as an argument.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::fake::{FakeEngine, FakeServer, Mood};
use super::golden::{http, redis};
use crate::front::allowance::Allowance;
use crate::front::budget::Level;
use crate::front::client_session::ClientSession;
use crate::front::connection::patience::{LINGER, Overdue, PATIENCE, PATIENCE_BYTES, SHORT_PATIENCE};
use crate::front::connection::{Connection, Fate, READ_BYTES, Readiness, SENT_BYTES};
use crate::front::metrics::Tally;
use crate::front::session::{Session, Turn};
use crate::front::token::Origin;

/// A client, and its connection in a thread whose clock the test sets.
struct Pair {
    client: TcpStream,
    /// The connection's socket, to see what has arrived.
    arrived: TcpStream,
    connection: Connection<u8>,
    engine: FakeEngine,
    buffer: Vec<u8>,
    now: Instant,
}

impl Pair {
    fn new(talk: ClientSession<u8>) -> Pair {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let arrived = stream.try_clone().unwrap();
        let connection =
            Connection::new(niagara_tls::Stream::Plain(mio::net::TcpStream::from_std(stream)), talk);
        let (engine, mood) = FakeServer::new().engine();
        *mood.lock() = Mood::Hold;
        Pair { client, arrived, connection, engine, buffer: vec![0; READ_BYTES], now: Instant::now() }
    }

    fn http() -> Pair {
        Pair::new(ClientSession::Http(Session::new(http(), Origin::default())))
    }

    fn redis() -> Pair {
        Pair::new(ClientSession::Redis(Session::new(redis(), Origin::default())))
    }

    /// The client sends, and the server receives it all after this time.
    fn after(&mut self, time: Duration, bytes: &[u8]) -> Fate {
        self.now += time;
        self.client.write_all(bytes).unwrap();
        let mut seen = vec![0; bytes.len().min(PATIENCE_BYTES)];
        while !matches!(self.arrived.peek(&mut seen), Ok(count) if count == seen.len()) {
            thread::yield_now();
        }
        self.serve()
    }

    /// The server takes requests in one turn, and sends nothing yet.
    fn take_requests(&mut self) {
        let mut turn = Turn {
            allowance: ALLOWANCE,
            time: None,
            engine: &mut self.engine,
            now: self.now,
            tally: &mut Tally::default(),
            command: &mut Vec::new(),
        };
        self.connection.serve(&mut turn, &mut self.buffer, READ_BYTES);
    }

    /// The server does everything it can do now.
    fn serve(&mut self) -> Fate {
        self.connection.ready(Readiness { readable: true, writable: true, ..Readiness::default() });
        loop {
            self.take_requests();
            match self.connection.send(SENT_BYTES, ALLOWANCE, self.now) {
                Fate::Again => {}
                fate => return fate,
            }
        }
    }

    fn is_overdue_after(&self, time: Duration) -> bool {
        self.connection.overdue(self.now + time, PATIENCE).is_some()
    }
}

const ALLOWANCE: Allowance = Allowance { ahead: 1 << 20, output: 4 << 20, level: Level::Plenty, left: None };
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn half_a_request_is_waited_for_and_not_for_ever() {
    for (mut pair, half) in [
        (Pair::http(), b"GET / HTTP/1.1\r\nHost: h\r\n".as_slice()),
        (Pair::http(), b"PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"),
        (Pair::redis(), b"*2\r\n$3\r\nGET\r\n"),
    ] {
        assert_eq!(pair.after(MOMENT, half), Fate::Wait);
        assert!(!pair.is_overdue_after(PATIENCE - MOMENT));
        assert!(pair.is_overdue_after(PATIENCE));
    }
}

/// Others lose nothing.
#[test]
fn clients_that_hold_memory_have_less_time_while_there_is_none() {
    let (mut slow, mut idle) = (Pair::http(), Pair::http());
    slow.after(MOMENT, b"GET / HTTP/1.1\r\nHost: h\r\n");
    idle.after(MOMENT, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let overdue = |pair: &Pair, after| pair.connection.overdue(pair.now + after, SHORT_PATIENCE);
    assert_eq!(overdue(&slow, SHORT_PATIENCE - MOMENT), None);
    assert_eq!(overdue(&slow, SHORT_PATIENCE), Some(Overdue::SlowWriter));
    assert_eq!(overdue(&idle, PATIENCE), None);
}

/// One byte now and then does not count as sending.
#[test]
fn a_drip_does_not_extend_the_wait() {
    let mut pair = Pair::http();
    pair.after(MOMENT, b"GET / HTTP/1.1\r\nA: ");
    for _ in 0..29 {
        pair.after(Duration::from_secs(1), b"a");
        assert!(!pair.is_overdue_after(MOMENT));
    }
    assert!(pair.is_overdue_after(Duration::from_secs(1)));
}

/// A slow link is fine: half a KiB a second is enough.
#[test]
fn a_slow_body_arrives() {
    let mut pair = Pair::http();
    pair.after(MOMENT, b"PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    for _ in 0..20 {
        pair.after(PATIENCE - MOMENT, &vec![b'v'; PATIENCE_BYTES]);
        assert!(!pair.is_overdue_after(PATIENCE - MOMENT));
    }
}

#[test]
fn nobody_waits_for_an_idle_client_or_for_the_engine() {
    let year = Duration::from_secs(365 * 86_400);
    let mut idle = Pair::http();
    assert_eq!(idle.after(MOMENT, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), Fate::Wait);
    assert!(!idle.is_overdue_after(year));
    assert_eq!(idle.connection.buffered(), 0, "an idle connection holds no buffer");

    let mut held = Pair::redis();
    held.after(MOMENT, b"SET k v\r\nPING\r\nhalf a request");
    assert!(!held.connection.is_quiet());
    assert!(!held.is_overdue_after(year));
}

#[test]
fn replies_must_be_taken() {
    let mut pair = Pair::redis();
    let reply = "x".repeat(60_000);
    let request = format!("ECHO {reply}\r\n").repeat(200);
    // More than the sockets hold, so some of it must wait.
    assert_eq!(pair.after(MOMENT, &request.as_bytes()[..60_007 * 4]), Fate::Wait);
    let mut asked = 4;
    while pair.connection.is_idle() {
        assert!(asked < 2000, "the sockets take everything");
        pair.after(MOMENT, &request.as_bytes()[..60_007]);
        asked += 1;
    }
    assert!(!pair.is_overdue_after(PATIENCE - MOMENT));
    assert!(pair.is_overdue_after(PATIENCE));
}

/// However much a client asks without taking a reply, a limit bounds what is held for it; when it takes the
/// replies, all are there.
#[test]
fn what_is_held_for_a_client_that_only_writes_is_bounded() {
    let mut pair = Pair::redis();
    let text = "x".repeat(60_000);
    let request = format!("ECHO {text}\r\n");
    let expected = format!("$60000\r\n{text}\r\n");
    pair.client.set_nonblocking(true).unwrap();
    let (mut sent, mut held) = (0, usize::MAX);
    // Until neither the sockets nor the server take more.
    while pair.connection.held() != held {
        held = pair.connection.held();
        while let Ok(count) = pair.client.write(&request.as_bytes()[sent % request.len()..]) {
            sent += count;
        }
        pair.serve();
    }
    assert!(held >= ALLOWANCE.ahead + ALLOWANCE.output, "{held} bytes are held");
    assert!(held <= ALLOWANCE.ahead + ALLOWANCE.output + READ_BYTES + request.len(), "{held} bytes are held");
    assert!(pair.connection.buffered() <= 4 * ALLOWANCE.ahead + 2 * ALLOWANCE.output);
    assert!(!pair.is_overdue_after(PATIENCE - MOMENT) && pair.is_overdue_after(PATIENCE));

    let mut replies = vec![0; sent / request.len() * expected.len()];
    let mut taken = 0;
    while taken < replies.len() {
        match pair.client.read(&mut replies[taken..]) {
            Ok(count) => taken += count,
            Err(_) => {
                pair.serve();
            }
        }
    }
    assert!(replies.chunks(expected.len()).all(|reply| reply == expected.as_bytes()));
}

#[test]
fn a_client_that_does_not_close_is_closed() {
    let mut pair = Pair::redis();
    assert_eq!(pair.after(MOMENT, b"QUIT\r\n"), Fate::Wait);
    let mut reply = Vec::new();
    pair.client.read_to_end(&mut reply).unwrap();
    assert_eq!(reply, b"+OK\r\n", "the server has ended its side");
    assert!(!pair.is_overdue_after(LINGER - MOMENT));
    assert!(pair.is_overdue_after(LINGER));
    pair.client.shutdown(Shutdown::Write).unwrap();
    while pair.arrived.peek(&mut [0]).is_err() {
        thread::yield_now();
    }
    pair.connection.ready(Readiness { half_closed: true, ..Readiness::default() });
    let mut turn = Turn {
        allowance: ALLOWANCE,
        time: None,
        engine: &mut pair.engine,
        now: pair.now,
        tally: &mut Tally::default(),
        command: &mut Vec::new(),
    };
    pair.connection.serve(&mut turn, &mut pair.buffer, READ_BYTES);
    assert_eq!(pair.connection.send(SENT_BYTES, ALLOWANCE, pair.now), Fate::Close);
}

#[test]
fn a_subscriber_may_wait_for_messages_as_long_as_it_likes() {
    let mut pair = Pair::redis();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let is_idle = |pair: &Pair| pair.connection.is_idle_for(year, pair.now + year);
    pair.after(Duration::ZERO, b"PING\r\n");
    assert!(is_idle(&pair));
    pair.after(Duration::ZERO, b"SUBSCRIBE news\r\n");
    assert!(!is_idle(&pair));
    pair.after(Duration::ZERO, b"UNSUBSCRIBE\r\n");
    assert!(is_idle(&pair));
}

#[test]
fn who_takes_much_at_once_is_sent_a_part_in_each_turn() {
    let mut pair = Pair::redis();
    let long = "k".repeat(SENT_BYTES);
    let request = format!("*2\r\n$4\r\nECHO\r\n${SENT_BYTES}\r\n{long}\r\n").repeat(2);
    pair.client.set_nonblocking(true).unwrap();
    let (mut received, mut turns) = (0, 0);
    let mut rest = request.as_bytes();
    let whole = 2 * (SENT_BYTES + format!("${SENT_BYTES}\r\n\r\n").len());
    while received < whole {
        if !rest.is_empty() {
            let written = pair.client.write(rest).unwrap_or(0);
            rest = &rest[written..];
        }
        pair.connection.ready(Readiness { readable: true, writable: true, ..Readiness::default() });
        pair.take_requests();
        let before = pair.connection.untaken().replies;
        pair.connection.send(SENT_BYTES, ALLOWANCE, pair.now);
        let sent = before - pair.connection.untaken().replies;
        assert!(sent <= SENT_BYTES, "{sent} bytes were sent in a turn");
        turns += usize::from(sent > 0);
        received += pair.client.read(&mut vec![0; whole]).unwrap_or(0);
    }
    assert!(turns > 2);
}
