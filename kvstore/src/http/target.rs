//! The resource that a request is for (RFC 9112, section 3.2), and the authorities that name a server (RFC
//! 3986, section 3.2).

use std::net::Ipv6Addr;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A resource of this server.
    Resource { path: &'a str, query: Option<&'a str> },
    /// The server as a whole: `*`.
    Server,
    /// Another server, for a tunnel.
    Tunnel,
}

/// Why a target is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadTarget(pub(super) &'static str);

const NO_FORM: BadTarget = BadTarget("the target of the request is not a path");

/// Parses a target in the forms that its method allows.
pub(super) fn target<'a>(method: &str, text: &'a str) -> Result<Target<'a>, BadTarget> {
    if method == "CONNECT" {
        let named = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && !port.is_empty());
        let valid = named && is_host(text.as_bytes());
        return if valid {
            Ok(Target::Tunnel)
        } else {
            Err(BadTarget("the target of a CONNECT is not an authority"))
        };
    }
    if text == "*" {
        return if method == "OPTIONS" { Ok(Target::Server) } else { Err(NO_FORM) };
    }
    if text.starts_with('/') {
        return resource(text);
    }
    let (scheme, rest) = text.split_once("://").ok_or(NO_FORM)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BadTarget("the target of the request has a scheme other than http or https"));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || authority.starts_with(':') || !is_host(authority.as_bytes()) {
        return Err(BadTarget("the target of the request names no valid host, or a user"));
    }
    match path {
        "" if method == "OPTIONS" => Ok(Target::Server),
        "" => resource("/"),
        path if path.starts_with('?') => Ok(Target::Resource { path: "/", query: resource_query(path)? }),
        path => resource(path),
    }
}

/// The server that a target names, if it names one by a valid name.
pub(super) fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://").filter(|_| !text.starts_with('/'))?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    is_host(authority.as_bytes()).then_some(authority)
}

fn resource(text: &str) -> Result<Target<'_>, BadTarget> {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    if !path.bytes().all(is_path_byte) {
        return Err(BadTarget("the path of the request has a character that a path must escape"));
    }
    Ok(Target::Resource { path, query: resource_query(query)? })
}

/// The query after a question mark, if there is one.
fn resource_query(text: &str) -> Result<Option<&str>, BadTarget> {
    match text.strip_prefix('?') {
        None => Ok(None),
        Some(query) if query.bytes().all(|byte| byte == b'?' || is_path_byte(byte)) => Ok(Some(query)),
        Some(_) => Err(BadTarget("the query of the request has a character that a query must escape")),
    }
}

fn is_path_byte(byte: u8) -> bool {
    is_name_byte(byte) || matches!(byte, b'/' | b':' | b'@' | b'%')
}

/// Unreserved characters and sub-delimiters of RFC 3986.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether a text is a host with or without a port, as in `Host`. It may be empty, but has no user.
pub(super) fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host, port) = match text.find(']').map(|end| text.split_at(end + 1)) {
        Some((literal, "")) => (literal, ""),
        Some((literal, rest)) => match rest.strip_prefix(':') {
            Some(port) => (literal, port),
            None => return false,
        },
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    is_port && (is_ip_literal(host) || is_registered_name(host))
}

fn is_ip_literal(host: &str) -> bool {
    let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    if let Some(future) = literal.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(|byte| byte == b':' || is_name_byte(byte))
        });
    }
    literal.parse::<Ipv6Addr>().is_ok()
}

fn is_registered_name(host: &str) -> bool {
    has_whole_escapes(host) && host.bytes().all(|byte| byte == b'%' || is_name_byte(byte))
}

/// Whether each percent sign is followed by two hexadecimal digits.
pub(super) fn has_whole_escapes(text: &str) -> bool {
    let mut escapes = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    escapes.all(|escape| matches!(escape, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_ports() {
        for host in [
            "",
            "h",
            "h:",
            "h:80",
            "127.0.0.1:65535",
            "a-b_c.example",
            "%41",
            "[::1]",
            "[::1]:7000",
            "[v1.a:b]",
            ":80",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "u@h",
            "u:p@h",
            "h:80:80",
            "h:x",
            "h:65536",
            "h:-1",
            "h:+1",
            "a b",
            "a, b",
            "a/b",
            "a?b",
            "a#b",
            "[::1",
            "::1",
            "[zz]",
            "[::1]x",
            "[::1]80",
            "[]",
            "[v.a]",
            "%4",
            "%zz",
            "h\\",
            "h\"",
            "\u{e4}",
            "<h>",
            "[fe80::1%25eth0]",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }

    #[test]
    fn a_target_has_the_forms_that_its_method_may_have() {
        let path = |path, query| Ok(Target::Resource { path, query });
        for (method, text, expected) in [
            ("GET", "/kv/a?b?c/d", path("/kv/a", Some("b?c/d"))),
            ("GET", "/kv/a?", path("/kv/a", Some(""))),
            ("GET", "http://h/kv/a?b", path("/kv/a", Some("b"))),
            ("GET", "HTTPS://h:80/kv/a", path("/kv/a", None)),
            ("GET", "http://[::1]:80/kv/a", path("/kv/a", None)),
            ("GET", "http://h", path("/", None)),
            ("GET", "http://h?b", path("/", Some("b"))),
            ("OPTIONS", "*", Ok(Target::Server)),
            ("OPTIONS", "http://h", Ok(Target::Server)),
            ("CONNECT", "h:80", Ok(Target::Tunnel)),
        ] {
            assert_eq!(target(method, text), expected, "{method} {text}");
        }
        for (method, text) in [
            ("GET", "*"),
            ("PUT", "*"),
            ("GET", "h:80"),
            ("GET", "kv/a"),
            ("GET", "h"),
            ("GET", "?x"),
            ("GET", "ftp://h/kv/a"),
            ("GET", "://h/kv/a"),
            ("GET", "http:///kv/a"),
            ("GET", "http:/kv/a"),
            ("GET", "http://u@h/kv/a"),
            ("GET", "http://u:p@h/kv/a"),
            ("GET", "http://:80/kv/a"),
            ("GET", "http://h:x/kv/a"),
            ("GET", "http://h\\@i/kv/a"),
            ("GET", "/kv/a#b"),
            ("GET", "/kv/a\"b"),
            ("GET", "/kv/<a>"),
            ("GET", "/kv/a|b"),
            ("GET", "/kv/a?b#c"),
            ("GET", "/kv/\u{e4}"),
            ("CONNECT", "/kv/a"),
            ("CONNECT", "h"),
            ("CONNECT", ":80"),
            ("CONNECT", "h:"),
            ("CONNECT", "http://h:80/"),
            ("OPTIONS", "**"),
        ] {
            assert!(target(method, text).is_err(), "{method} {text}");
        }
    }
}
