//! What becomes of requests to a cluster.

use std::fmt;

use crate::Endpoint;

/// Why one server did not serve a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The server.
    pub endpoint: Endpoint,
    /// What it answered, or what went wrong.
    pub why: String,
}

/// No server has served the request. Each attempt says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The request had no effect.
    Refused(Vec<Attempt>),
    /// The request may or may not have been executed.
    Unknown(Vec<Attempt>),
}

/// A write that has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its position in the global log.
    pub position: u64,
    /// The key's version now, or `None` if the key does not exist.
    pub version: Option<String>,
}

/// A key's value, as a strong read found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Vec<u8>,
    /// Its version, for conditional writes.
    pub version: Option<String>,
    /// The position whose state was read.
    pub position: u64,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.why)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, tried) = match self {
            Failed::Refused(tried) => ("no server could serve the request", tried),
            Failed::Unknown(tried) => ("the outcome is unknown: it may or may not have been executed", tried),
        };
        f.write_str(what)?;
        tried.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))
    }
}

impl std::error::Error for Failed {}
