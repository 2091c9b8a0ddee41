//! Load on Niagara, and what it cost: the binary `niagara-load`, and what other programs need to do the same.
//!
//! [`run`] is the whole program, for a binary that offers it under a name of its own. [`drive`] drives any cluster as its clients
//! do, over HTTP, over the Redis protocol, or within this process. [`append`] measures the replicated log itself, without protocols
//! and keys: three server processes over loopback, whose applications generate the commands, as in the paper's microbenchmark
//! (section 4).

#![allow(missing_debug_implementations, reason = "no library for others")]

pub mod append;
mod commands;
pub mod drive;
mod failure;
mod loopback;
pub mod output;
mod wall_clock;

pub use commands::run;
pub use failure::Failure;
pub use wall_clock::unix_ms;
