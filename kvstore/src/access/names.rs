//! The names that a request over HTTP may come with.
//!
//! A web page can send requests to any address that its reader's machine reaches. By the browser's rules it may read
//! the replies, and write, only if they go to the page's own name. So its owner lets that name mean the server's address
//! (DNS rebinding). The request then still carries the page's name in `Host`, which is none of this server's.

use std::collections::HashSet;
use std::net::Ipv4Addr;

/// The names and origins of one server.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// In lower case.
    names: HashSet<String>,
    origins: Vec<String>,
}

/// Where the script of a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OriginKind {
    /// This server, or nowhere: programs other than browsers send no origin.
    Own,
    /// A page whose scripts may use this server: the number of its origin.
    Allowed(u16),
    Foreign,
}

impl Names {
    /// `names` are without ports.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>, origins: &[String]) -> Names {
        Names {
            names: names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect(),
            origins: origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether a host, with or without a port, is this server. An attacker can neither own an address nor a name of the
    /// loopback. Browsers leave no host empty.
    pub(crate) fn is_ours(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        if host.starts_with('[') {
            return true;
        }
        let name = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        name.is_empty()
            || name.parse::<Ipv4Addr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.names.contains(&name)
    }

    /// Where a request with this `Origin` comes from, if it was sent to this `Host`.
    pub(crate) fn origin(&self, origin: Option<&[u8]>, host: Option<&[u8]>) -> OriginKind {
        let Some(origin) = origin else { return OriginKind::Own };
        let is = |other: &String| origin.eq_ignore_ascii_case(other.as_bytes());
        if let Some(number) = self.origins.iter().position(is) {
            return OriginKind::Allowed(number as u16);
        }
        let authority = origin
            .windows(SCHEME_END.len())
            .position(|at| at == SCHEME_END)
            .map(|at| &origin[at + SCHEME_END.len()..]);
        match (authority, host) {
            (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => OriginKind::Own,
            _ => OriginKind::Foreign,
        }
    }

    /// The text of an origin.
    pub(crate) fn origin_text(&self, number: u16) -> &str {
        &self.origins[usize::from(number)]
    }
}

const SCHEME_END: &[u8] = b"://";

/// Whether a text is an origin: a scheme, a host and perhaps a port.
pub(crate) fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_its_names() {
        let names = Names::new(["DB-1.example.org", "cache."], &[]);
        for ours in [
            "db-1.example.org",
            "DB-1.EXAMPLE.ORG.:7000",
            "cache:80",
            "localhost",
            "Localhost:7000",
            "app.localhost",
            "127.0.0.1:7000",
            "10.1.2.3",
            "[::1]:7000",
            "[fe80::1]",
            "",
        ] {
            assert!(names.is_ours(ours.as_bytes()), "{ours}");
        }
        for other in [
            "example.org",
            "evil.org:7000",
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "db-1.example.org.evil.org",
            "1.2.3",
            "notlocalhost",
        ] {
            assert!(!names.is_ours(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn pages_come_from_here_from_friends_or_from_elsewhere() {
        let names = Names::new([], &["https://App.example.org".to_owned()]);
        let host = Some(b"localhost:7000".as_slice());
        for (origin, kind) in [
            ("http://localhost:7000", OriginKind::Own),
            ("HTTP://LOCALHOST:7000", OriginKind::Own),
            ("https://app.example.org", OriginKind::Allowed(0)),
            ("https://app.example.org:8443", OriginKind::Foreign),
            ("http://app.example.org", OriginKind::Foreign),
            ("http://localhost:3000", OriginKind::Foreign),
            ("http://evil.org", OriginKind::Foreign),
            ("null", OriginKind::Foreign),
            ("", OriginKind::Foreign),
        ] {
            assert_eq!(names.origin(Some(origin.as_bytes()), host), kind, "{origin}");
        }
        assert_eq!(names.origin(None, host), OriginKind::Own);
        assert_eq!(names.origin(Some(b"http://h"), None), OriginKind::Foreign);
    }

    #[test]
    fn origins_have_a_scheme_and_a_host() {
        for text in ["https://app.example.org", "http://localhost:3000", "http://[::1]:80"] {
            assert!(is_origin(text), "{text}");
        }
        for text in ["*", "null", "app.example.org", "https://", "https://a/b", "ftp://a", "https://a b"] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
