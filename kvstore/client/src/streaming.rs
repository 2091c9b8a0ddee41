//! A reply without an end of its own, line by line.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::net::TcpStream;

use niagara_tls::Stream;

use crate::message::{Response, foreign};
use crate::receiving::{finish, receive_head};

/// The longest line: several times the longest value.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// See [`Endpoint::open`](crate::Endpoint::open).
pub struct Streaming {
    /// The reply's head; with its body, if that has an end, as errors have.
    pub response: Response,
    rest: Option<BufReader<Rest>>,
}

/// What has come with the head, and then what the server sends.
type Rest = io::Chain<Cursor<Vec<u8>>, Stream<TcpStream>>;

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("response", &self.response).finish_non_exhaustive()
    }
}

impl Streaming {
    pub(crate) fn begin(mut stream: Stream<TcpStream>) -> io::Result<Streaming> {
        let (mut input, response, body_start, length) = receive_head(&mut stream)?;
        if length.is_some() {
            let response = finish(&mut stream, &mut input, response, body_start, length)?;
            return Ok(Streaming { response, rest: None });
        }
        let rest = Cursor::new(input.split_off(body_start)).chain(stream);
        Ok(Streaming { response, rest: Some(BufReader::new(rest)) })
    }

    /// The next line, without its end; `None` once the server has closed the connection between two lines.
    ///
    /// # Errors
    /// If the connection was lost, the server was silent for too long, or the line is longer than any of Niagara's.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(rest) = &mut self.rest else { return Ok(None) };
        let mut line = Vec::new();
        rest.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) if line.len() as u64 + 1 == MAX_LINE_BYTES => {
                Err(foreign("one whose lines are longer than any of Niagara's"))
            }
            Some(_) => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the server closed the connection within a line",
            )),
        }
    }
}
