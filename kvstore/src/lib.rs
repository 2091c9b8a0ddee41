//! A replicated key-value store on the Niagara engine, for Redis and HTTP clients.
//!
//! [`Kv`] is the state machine: every server executes the same commands in the order of the global log.
//! [`FrontEnds`] are the threads that serve clients on every server. Any server will do: what one has
//! acknowledged, all know.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`command`] | the commands that the log carries, as bytes | |
//! | [`query`] | reads that are executed right after a command, as bytes | |
//! | `table` | the commands of the Redis protocol, and what is known of each | |
//! | `script` | scripts in Lua, alike on all servers | |
//! | `pubsub` | messages from clients to clients | |
//! | `changes` | changes of keys, for whoever watches them | |
//! | `tracking` | changes of keys, for clients that keep what they have read | |
//! | `memory` | how much memory keys and values may take, and who goes beyond it | |
//! | `receipts` | which requests with keys of their own were executed lately | replies |
//! | `state` | what they do to the map, and reads from other threads | commands, queries, the table, messages, changes, tracking |
//! | `time` | the time of the cluster, by which keys expire | commands, the state |
//! | `users` | users and their rights | commands, the table |
//! | `access` | who may use the server | users |
//! | `clients` | the clients of the Redis port, as all threads see them | the table, users, tracking |
//! | `protocol` | what a protocol is: from bytes to requests, from outcomes to bytes | reads, the engine's port |
//! | `handover` | how this server hands over all that it leads | the engine's port |
//! | [`resp`] | the Redis protocol: parse, understand, print | commands, reads, subscriptions |
//! | [`http`] | HTTP/1.1: the same | commands, reads, changes |
//! | `front` | connections and their threads; the order of requests | both protocols, the engine's port |
//! | [`watch`] | changes of keys for a program that embeds a server | changes, the engine |
//! | [`config`], [`server`] | one server put together from a file | everything above |
//!
//! What a client can rely on:
//!
//! - An acknowledged write is executed once, on every server, at one position. Its [`Version`] names the
//!   change.
//! - Reads are linearizable unless the client asks for less (`READONLY`, `?read=weak`, `?read=at-least:G`).
//! - A command on several keys, and a read of several keys, are atomic for everybody.
//! - The requests of a connection behave as if they were executed one by one, in order, however deep the
//!   pipeline.
//! - An error says whether the command had no effect or its outcome is unknown, and what to do.
//!
//! This crate knows nothing of Raft except that it reports terms and leaders.

mod access;
mod attributes;
mod audit;
mod changes;
mod clients;
pub mod command;
pub mod config;
mod database;
mod decimal;
mod description;
mod directory;
mod front;
mod glob;
mod handover;
pub mod http;
mod machine_memory;
mod memory;
mod notices;
pub mod open_files;
mod peers;
mod protocol;
mod pubsub;
pub mod query;
mod rdb;
mod receipts;
mod reply;
pub mod resp;
mod script;
pub mod server;
mod settings;
mod state;
mod stored;
mod table;
mod tag;
mod time;
mod tracking;
mod users;
mod value;
mod varint;
mod version;
pub mod watch;

/// A front end's thread without sockets, for a simulator.
pub mod sim {
    pub use crate::front::SimFrontEnd;
}

pub use access::{AccessConfig, NotASecret, Secret};
pub use database::Database;
pub use description::{Description, MAX_CONTENT_ENCODING_BYTES, MAX_CONTENT_TYPE_BYTES};
pub use directory::Note;
#[doc(hidden)]
pub use front::fuzzing;
pub use front::{FrontEndConfig, FrontEnds, OutOfRange, TlsPorts};
pub use reply::{CalledAct, CommandError, Data, NotOnce, Reply};
pub use resp::{Failover, NotAnAddress, RedisAddress};
pub use state::{
    ClockNews, Cursor, Found, Kv, KvFrozen, KvReader, KvRestoring, ListPage, Listed, SnapshotEntry,
    snapshot_entries,
};
pub use stored::StoredValue;
pub use table::Op;
pub use tag::{Life, Tag};
pub use users::Denied;
pub use value::Value;
pub use version::{NotAVersion, Version};

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
