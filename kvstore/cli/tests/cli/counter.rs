//! A counter that clients increment while servers come and go and groups change.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// What its clients were told.
#[derive(Debug, Default)]
pub struct Counter {
    acknowledged: AtomicU64,
    /// A server that was so slow that it got the others' state may have lost the reply.
    unknown: AtomicU64,
    stops: AtomicBool,
}

impl Counter {
    /// Increments it, the key `counter`, through a server until [`stop`](Self::stop).
    pub fn increment_at(&self, server: SocketAddr) {
        let connection = TcpStream::connect(server).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answers = BufReader::new(connection.try_clone().unwrap());
        while !self.stops.load(SeqCst) {
            let (mut connection, mut answer) = (&connection, String::new());
            connection.write_all(b"INCR counter\r\n").unwrap();
            answers.read_line(&mut answer).unwrap();
            match answer.as_bytes() {
                [b':', ..] => self.acknowledged.fetch_add(1, SeqCst),
                [b'-', b'U', b'N', b'K', ..] => self.unknown.fetch_add(1, SeqCst),
                // It has no effect: the groups have no leaders yet.
                [b'-', b'N', b'O', b'Q', ..] => continue,
                _ => panic!("the outcome of an increment is {answer:?}"),
            };
        }
    }

    pub fn stop(&self) {
        self.stops.store(true, SeqCst);
    }

    /// Checks, when nobody increments it any more, that it has each acknowledged increment once, and at most the others whose
    /// outcome is unknown.
    pub fn check(&self, value: &str) {
        let value: u64 = value.trim().parse().unwrap_or_else(|_| panic!("the counter is {value:?}"));
        let acknowledged = self.acknowledged.load(SeqCst);
        let most = acknowledged + self.unknown.load(SeqCst);
        assert!(acknowledged > 0);
        assert!((acknowledged..=most).contains(&value), "the counter is {value}: {self:?}");
    }
}
