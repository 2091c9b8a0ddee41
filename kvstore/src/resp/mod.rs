//! The Redis protocol, versions 2 and 3.
//!
//! `parse` cuts a byte stream into requests, `plan` says what a request asks for (and what is wrong with it),
//! `encoding` makes commands and queries of it, `printing` and `encode` print replies, and `connection` combines them
//! for the session. `entering` has passwords and rights, `acl` the users, `client` has what CLIENT tells and does, `transaction` collects the commands between MULTI and EXEC, `containers` has the subcommands,
//! `described` what COMMAND tells of the table, `failover` and `topology` which servers clients are told about, and `sentinel`,
//! `cluster` and `replication` how, `handing_over` has FAILOVER, `refusals` what clients are told whose requests are not served, `subscribing` has subscriptions and their messages, `tracking` tells clients what they must not use any more, `replying` knows which replies are wanted, `slow_log` and `latency` show the requests that have taken long, and `skip` skips a request that
//! is too large.

mod about;
mod acl;
mod acts;
mod client;
mod cluster;
mod connection;
mod containers;
mod described;
mod encode;
mod encoding;
mod entering;
mod errors;
mod failover;
mod handing_over;
mod info;
mod key_slot;
mod latency;
mod limits;
mod local;
mod number_line;
mod parse;
mod plan;
mod printing;
mod refusals;
mod replication;
mod replying;
mod sentinel;
mod settings;
mod site;
mod skip;
mod slow_log;
mod subscribing;
mod topology;
mod tracking;
mod transaction;
mod words;

pub(crate) use connection::RespConnection;
pub use errors::{ProtocolError, TooLarge};
pub use failover::{Failover, NotAnAddress, RedisAddress};
pub use parse::{Request, parse};
pub(crate) use site::RedisSite;

pub use crate::protocol::Foreign;
