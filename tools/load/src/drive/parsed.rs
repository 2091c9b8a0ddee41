//! A reply that has been parsed.

use super::operation::Outcome;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed<'i> {
    pub outcome: Outcome<'i>,
    /// Its length.
    pub bytes: usize,
    /// The server serves no further requests on this connection.
    pub closes: bool,
}

/// What arrived is no reply. Nobody knows what became of the operations in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub &'static str);

impl From<niagara_client::redis::Malformed> for Malformed {
    fn from(malformed: niagara_client::redis::Malformed) -> Malformed {
        Malformed(malformed.0)
    }
}
