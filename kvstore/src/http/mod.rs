//! HTTP/1.1, and 1.0 as far as clients that keep connections alive need it.
//!
//! `parse` reads the head of a request, `request` says what it asks for (with `tags` for conditions), `chunked` decodes a
//! body of unknown length, `respond` and `fault` print replies, `date` their clock, and `connection` puts them together
//! for the session.

mod chunked;
mod connection;
mod date;
mod fault;
mod parse;
mod request;
mod respond;
mod tags;

pub(crate) use connection::{HttpConnection, Site};
pub(crate) use date::Clock;
pub use parse::{Body, Head, HeadError, MAX_HEAD_BYTES, parse};
