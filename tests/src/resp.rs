//! A blocking client for the Redis protocol (RESP2), as little of it as the tests need.
//!
//! It shares no code with the servers and with `niagara-client` on purpose: what one side misunderstands the other must not.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::http::{TIMEOUT, connect, invalid, read_line};

/// A client of one server. It connects with the first command, and anew after a failure.
///
/// ```no_run
/// use niagara_tests::{Resp, Value};
///
/// let mut redis = Resp::new("127.0.0.1:7001".parse().unwrap());
/// assert_eq!(redis.command(&["SET", "greeting", "hello"]).unwrap(), Value::Simple("OK".into()));
/// assert_eq!(redis.command(&["GET", "greeting"]).unwrap(), Value::Bulk(b"hello".to_vec()));
/// ```
pub struct Resp {
    address: SocketAddr,
    timeout: Duration,
    stream: Option<BufReader<TcpStream>>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+`: a word of the server's.
    Simple(String),
    /// `-`: an error; its first word says which.
    Error(String),
    /// `:`: a number.
    Integer(i64),
    /// `$`: bytes.
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`: nothing there.
    Null,
    /// `*`: several replies.
    Array(Vec<Value>),
}

impl Resp {
    /// A client of the server at an address.
    pub fn new(address: SocketAddr) -> Resp {
        Resp::with_timeout(address, TIMEOUT)
    }

    /// A client that gives up on a server which has not answered for so long.
    pub fn with_timeout(address: SocketAddr, timeout: Duration) -> Resp {
        Resp { address, timeout, stream: None }
    }

    /// Sends a command and waits for its reply. After an error nobody knows whether the server has executed it.
    pub fn command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<Value> {
        self.send(&encode(arguments))?;
        self.receive()
    }

    /// Sends a command's bytes, or several commands'. [`receive`](Self::receive) their replies in order.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            stream => stream.insert(BufReader::new(connect(self.address, self.timeout)?)),
        };
        let sent = stream.get_mut().write_all(bytes);
        if sent.is_err() {
            self.stream = None;
        }
        sent
    }

    /// Waits for the next reply.
    pub fn receive(&mut self) -> io::Result<Value> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let reply = read_value(stream);
        if reply.is_err() {
            self.stream = None;
        }
        reply
    }
}

/// A command's bytes: an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads the next reply; `UnexpectedEof` if it is not all there.
pub(crate) fn read_value(stream: &mut impl BufRead) -> io::Result<Value> {
    let line = read_line(stream)?;
    let wrong = || invalid(&format!("not a reply: {line:?}"));
    let (kind, rest) = line.split_at_checked(1).ok_or_else(wrong)?;
    let number = || rest.parse::<i64>().map_err(|_| wrong());
    Ok(match kind {
        "+" => Value::Simple(rest.to_owned()),
        "-" => Value::Error(rest.to_owned()),
        ":" => Value::Integer(number()?),
        "$" | "*" if rest == "-1" => Value::Null,
        "$" => {
            let length = usize::try_from(number()?).map_err(|_| wrong())?;
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            if bytes.split_off(length) != b"\r\n" {
                return Err(invalid("a bulk string without its end"));
            }
            Value::Bulk(bytes)
        }
        "*" => Value::Array((0..number()?).map(|_| read_value(stream)).collect::<Result<_, _>>()?),
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(encode(&["SET", "k", "a\r\nb"]), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn replies_are_read_one_after_the_other() {
        let mut bytes: &[u8] = b"+OK\r\n:-7\r\n*3\r\n$2\r\n\r\n\r\n$-1\r\n*-1\r\n-ERR no\r\n$9\r\nshort";
        let mut next = || read_value(&mut bytes);
        assert_eq!(next().unwrap(), Value::Simple("OK".into()));
        assert_eq!(next().unwrap(), Value::Integer(-7));
        assert_eq!(
            next().unwrap(),
            Value::Array(vec![Value::Bulk(b"\r\n".to_vec()), Value::Null, Value::Null])
        );
        assert_eq!(next().unwrap(), Value::Error("ERR no".into()));
        assert_eq!(next().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for bytes in ["HTTP/1.1 400 Bad Request\r\n", "$2\r\nabcd", ":x\r\n", "\r\n", "$-2\r\n"] {
            assert_eq!(
                read_value(&mut bytes.as_bytes()).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{bytes}"
            );
        }
    }
}
