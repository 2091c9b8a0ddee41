//! Replies over HTTP, as they arrive.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

use niagara_tls::Stream;

use crate::message::{Response, foreign, parse_head};

/// The longest head of a reply, in bytes. Niagara's are far shorter.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The longest body of a reply, in bytes: several times the longest value. It stops a stranger that sends
/// without end.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// Receives a reply.
pub(crate) fn receive(stream: &mut Stream<TcpStream>) -> io::Result<Response> {
    let (mut input, response, body_start, length) = receive_head(stream)?;
    finish(stream, &mut input, response, body_start, length)
}

/// Receives the head of a reply: all that was received, where the body starts, and its length if the head gives it.
pub(crate) fn receive_head(
    stream: &mut Stream<TcpStream>,
) -> io::Result<(Vec<u8>, Response, usize, Option<u64>)> {
    let mut input = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((response, body_start, length)) = parse_head(&input)? {
            return Ok((input, response, body_start, length));
        }
        if input.len() > MAX_HEAD_BYTES {
            return Err(foreign("a server whose reply head does not end"));
        }
        match stream.read(&mut chunk) {
            Ok(0) if input.is_empty() => return Err(without_a_word()),
            Ok(0) => return Err(cut_short()),
            Ok(read) => input.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset && input.is_empty() => {
                return Err(without_a_word());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Receives the rest of a reply.
pub(crate) fn finish(
    stream: &mut Stream<TcpStream>,
    input: &mut Vec<u8>,
    mut response: Response,
    body_start: usize,
    length: Option<u64>,
) -> io::Result<Response> {
    let here = (input.len() - body_start) as u64;
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(foreign("a server whose reply is larger than any of Niagara's"));
    }
    let most = length.unwrap_or(MAX_BODY_BYTES + 1).saturating_sub(here);
    stream.take(most).read_to_end(input)?;
    response.body = input.split_off(body_start);
    let Some(length) = length else {
        let is_endless = response.body.len() as u64 > MAX_BODY_BYTES;
        return if is_endless { Err(foreign("a server whose reply does not end")) } else { Ok(response) };
    };
    if (response.body.len() as u64) < length {
        return Err(cut_short());
    }
    response.body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(response)
}

fn cut_short() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection before its reply was complete")
}

/// A server that dies does this, and so does a port for other servers.
fn without_a_word() -> io::Error {
    let what =
        "it closed the connection without a reply, as the ports between servers do: is this its HTTP port?";
    io::Error::new(ErrorKind::UnexpectedEof, what)
}
