//! The two protocols, as bytes.

use super::http::Http;
use super::operation::{Kind, Operation};
use super::parsed::{Malformed, Parsed};
use super::redis::Redis;

/// What one connection speaks.
#[derive(Clone, Debug)]
pub(super) enum Codec {
    Http(Http),
    Redis(Redis),
}

impl Codec {
    /// What is said when a connection is open, before anything else; each is answered like a read.
    pub fn greetings(&self) -> &[Vec<u8>] {
        match self {
            Codec::Http(_) => &[],
            Codec::Redis(redis) => &redis.greetings,
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
