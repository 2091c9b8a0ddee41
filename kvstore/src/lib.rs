//! A replicated key-value store on the Niagara engine, for clients of Redis and of HTTP.
//!
//! [`Kv`] is the state machine: every server executes the same commands in the order of the global log. [`FrontEnds`]
//! are the threads that clients talk to, on every server, and any server will do: what one was told all know.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`command`] | the commands that the log carries, as bytes | |
//! | `state` | what they do to the map, and reads beside them | commands |
//! | `protocol` | what a protocol is: from bytes to requests, from outcomes to bytes | reads, the engine's port |
//! | [`resp`] | the Redis protocol: parse, understand, print | commands, reads |
//! | [`http`] | HTTP/1.1: the same | commands, reads |
//! | `front` | connections and their threads; the order of requests | both protocols, the engine's port |
//! | [`config`], [`server`] | one server put together from a file | everything above |
//!
//! What a client can rely on:
//!
//! - A write that was acknowledged is executed once, on every server, at one position; its [`Version`] names the change.
//! - Reads are linearizable unless the client asks for less (`READONLY`, `?read=weak`, `?read=at-least:G`).
//! - A command of several keys, and a read of several keys, are each one moment for everybody.
//! - Requests of one connection behave as if they were executed one by one, in order, however deep the pipeline.
//! - An error says whether the command has had no effect, or whether nobody knows; each says what to do.
//!
//! This crate knows nothing of Raft: neither terms nor leaders, other than to report them.

pub mod command;
pub mod config;
mod decimal;
mod description;
mod front;
pub mod http;
pub mod open_files;
mod protocol;
mod reply;
pub mod resp;
pub mod server;
mod state;
mod tag;
mod version;

/// A front end's thread without sockets, for a simulator.
pub mod sim {
    pub use crate::front::Desk;
}

pub use description::{Description, MAX_CONTENT_ENCODING_BYTES, MAX_CONTENT_TYPE_BYTES};
#[doc(hidden)]
pub use front::fuzzing;
pub use front::{FrontEndConfig, FrontEnds, OutOfRange};
pub use reply::{CommandError, Reply};
pub use state::{Cursor, Found, Kv, KvFrozen, KvReader, KvRestoring, SnapshotEntry, snapshot_entries};
pub use tag::{Life, Tag};
pub use version::{NotAVersion, Version};

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
