//! What servers say about themselves, and whether their global logs agree.

use std::io;

use niagara_engine::Status;
pub use niagara_engine::agreement::Difference;
use niagara_engine::agreement::compare_all;

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

/// The position up to which every two of these servers have been compared, at every position that they share: the invariants
/// `global_prefix` and `equal_states`. 0 if two of them share none.
///
/// # Panics
/// When two servers have executed different things.
///
/// ```
/// use niagara_engine::{Digest, Status};
/// use niagara_tests::status::common_prefix;
///
/// let server = |server, digests: &[(u64, &str)]| {
///     let digest = |&(position, value): &(u64, &str)| Digest { position, value: value.into(), state: None };
///     let mut status = Status::default();
///     (status.server, status.digests) = (server, digests.iter().map(digest).collect());
///     status
/// };
/// let one = server(1, &[(8, "a"), (16, "b"), (24, "c")]);
/// assert_eq!(common_prefix(&[one.clone(), server(2, &[(16, "b"), (24, "c"), (32, "d")])]), 24);
/// assert_eq!(common_prefix(&[one.clone(), server(2, &[(7, "x")])]), 0);
/// assert!(std::panic::catch_unwind(|| common_prefix(&[one, server(2, &[(8, "x"), (24, "c")])])).is_err());
/// ```
pub fn common_prefix(servers: &[Status]) -> u64 {
    compare(servers).unwrap_or_else(|difference| panic!("{difference}"))
}

/// What [`common_prefix`] does, for callers that do not want to panic.
pub fn compare(servers: &[Status]) -> Result<u64, Difference> {
    compare_all(servers.iter().map(|server| (server.server, server.digests.as_slice())))
}
