//! Recognises clients of another protocol by the first bytes they send. They would wait forever, so they are
//! told at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr, memmem};

use super::Wire;

/// A protocol that a port does not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// TLS of any version: its records begin alike.
    #[error("this port does not speak TLS: connect without it")]
    Tls,
    /// Another server of a cluster.
    #[error(
        "this port is for clients: another server has this address among its members' `groups` or `transfer`"
    )]
    Server,
    /// HTTP, where the Redis protocol is spoken.
    #[error("this port speaks the Redis protocol: send HTTP requests to the server's HTTP port")]
    Http,
    /// The Redis protocol, where HTTP is spoken.
    #[error(
        "this port speaks HTTP/1.1, and this is not an HTTP request: connect Redis clients to the server's Redis port"
    )]
    Redis,
    /// No TLS, where it is spoken.
    #[error(
        "this port speaks TLS, and the client does not: connect with https://, rediss:// or redis-cli --tls"
    )]
    Plain,
}

/// What servers send each other first, after the head of a frame.
const SERVERS_MAGIC: (usize, &[u8]) = (8, b"NIAGARA\0");

/// HTTP methods. None of them is a Redis command with these arguments.
const METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI"];

impl Foreign {
    /// Recognises what begins a request on neither port.
    pub(crate) fn anywhere(bytes: &[u8]) -> Option<Foreign> {
        let (offset, magic) = SERVERS_MAGIC;
        match bytes {
            [0x16, 0x03, ..] => Some(Foreign::Tls),
            // A shorter line could be a request, and is treated as one whether or not the rest has arrived.
            _ if bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
                && memchr(b'\n', &bytes[..offset]).is_none() =>
            {
                Some(Foreign::Server)
            }
            _ => None,
        }
    }

    /// Whether these words of a line or an array are one of the HTTP lines that browsers send anywhere on
    /// behalf of any page, or contain the first line of a request.
    pub(crate) fn is_http<'w>(mut words: impl Iterator<Item = &'w [u8]>, is_line: bool) -> bool {
        let Some(first) = words.next() else { return false };
        let by_browser = first.eq_ignore_ascii_case(b"POST") || first.eq_ignore_ascii_case(b"HOST:");
        let mut is_request =
            || METHODS.contains(&first) && words.nth(1).is_some_and(|version| version.starts_with(b"HTTP/"));
        by_browser || is_line && is_request()
    }

    /// Recognises what begins a request on no HTTP port: the count of a Redis command's words, or a line of
    /// them.
    pub(crate) fn to_http(bytes: &[u8]) -> Option<Foreign> {
        let line = &bytes[..memchr(b'\n', bytes)?];
        memmem::find(line, b" HTTP/").is_none().then_some(Foreign::Redis)
    }

    /// Logs that a client has come to the wrong port: once in a while for each port and protocol, since such
    /// clients tend to come back.
    pub(crate) fn report(self, wire: Wire, peer: Option<SocketAddr>) {
        static PACES: [[Pace; 5]; 2] = [const { [const { Pace::new() }; 5] }; 2];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if let Some(others) = PACES[wire as usize][self as usize].says(now) {
            let client = peer.map(tracing::field::display);
            tracing::warn!(
                port = wire.name(),
                client,
                others_since_the_last_line = others,
                "closed a client: {self}"
            );
        }
    }
}

/// Seconds between two lines of one kind.
const PAUSE_SECONDS: u64 = 10;

/// When a line may be logged again.
struct Pace {
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Pace {
    const fn new() -> Pace {
        Pace { next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Whether a line may be logged `now`, and how many were suppressed since the last one.
    fn says(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        // A clock that was set back silences it for no longer than a pause.
        let is_due = now >= next || next > now + PAUSE_SECONDS;
        let after = now + PAUSE_SECONDS;
        if is_due && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.unsaid.swap(0, Ordering::Relaxed));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_in_a_while() {
        let pace = Pace::new();
        let said: Vec<_> = [100, 100, 109, 110, 111, 50, 51].map(|now| pace.says(now)).into();
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1), None]);
    }

    #[test]
    fn strangers_are_known_by_their_first_bytes() {
        assert_eq!(Foreign::anywhere(b"\x16\x03\x01\x02\x00\x01"), Some(Foreign::Tls));
        assert_eq!(Foreign::anywhere(b"\x3b\0\0\0\x01\x02\x03\x04NIAGARA\0\x01\0"), Some(Foreign::Server));
        for ours in
            [b"\x16".as_slice(), b"", b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\n", b"ECHO xxxNIAGARA"]
        {
            assert_eq!(Foreign::anywhere(ours), None);
        }
        for redis in ["*1\r\n", "*3\r\n$3\r\nSET\r\n", "PING\r\n", "GET key\r\n", "SET k v\n", "\t\r\n"] {
            assert_eq!(Foreign::to_http(redis.as_bytes()), Some(Foreign::Redis), "{redis}");
        }
        for http in
            ["GET / HTTP/1.1\r\n", "G=T / HTTP/1.1\n", "PUT /kv/a%20b HTTP/2.0\r\nHost", "GET /never/ends"]
        {
            assert_eq!(Foreign::to_http(http.as_bytes()), None, "{http}");
        }
        let is_http = |line: &str| Foreign::is_http(line.split(' ').map(str::as_bytes), true);
        for line in ["GET / HTTP/1.1", "PUT /kv/k HTTP/1.0", "PRI * HTTP/2.0", "post / HTTP/1.1", "Host: x"] {
            assert!(is_http(line), "{line}");
        }
        for line in ["GET k", "GET /", "SET k HTTP/1.1", "get k HTTP/1.1", "PING", "MGET / HTTP/1.1"] {
            assert!(!is_http(line), "{line}");
        }
    }
}
