//! The two protocols, as bytes.

use super::http::Http;
use super::operation::{Kind, Operation, Outcome};
use super::redis::Redis;

/// What one connection speaks.
#[derive(Clone, Debug)]
pub(super) enum Codec {
    Http(Http),
    Redis(Redis),
}

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

impl Codec {
    /// What is said when a connection is open, before anything else; it is answered like a read.
    pub fn greeting(&self) -> Option<&'static [u8]> {
        match self {
            Codec::Http(_) => None,
            Codec::Redis(redis) => redis.greeting(),
        }
    }

    /// Appends a request.
    pub fn encode(&self, operation: &Operation, out: &mut Vec<u8>) {
        match self {
            Codec::Http(http) => http.encode(operation, out),
            Codec::Redis(redis) => redis.encode(operation, out),
        }
    }

    /// The reply to an operation of this kind at the front of what has arrived, if all of it is there.
    pub fn parse<'i>(&self, kind: Kind, input: &'i [u8]) -> Result<Option<Parsed<'i>>, Malformed> {
        match self {
            Codec::Http(_) => Http::parse(input),
            Codec::Redis(redis) => redis.parse(kind, input),
        }
    }

    /// Whether a connection is opened for each request.
    pub fn is_for_one(&self) -> bool {
        matches!(self, Codec::Http(Http { keep_alive: false, .. }))
    }
}
