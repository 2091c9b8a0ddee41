//! The Redis protocol, versions 2 and 3.
//!
//! `parse` cuts a byte stream into requests, `plan` says what a request asks for (and what is wrong with it),
//! `encoding` makes commands and queries of it, `printing` and `encode` print replies, and `connection` combines them
//! for the session. `transaction` collects the commands between MULTI and EXEC, `containers` has the subcommands,
//! `described` what COMMAND tells of the table, `replying` knows which replies are wanted, and `skip` skips a request that
//! is too large.

mod about;
mod connection;
mod containers;
mod described;
mod encode;
mod encoding;
mod entering;
mod errors;
mod limits;
mod local;
mod number_line;
mod parse;
mod plan;
mod printing;
mod replying;
mod skip;
mod transaction;
mod words;

pub(crate) use connection::RespConnection;
pub use errors::{ProtocolError, TooLarge};
pub use parse::{Request, parse};

pub use crate::protocol::Foreign;
