//! A client of the Redis protocol (RESP2), with pipelines.

mod codec;

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use niagara_tls::Stream;

use crate::access::Access;
use crate::address::{self, GREETING_TIMEOUT, HostPort};
pub use codec::{Malformed, Reply, encode, parse};

/// A server answers each command within its own deadline. This is for one that hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Every line protocol understands this as a line or refuses it; an empty line follows.
const GREETING: &[u8] = b"PING\r\n\r\n";

/// A server's Redis address, as the user typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    at: HostPort,
    tls: bool,
}

/// One connection.
///
/// ```no_run
/// use niagara_client::redis::{Address, Connection, Reply};
///
/// let address: Address = "127.0.0.1:7001".parse().unwrap();
/// let mut connection = Connection::open_recognised(address.resolve()?[0])?;
/// connection.stage(&[b"SET", b"greeting", b"hello"]);
/// connection.stage(&[b"GET", b"greeting"]);
/// connection.exchange(|reply| match reply {
///     Reply::Bulk(Some(value)) => assert_eq!(value, b"hello"),
///     reply => assert_eq!(reply, Reply::Simple(b"OK")),
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    stream: Stream<TcpStream>,
    output: Vec<u8>,
    staged: usize,
    input: Vec<u8>,
}

impl Address {
    /// The host's addresses.
    ///
    /// # Errors
    /// If the host's name is unknown.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        self.at.resolve()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, rest) = match text.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            _ => (false, text),
        };
        let parsed = HostPort::parse(rest);
        let hint = "write HOST:PORT with a server's Redis port, for example 127.0.0.1:7001";
        parsed.map(|at| Address { at, tls }).ok_or_else(|| hint.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.tls { "rediss://" } else { "" }, self.at)
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nothing accepts the connection.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = address::connect(address, PATIENCE)?;
        Ok(Connection::over(Stream::Plain(stream)))
    }

    fn over(stream: Stream<TcpStream>) -> Connection {
        Connection { stream, output: Vec::new(), staged: 0, input: Vec::new() }
    }

    /// Connects to the first address of a host where the Redis protocol is spoken, in TLS if the address says so, and
    /// gives the password, if there is one.
    ///
    /// # Errors
    /// If there is none; the text says what answered instead.
    pub fn open_at(address: &Address, access: &Access) -> io::Result<Connection> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for at in address.resolve()? {
            let opened = address::connect(at, PATIENCE)
                .and_then(|socket| access.begin(socket, address.tls, &address.at.host))
                .and_then(|stream| Connection::over(stream).recognised(access));
            match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connects, and makes sure that the Redis protocol is spoken there.
    ///
    /// # Errors
    /// If nothing accepts the connection, or something else does; the text says what it is.
    pub fn open_recognised(address: SocketAddr) -> io::Result<Connection> {
        Connection::open(address)?.recognised(&Access::default())
    }

    /// Makes sure that the Redis protocol is spoken there, and gives the password.
    fn recognised(self, access: &Access) -> io::Result<Connection> {
        let mut connection = self;
        connection.stream.socket().set_read_timeout(Some(GREETING_TIMEOUT))?;
        connection.output.extend_from_slice(GREETING);
        connection.staged = 1;
        let mut refused = None;
        let greeted = connection.exchange(|reply| {
            if let Reply::Error(text) = reply {
                refused = Some(String::from_utf8_lossy(text).into_owned());
            }
        });
        let what = match (greeted, refused) {
            (Ok(()), None) => {
                connection.stream.socket().set_read_timeout(Some(PATIENCE))?;
                return Ok(connection);
            }
            (Ok(()), Some(refused)) if access.credentials().is_some() && refused.starts_with("NOAUTH") => {
                connection.stream.socket().set_read_timeout(Some(PATIENCE))?;
                return connection.authenticated(access);
            }
            (Ok(()), Some(refused)) => format!("the server answered \"{refused}\""),
            (Err(error), _) => stranger(&error, &connection.input),
        };
        Err(io::Error::new(ErrorKind::InvalidData, what))
    }

    fn authenticated(mut self, access: &Access) -> io::Result<Connection> {
        let mut refused = None;
        let (user, password) = access.credentials().unwrap_or_default();
        self.stage(&[b"AUTH", user.as_bytes(), password.as_bytes()]);
        self.exchange(|reply| {
            if let Reply::Error(text) = reply {
                refused = Some(format!("the server answered \"{}\"", String::from_utf8_lossy(text)));
            }
        })?;
        match refused {
            None => Ok(self),
            Some(what) => Err(io::Error::new(ErrorKind::PermissionDenied, what)),
        }
    }

    /// Stages a command for the next [`exchange`](Self::exchange).
    pub fn stage(&mut self, words: &[&[u8]]) {
        encode(words, &mut self.output);
        self.staged += 1;
    }

    /// Sends all staged commands and hands over each reply, in order. After an error, commands without a
    /// reply may have been executed, and the connection is no longer usable.
    ///
    /// # Errors
    /// If the connection breaks, the server is silent for half a minute, or it breaks the protocol.
    pub fn exchange(&mut self, mut each: impl FnMut(Reply<'_>)) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        let mut chunk = [0; 16 << 10];
        while self.staged > 0 {
            match self.stream.read(&mut chunk)? {
                0 => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
                }
                read => self.input.extend_from_slice(&chunk[..read]),
            }
            let mut taken = 0;
            while self.staged > 0
                && let Some((reply, length)) = parse(&self.input[taken..])?
            {
                each(reply);
                taken += length;
                self.staged -= 1;
            }
            self.input.drain(..taken);
        }
        Ok(())
    }
}

/// Who answers like this, or not at all, instead of a Redis port.
fn stranger(error: &io::Error, said: &[u8]) -> String {
    let speaks = match (error.kind(), said) {
        (_, [b'H', b'T', b'T', b'P', b'/', ..]) => "this is a port for HTTP",
        (_, [0x15 | 0x16, 0x03, ..]) => "this is a port for TLS",
        (ErrorKind::InvalidData, _) => "what answers does not speak the Redis protocol",
        (ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset, _) => {
            "it closes the connection without a reply, as the ports between servers do"
        }
        (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => "it does not answer in time",
        _ => return error.to_string(),
    };
    format!("{speaks}; name a server's Redis port")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for text in ["127.0.0.1:7001", "[::1]:7001"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.resolve().unwrap(), [text.parse().unwrap()]);
            assert_eq!(format!("redis://{text}").parse(), Ok(address));
        }
        for text in ["", "7001", "host:", "host:0", "host:65536", "http://host:7001", "a b:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_stranger_is_recognised() {
        for (answer, said) in [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", "this is a port for HTTP"),
            ("\x15\x03\x01\x00\x02\x02\x46\r\n", "this is a port for TLS"),
            ("SSH-2.0-OpenSSH_9.6\r\n", "does not speak the Redis protocol"),
            ("", "without a reply"),
            ("-ERR max number of clients reached\r\n", "max number of clients"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; GREETING.len()]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let error = Connection::open_recognised(address).expect_err("a stranger is no server");
            assert!(error.to_string().contains(said), "{answer}: {error}");
            server.join().unwrap();
        }
    }

    #[test]
    fn a_pipeline_is_sent_whole_and_answered_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let expected = b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; expected.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, expected);
            stream.write_all(b"+PONG\r\n$1\r\nv\r\n").unwrap();
        });
        let mut connection = Connection::open(address).unwrap();
        connection.stage(&[b"PING"]);
        connection.stage(&[b"GET", b"k"]);
        let mut replies = Vec::new();
        connection.exchange(|reply| replies.push(format!("{reply:?}"))).unwrap();
        assert_eq!(
            replies,
            [format!("{:?}", Reply::Simple(b"PONG")), format!("{:?}", Reply::Bulk(Some(b"v")))]
        );
        server.join().unwrap();
        connection.stage(&[b"PING"]);
        assert!(connection.exchange(|_| {}).is_err(), "the server has gone");
    }
}
