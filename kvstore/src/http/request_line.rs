//! The first line of a request (RFC 9112, section 3).

use memchr::memchr;

use super::head_error::HeadError;
use super::list::is_token;

/// The parts of a request's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// 0 or 1, of HTTP/1.x. A later minor version counts as 1.1.
    pub(super) minor: u8,
    /// Length of the line, including its end.
    pub(super) length: usize,
}

/// How a TLS greeting begins: a handshake record of one of its versions.
const TLS: [u8; 2] = [0x16, 0x03];

/// Reads the first line of a request; `None` if its end has not arrived.
pub(super) fn request_line(input: &[u8]) -> Result<Option<RequestLine<'_>>, HeadError> {
    if input.starts_with(&TLS) {
        return Err(HeadError::Tls);
    }
    let Some(end) = memchr(b'\n', input) else { return Ok(None) };
    let line = input[..end].strip_suffix(b"\r").ok_or(BARE_LINE_FEED)?;
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::Malformed("its first line is not like GET /kv/k HTTP/1.1"));
    };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let method = text(method).filter(|method| is_token(method.as_bytes()));
    let target = text(target)
        .filter(|target| !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic()));
    Ok(Some(RequestLine {
        method: method.ok_or(HeadError::Malformed("the method"))?,
        target: target
            .ok_or(HeadError::Malformed("the target; percent-encode what is not printable ASCII"))?,
        minor: minor_version(version)?,
        length: end + 1,
    }))
}

pub(super) const BARE_LINE_FEED: HeadError = HeadError::Malformed("a line ends without a carriage return");

fn minor_version(version: &[u8]) -> Result<u8, HeadError> {
    match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0']) => Ok(0),
        Some([b'1', b'.', b'1'..=b'9']) => Ok(1),
        Some([b'0'..=b'9', b'.', b'0'..=b'9']) => Err(HeadError::UnsupportedVersion),
        _ => Err(HeadError::Malformed("the version; this server speaks HTTP/1.1 and 1.0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_understood_or_refused() {
        let line = |version: &str| {
            request_line(format!("GET / {version}\r\n").as_bytes()).map(|line| line.unwrap().minor)
        };
        for (version, minor) in [("HTTP/1.0", 0), ("HTTP/1.1", 1), ("HTTP/1.2", 1), ("HTTP/1.9", 1)] {
            assert_eq!(line(version), Ok(minor), "{version}");
        }
        for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"] {
            assert_eq!(line(version), Err(HeadError::UnsupportedVersion), "{version}");
        }
        for version in [
            "http/1.1",
            "HTTP/1",
            "HTTP/2",
            "HTTP/1.10",
            "HTTP/11.1",
            "HTTP/1.x",
            "HTTPS/1.1",
            "HTTP/ 1.1",
            "",
        ] {
            assert!(matches!(line(version), Err(HeadError::Malformed(_))), "{version}");
        }
    }

    #[test]
    fn what_is_no_request_line_is_told_at_its_end() {
        for line in [
            "GET /\r\n",
            "GET\r\n",
            "\r\n",
            " GET / HTTP/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET /  HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET\t/\tHTTP/1.1\r\n",
            "G(T / HTTP/1.1\r\n",
            "GET /\u{e4} HTTP/1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET / HTTP/1.1\n",
            "GET /\r HTTP/1.1\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "*1\r\n",
            "PING\r\n",
        ] {
            assert!(matches!(request_line(line.as_bytes()), Err(HeadError::Malformed(_))), "{line:?}");
        }
        assert_eq!(request_line(b"\x16\x03\x01\x02\0\x01"), Err(HeadError::Tls));
        assert_eq!(request_line(b"GET / HTT"), Ok(None));
    }
}
