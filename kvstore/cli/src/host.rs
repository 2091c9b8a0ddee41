//! Hosts, as users type them.

use niagara_client::is_host;

/// Checks a host. It ends up in TOML and in URLs, so it must be one.
pub fn parse_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let bracketed = format!("[{text}]");
    match text {
        _ if is_host(text) => Ok(text.to_owned()),
        _ if is_host(&bracketed) => Ok(bracketed),
        _ => Err("write a host name or an address, such as db-1.example.org, 10.0.0.1 or ::1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_checked_and_ipv6_addresses_get_brackets() {
        assert_eq!(parse_host(" ::1").as_deref(), Ok("[::1]"));
        assert_eq!(parse_host("db-1.example.org").as_deref(), Ok("db-1.example.org"));
        for text in ["", "a b", "a\"b", "a:1", "http://a"] {
            assert!(parse_host(text).is_err(), "{text}");
        }
    }
}
