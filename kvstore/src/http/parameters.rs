//! The parameters in the query of a request.

use std::str::FromStr;

use niagara_engine::{Consistency, GlobalPosition};
use percent_encoding::percent_decode;

use super::fault::Fault;
use super::target::has_whole_escapes;
use crate::command::MAX_KEY_BYTES;

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    pub(super) consistency: Consistency,
    /// Whether the client insists on a cluster with leases.
    pub(super) by_lease: bool,
}

impl Freshness {
    pub(super) const STRONG: Freshness = Freshness { consistency: Consistency::Strong, by_lease: false };

    /// The value of `read`.
    pub(super) fn parse(value: &str) -> Option<Freshness> {
        let consistency = match value {
            "strong" | "lease" => Consistency::Strong,
            "weak" => Consistency::Weak,
            _ => Consistency::AtLeast(GlobalPosition::new(number(value.strip_prefix("at-least:")?)?)),
        };
        Some(Freshness { consistency, by_lease: value == "lease" })
    }
}

/// The parameters of a query in turn, each a name and a value; one without a sign of equality has an empty value.
pub(super) fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let all = query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    all.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// A number in digits alone.
pub(super) fn number<N: FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A key, or the beginning of keys, percent-encoded.
pub(super) fn key(encoded: &str) -> Result<Vec<u8>, Fault> {
    if !has_whole_escapes(encoded) {
        let hint = "write a percent sign as %25";
        return Err(Fault::bad_request("a percent sign is not followed by two hexadecimal digits", hint));
    }
    let key: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    if key.len() <= MAX_KEY_BYTES {
        return Ok(key);
    }
    let message = format!("the key is longer than {MAX_KEY_BYTES} bytes: it has {}", key.len());
    Err(Fault::bad_request(message, "put the data into the value, which may be longer"))
}
