//! Scripts in Lua 5.1, as `EVAL` runs them: the same on every server.
//!
//! | file | holds |
//! |---|---|
//! | `run.rs` | one run of a script: a Lua state of its own, its limits, its result |
//! | `limits.rs` | how many instructions and bytes a script may take |
//! | `prelude.lua` | what stands between a script and Lua: what differs from server to server is taken away |
//! | `order.rs` | the keys of a table in an order that all servers share |
//! | `pattern.rs` | Lua's patterns, with a limit on their steps |
//! | `random.rs` | pseudo-random numbers, from a seed that scripts know |
//! | `numbers.rs` | numbers as Redis writes them |
//! | `convert.rs` | answers of commands as values of Lua, and results of scripts as answers |
//! | `native.rs` | functions that scripts call and Rust executes |
//! | `bit.rs`, `json/`, `pack.rs`, `message.rs` | the libraries `bit`, `cjson`, `struct` and `cmsgpack` |
//! | `scripts.rs` | the scripts that a server knows by their digests |
//!
//! A script is executed by every server at its position of the log, so nothing that differs between servers may reach it:
//! it sees no clock but the state's, no address, no order of a table's keys but the sorted one, and no trace of earlier
//! scripts, since each has a Lua state of its own. Nothing here knows the state: a [`Host`] executes a script's commands.

mod bit;
mod convert;
mod json;
mod limits;
mod message;
mod native;
mod numbers;
mod order;
mod pack;
mod pattern;
mod random;
mod run;
mod scripts;
#[cfg(test)]
mod tests;

pub(crate) use run::{Host, Script, check, run};
pub(crate) use scripts::{Scripts, digest};
