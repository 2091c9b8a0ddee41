//! The Redis protocol, versions 2 and 3.
//!
//! `parse` cuts a byte stream into requests, `plan` says what a request asks for (and what is wrong with it), `encode`
//! prints replies, `glob` matches the patterns of a scan, and `connection` puts them together for the session.

mod connection;
mod encode;
mod glob;
mod local;
mod parse;
mod plan;

pub(crate) use connection::RespConnection;
pub use parse::{ProtocolError, Request, parse};
