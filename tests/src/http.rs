//! A blocking HTTP/1.1 client that keeps its connection: as little of the protocol as the tests need.
//!
//! It shares no code with the servers and with `niagara-client` on purpose: what one side misunderstands the other must not.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A client of one server. It connects with the first request, and anew after a failure.
///
/// ```no_run
/// use niagara_tests::Http;
///
/// let mut http = Http::new("127.0.0.1:7000".parse().unwrap());
/// let written = http.put("greeting", b"hello").unwrap();
/// assert_eq!(written.status, 201, "created");
/// assert_eq!(http.get("greeting", "strong").unwrap().body, b"hello");
/// ```
pub struct Http {
    address: SocketAddr,
    timeout: Duration,
    stream: Option<BufReader<TcpStream>>,
}

/// How long a client waits for an answer. Servers give one within 5 seconds, unless they are paused or gone.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Like 200.
    pub status: u16,
    /// Names as the server wrote them, and values.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Vec<u8>,
}

impl Http {
    /// A client of the server at an address.
    pub fn new(address: SocketAddr) -> Http {
        Http::with_timeout(address, TIMEOUT)
    }

    /// A client that gives up on a server which has not answered for so long.
    pub fn with_timeout(address: SocketAddr, timeout: Duration) -> Http {
        Http { address, timeout, stream: None }
    }

    /// Sends a request and waits for the answer. After an error nobody knows whether the server has executed it.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "PUT" {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.send(&request)?;
        self.receive(method == "HEAD")
    }

    /// Sends a request's bytes, or several requests'. [`receive`](Self::receive) their answers in order.
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

    /// Waits for the next answer; one to HEAD has no body.
    pub fn receive(&mut self, to_head: bool) -> io::Result<Response> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let answer = read_response(stream, to_head);
        let ends = |response: &Response| response.header("connection").is_some_and(|value| value == "close");
        if answer.as_ref().map_or(true, ends) {
            self.stream = None;
        }
        answer
    }

    /// Sets a key, which must need no escapes.
    pub fn put(&mut self, key: &str, value: &[u8]) -> io::Result<Response> {
        self.request("PUT", &format!("/kv/{key}"), &[], value)
    }

    /// Gets a key's value; `read` is `strong`, `weak` or `at-least:G`.
    pub fn get(&mut self, key: &str, read: &str) -> io::Result<Response> {
        self.request("GET", &format!("/kv/{key}?read={read}"), &[], b"")
    }
}

impl Response {
    /// The first header of that name, in upper or lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1.as_str())
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection whose reads and writes give up after `timeout`.
pub(crate) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// A line without its end.
pub(crate) fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => String::from_utf8(text.to_vec()).map_err(|_| invalid("a line is not text")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the next answer; `UnexpectedEof` if it is not all there.
pub(crate) fn read_response(stream: &mut impl BufRead, to_head: bool) -> io::Result<Response> {
    let line = read_line(stream)?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| invalid(&format!("not a status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| invalid(&format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: Vec::new() };
    if status == 100 {
        return read_response(stream, to_head);
    }
    if !to_head && status != 204 && status != 304 {
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.ok_or_else(|| invalid("an answer without a length"))?;
        response.body.resize(length, 0);
        stream.read_exact(&mut response.body)?;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_after_the_other() {
        let mut bytes: &[u8] = b"HTTP/1.1 200 OK\r\nETag: \"7\"\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 503 Not";
        let first = read_response(&mut bytes, false).unwrap();
        assert_eq!(
            (first.status, first.header("Etag"), first.text().as_str()),
            (200, Some("\"7\""), "hello")
        );
        assert_eq!(read_response(&mut bytes, false).unwrap().status, 204);
        assert_eq!(read_response(&mut bytes, true).unwrap().body, b"");
        assert_eq!(read_response(&mut bytes, false).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for bytes in [
            "-ERR max number of clients reached\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx\r\n\r\n",
        ] {
            assert_eq!(
                read_response(&mut bytes.as_bytes(), false).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{bytes}"
            );
        }
    }
}
