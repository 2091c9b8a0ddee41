//! The Niagara engine: one totally ordered log out of many Raft groups, and your state machine on top of it.
//!
//! One Raft group has one leader, and with it one core and one link that do all the work. Niagara (Deyerl and Distler,
//! PaPoC 2019) runs R independent groups on every server, each with a thread and sockets of its own, and merges their
//! logs into one global log by a fixed rule. The application sees one log and one unpartitioned state.
//!
//! Start at [`Engine`]: build a [`Config`], bring a [`StateMachine`], and talk to it through a [`Client`], or through a
//! [`Port`] where one thread handles many commands. What becomes of a command is [certain](Completion): executed once
//! at a known position, refused without effect, or unknown after its deadline.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`group`] | a server's replica of one Raft group, as a state machine | raft-rs, slots |
//! | [`log`] | a group's log on disk | bytes, files |
//! | [`snapshot`] | the state of a server in one file; how it is written, sent and read | rounds, chunks |
//! | [`apply`] | execution: what ran already, the digests of it | lanes |
//! | [`agreement`] | whether servers have executed the same | digests |
//! | [`batch`], [`wire`] | the bytes in entries and between servers | |
//! | `lane`, `port`, `client`, `inbox`, `ticket` | callers' commands in, outcomes out | |
//! | `read_gate` | where reads wait | barriers |
//! | `server` | the threads | everything above |
//!
//! This crate knows nothing of keys, values, HTTP or any client's protocol.

pub mod agreement;
pub mod apply;
mod client;
mod clock;
mod config;
#[doc(hidden)]
pub mod example;
mod frozen;
mod identity;
mod lane;
mod metrics;
mod outcome;
mod progress;
mod read_gate;
mod server;
pub mod snapshot;
mod state_machine;
mod status;
mod sync;

/// A server without threads, for a simulator that brings time, network and disk of its own.
pub mod sim {
    pub use crate::clock::{Clock, ManualClock};
    pub use crate::server::{Environment, Figures, SimServer, Standing, WaitingBytes};
}

use niagara_planted as planted;

pub use client::{Client, Port, ReadTicket, Ticket, Wake};
pub use config::{Config, ConfigError, Link, Member, Pinning, ServerId};
pub use frozen::{CHUNK_BYTES, Encoded, Frozen, MalformedState, Restoring};
pub use identity::IdentityError;
pub use lane::LaneId;
pub use niagara_group::{Command, Commands};
pub use niagara_log::Durability;
pub use niagara_sequencer::GlobalPosition;
pub use outcome::{Applied, Completion, Consistency, ReadFailed, Refused, Unknown};
pub use server::{Engine, StartError};
pub use state_machine::{NotACommand, StateMachine};
pub use status::{Digest, GroupStatus, SnapshotStatus, Status, Waiting};
