//! What servers say about themselves, and whether their global logs agree.

use std::io;

use niagara_engine::Status;

use crate::Http;

/// Asks a server for its status.
///
/// # Panics
/// When it answers something else.
pub fn status(http: &mut Http) -> io::Result<Status> {
    let answer = http.request("GET", "/status", &[], b"")?;
    assert_eq!(answer.status, 200, "GET /status: {}", answer.text());
    Ok(serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("GET /status: {error} in {}", answer.text())))
}

/// The last position that all of these servers have a digest of, after comparing any two of them at every position
/// that they share: the invariant `global_prefix`. 0 if they have none in common.
///
/// # Panics
/// When two servers have executed different things.
///
/// ```
/// use niagara_engine::{Digest, Status};
/// use niagara_tests::status::common_prefix;
///
/// let server = |server, digests: &[(u64, &str)]| {
///     let digest = |&(position, value): &(u64, &str)| Digest { position, value: value.into() };
///     Status { server, digests: digests.iter().map(digest).collect(), ..Status::default() }
/// };
/// let one = server(1, &[(8, "a"), (16, "b"), (24, "c")]);
/// assert_eq!(common_prefix(&[one.clone(), server(2, &[(16, "b"), (24, "c"), (32, "d")])]), 24);
/// assert_eq!(common_prefix(&[one.clone(), server(2, &[(7, "x")])]), 0);
/// assert!(std::panic::catch_unwind(|| common_prefix(&[one, server(2, &[(8, "x"), (24, "c")])])).is_err());
/// ```
pub fn common_prefix(servers: &[Status]) -> u64 {
    compare(servers).unwrap_or_else(|difference| panic!("{difference}"))
}

/// Two servers have executed different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("global_prefix: servers {} and {} differ at or before position {position}", servers[0], servers[1])]
pub struct Difference {
    /// The servers.
    pub servers: [u64; 2],
    /// The first position that both have a digest of, and not the same.
    pub position: u64,
}

/// What [`common_prefix`] does, for callers that do not want to panic.
pub fn compare(servers: &[Status]) -> Result<u64, Difference> {
    let Some((first, others)) = servers.split_first() else { return Ok(0) };
    let digest_of = |server: &Status, position| {
        server.digests.iter().find(|digest| digest.position == position).map(|digest| digest.value.clone())
    };
    for (at, one) in servers.iter().enumerate() {
        for other in &servers[at + 1..] {
            for digest in &one.digests {
                if digest_of(other, digest.position).is_some_and(|value| value != digest.value) {
                    return Err(Difference {
                        servers: [other.server, one.server],
                        position: digest.position,
                    });
                }
            }
        }
    }
    let shared = |position: &u64| others.iter().all(|other| digest_of(other, *position).is_some());
    Ok(first.digests.iter().map(|digest| digest.position).filter(shared).max().unwrap_or(0))
}
