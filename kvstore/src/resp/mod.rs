//! The Redis protocol, versions 2 and 3.
//!
//! `parse` cuts a byte stream into requests, `plan` says what a request asks for (and what is wrong with it),
//! `encode` prints replies, `glob` matches the patterns of a scan, and `connection` combines them for the
//! session. `gate` refuses what follows a refused command, `containers` has the subcommands, `replying` knows
//! which replies are wanted, and `skip` skips a request that is too large.

mod about;
mod connection;
mod containers;
mod encode;
mod errors;
mod gate;
mod glob;
mod limits;
mod local;
mod number_line;
mod parse;
mod plan;
mod replying;
mod skip;
mod words;

pub(crate) use connection::RespConnection;
pub use errors::{ProtocolError, TooLarge};
pub use parse::{Request, parse};

pub use crate::protocol::Foreign;
