//! Commands and replies as bytes, without a socket.

use std::fmt;
use std::io::{self, ErrorKind};

use memchr::memchr;

/// The longest line of a reply.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Why bytes are not a reply. The outcome of the commands in flight is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+OK` and the like.
    Simple(&'a [u8]),
    /// `-ERR ...`
    Error(&'a [u8]),
    /// `:1`
    Integer(i64),
    /// A value, or `None` for nil.
    Bulk(Option<&'a [u8]>),
}

/// Appends a command: an array of bulk strings.
pub fn encode(words: &[&[u8]], out: &mut Vec<u8>) {
    length(b'*', words.len(), out);
    for word in words {
        length(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn length(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The first reply in the input and its length, if it is complete.
///
/// ```
/// use niagara_client::redis::{Reply, parse};
///
/// assert_eq!(parse(b"$2\r\nhi\r\n+OK\r\n"), Ok(Some((Reply::Bulk(Some(b"hi")), 8))));
/// assert_eq!(parse(b"$2\r\nh"), Ok(None));
/// ```
///
/// # Errors
/// If the input is not a reply, or is of a kind that commands on single keys never return: an array or a map.
pub fn parse(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(end) = memchr(b'\n', input) else {
        return match input.len() {
            0..=MAX_LINE_BYTES => Ok(None),
            _ => Err(Malformed("a line of a reply does not end")),
        };
    };
    let line = input[..end].strip_suffix(b"\r").ok_or(Malformed("a line of a reply ends without CR"))?;
    let (kind, line) = line.split_first().ok_or(Malformed("a line of a reply is empty"))?;
    let reply = match kind {
        b'+' => Reply::Simple(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(integer(line)?),
        b'$' if line == b"-1" => Reply::Bulk(None),
        // Nil in RESP3.
        b'_' if line.is_empty() => Reply::Bulk(None),
        b'$' => return bulk(input, end + 1, integer(line)?),
        _ => return Err(Malformed("a reply has a type that none of the commands returns: is this Redis?")),
    };
    Ok(Some((reply, end + 1)))
}

/// The bytes that follow a line with their length.
fn bulk(input: &[u8], start: usize, length: i64) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed("a length is negative"))?;
    let end = start.checked_add(length).ok_or(Malformed("a length is too large"))?;
    match input.get(end..).and_then(|rest| rest.get(..2)) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Reply::Bulk(Some(&input[start..end])), end + 2))),
        Some(_) => Err(Malformed("a bulk string does not have the length it announces")),
    }
}

fn integer(digits: &[u8]) -> Result<i64, Malformed> {
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    parsed.ok_or(Malformed("a number in a reply is not a number"))
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for io::Error {
    fn from(_: Malformed) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, "the reply does not follow the Redis protocol")
    }
}

#[cfg(test)]
mod tests {
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
    fn what_is_not_the_protocol_is_refused() {
        for text in ["HTTP/1.1 400\r\n", "\r\n", ":x\r\n", "$-2\r\n", "$99999999999999999999\r\n"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
