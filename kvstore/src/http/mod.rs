//! HTTP/1.1, and 1.0 as far as clients that keep connections alive need it.
//!
//! `parse` reads the head of a request (with `request_line` and `list`), `request` says what it asks for
//! (with `target`, `parameters`, `description`, `media_type`, `preconditions` made of `tags`, `lasting`, `listing`, `watch` and
//! `transaction`), `chunked` decodes a body of unknown length, `respond`, `json` and `fault` print replies with the time of `date`,
//! `naming` knows the state's life, `gate` who may ask, `pages` are about the server (with `exposition` for the metrics), `changing`
//! starts what a POST to some of them asks for (`change`: of `leaders`, `groups`, `level`, `members`), and `connection` combines them for the
//! session.
//!
//! `docs/http.md` lists what clients may send, and what they get back.

mod change;
mod changing;
mod chunked;
mod connection;
mod date;
mod description;
mod elsewhere;
mod exposition;
mod fault;
mod fields;
mod gate;
mod groups;
mod head_error;
mod idempotency;
mod json;
mod lasting;
mod leaders;
mod level;
mod list;
mod listing;
mod media_type;
mod members;
mod naming;
mod openapi;
mod page;
mod pages;
mod parameters;
mod parse;
mod preconditions;
mod request;
mod request_line;
mod resources;
mod respond;
mod rights;
mod site;
mod tags;
mod target;
mod transaction;
mod watch;

pub(crate) use connection::HttpConnection;
pub(crate) use date::Clock;
pub use head_error::HeadError;
pub use parse::{Body, Head, MAX_HEAD_BYTES, parse};
pub(crate) use site::Site;
