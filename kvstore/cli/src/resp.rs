//! A pipelining client of the Redis protocol (RESP2): several commands out, as many replies in.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use niagara_kvstore::client::is_host;

/// A server answers each command within its own deadline; this is for one that hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Servers are near: one that takes longer to accept a connection is as good as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A server says at once that it lives, however busy it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// A line that everything which takes lines understands as one, or refuses, and an empty one behind it.
const GREETING: &[u8] = b"PING\r\n\r\n";

/// A server's Redis address, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    staged: usize,
    input: Vec<u8>,
}

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+OK` and the like.
    Simple(&'a [u8]),
    /// `-ERR ...`
    Error(&'a [u8]),
    /// `:1`
    Integer(i64),
    /// A value, or none.
    Bulk(Option<&'a [u8]>),
}

impl Address {
    /// Where that is.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        Ok((host, self.port).to_socket_addrs()?.collect())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let authority = text.strip_prefix("redis://").unwrap_or(text);
        let parts = authority.rsplit_once(':').filter(|(host, _)| is_host(host));
        match parts.and_then(|(host, port)| Some((host, port.parse().ok().filter(|port| *port != 0)?))) {
            Some((host, port)) => Ok(Address { host: host.to_owned(), port }),
            None => Err("write HOST:PORT with a server's Redis port, for example 127.0.0.1:7001".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, output: Vec::new(), staged: 0, input: Vec::new() })
    }

    /// Connects, and makes sure that who answers speaks the Redis protocol.
    pub fn open_recognised(address: SocketAddr) -> io::Result<Connection> {
        let mut connection = Connection::open(address)?;
        connection.stream.set_read_timeout(Some(GREETING_TIMEOUT))?;
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
                connection.stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(connection);
            }
            (Ok(()), Some(refused)) => format!("the server answers \"{refused}\""),
            (Err(error), _) => stranger(&error, &connection.input),
        };
        Err(io::Error::new(ErrorKind::InvalidData, what))
    }

    /// Stages a command for the next [`exchange`](Self::exchange).
    pub fn stage(&mut self, words: &[&[u8]]) {
        self.output.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.output.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.output.extend_from_slice(word);
            self.output.extend_from_slice(b"\r\n");
        }
        self.staged += 1;
    }

    /// Sends all staged commands and hands each reply over, in order.
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

/// The first reply in the input and its length, if it is complete.
fn parse(input: &[u8]) -> io::Result<Option<(Reply<'_>, usize)>> {
    let Some(line_end) = input.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let (kind, line, rest) = (input[0], &input[1.min(line_end)..line_end], line_end + 2);
    let number =
        || std::str::from_utf8(line).ok().and_then(|text| text.parse::<i64>().ok()).ok_or_else(malformed);
    let reply = match kind {
        b'+' => Reply::Simple(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(number()?),
        b'$' => match number()? {
            -1 => Reply::Bulk(None),
            length => {
                let end = usize::try_from(length).ok().and_then(|length| rest.checked_add(length));
                let end = end.ok_or_else(malformed)?;
                let complete = input.len().checked_sub(2).is_some_and(|most| end <= most);
                return Ok(complete.then(|| (Reply::Bulk(Some(&input[rest..end])), end + 2)));
            }
        },
        _ => return Err(malformed()),
    };
    Ok(Some((reply, rest)))
}

/// Who answers like this, or not at all, where a Redis port was looked for.
fn stranger(error: &io::Error, said: &[u8]) -> String {
    let speaks = match (error.kind(), said) {
        (_, [b'H', b'T', b'T', b'P', b'/', ..]) => "this is a port for HTTP",
        (_, [0x15 | 0x16, 0x03, ..]) => "this is a port for TLS",
        (ErrorKind::InvalidData, _) => "something answers that does not speak the Redis protocol",
        (ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset, _) => {
            "it closes the connection without a word, as a port does at which servers talk to each other"
        }
        (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => "it does not answer in time",
        _ => return error.to_string(),
    };
    format!("{speaks}; a server's Redis port is needed")
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the reply is not in the Redis protocol")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn replies_are_parsed_wherever_the_input_is_cut() {
        let all = b"+OK\r\n-ERR no\r\n:-7\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n";
        let expected = [
            Reply::Simple(b"OK"),
            Reply::Error(b"ERR no"),
            Reply::Integer(-7),
            Reply::Bulk(Some(b"a\r\nbc")),
            Reply::Bulk(Some(b"")),
            Reply::Bulk(None),
        ];
        let mut at = 0;
        for reply in expected {
            let (parsed, length) = parse(&all[at..]).unwrap().unwrap();
            assert_eq!(parsed, reply);
            for cut in 0..length {
                assert_eq!(parse(&all[at..at + cut]).unwrap(), None, "{cut} bytes of {reply:?}");
            }
            at += length;
        }
        assert_eq!(at, all.len());
    }

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
    fn what_is_not_the_protocol_is_refused() {
        for text in ["HTTP/1.1 400\r\n", "\r\n", ":x\r\n", "$-2\r\n", "$99999999999999999999\r\n"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_stranger_is_recognised() {
        for (answer, said) in [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", "this is a port for HTTP"),
            ("\x15\x03\x01\x00\x02\x02\x46\r\n", "this is a port for TLS"),
            ("SSH-2.0-OpenSSH_9.6\r\n", "does not speak the Redis protocol"),
            ("", "without a word"),
            ("-ERR max number of clients reached\r\n", "max number of clients"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; GREETING.len()]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let error = Connection::open_recognised(address).err().expect("a stranger is no server");
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
