//! The Niagara engine: one totally ordered log out of many Raft groups, with your state machine on top.
//!
//! One Raft group has one leader, so one core and one link do most of its work. Niagara (Deyerl and Distler,
//! PaPoC 2019) runs R independent groups on every server, each with a thread and sockets of its own, and
//! merges their logs into one *global log* by a fixed rule. The application sees one log and one
//! unpartitioned state.
//!
//! ## Two levels
//!
//! **[`App`] and [`Node`].** You write a type that serde can encode, and how one command changes it; you
//! [`call`](NodeHandle::call) and [`query`](NodeHandle::query). [`Node`] has a complete program. A
//! [`Session`] makes retries safe. This is for most programs, with a state of up to a few MiB.
//!
//! **[`StateMachine`] and [`Engine`].** You [apply](StateMachine::apply) batches of bytes, hand out a
//! [reader](StateMachine::reader) for other threads, and [freeze](StateMachine::freeze) and
//! [restore](StateMachine::restore) the state for snapshots. A [`Client`] serves any thread:
//! [`propose`](Client::propose) a command, [`read`](Client::read) the state, and wait for the ticket. A
//! command can be [followed by a query](Client::propose_then_query) that sees what it did. A
//! thread that serves many callers uses a [`Port`]: commands and reads go in and completions come out in
//! batches, with one lock and at most one wake-up for each. It can [attach](Port::attach)
//! reads to commands, so that a pipeline of both is in flight at once.
//!
//! Both start with a [`Config`]: [`Config::local`] for a cluster in one process, or [`Config::new`] with the
//! cluster's id, this server's id, and the [`Member`]s with one address for each group. All else has
//! defaults, each with its reason. A start opens the data directory and the sockets, restores the newest
//! snapshot and starts the threads; [`Engine::stop`], or dropping, stops the server cleanly.
//!
//! To follow a server, [subscribe](Client::subscribe) to the commands that it executes, [watch](Client::watch)
//! its state and leaders, or wait for a [snapshot](Client::snapshot). A state machine may keep its state on disk:
//! see [`StateMachine::applied`].
//!
//! Tickets, calls and queries are futures for any executor, and block with `wait`. Whoever would wait for
//! itself, inside `apply` or a query, is told so ([`Ticket::wait`]).
//!
//! Any server accepts commands and reads. One that does not lead forwards commands to the leader, and replies
//! from its own execution.
//!
//! ## What the outcomes are
//!
//! Each command ends in exactly one of these:
//!
//! | outcome | meaning | you |
//! |---|---|---|
//! | [`Applied`] | executed once, at a known position of the global log | have the reply |
//! | [`Refused`] | never entered the log, has no effect | may retry, as the variant says |
//! | [`Unknown`] | the deadline passed: it may have been executed, or may be later | retry only what tolerates being executed twice |
//!
//! A read ends with a state that is as fresh as its [`Consistency`] demands, or in [`ReadFailed`]. [`Status`]
//! says how a server is doing.
//!
//! ## Where to read on
//!
//! | module | holds | knows |
//! |---|---|---|
//! | [`niagara_group`] | a server's replica of one Raft group, as a state machine | raft-rs, slots |
//! | [`niagara_log`] | a group's log on disk | bytes, files |
//! | `snapshot` | a server's state in one file; how it is written, sent and read | rounds, chunks |
//! | `apply` | execution: what has been executed, and digests of it | lanes |
//! | `subscription`, `watch` | what has been executed and what changes, for whoever follows | positions |
//! | [`agreement`] | whether servers agree on what they have executed | digests |
//! | [`niagara_group::batch`], [`niagara_group::wire`] | the bytes in entries and between servers | |
//! | `client`, `lane` | callers' commands in, outcomes out | |
//! | `read_gate` | where reads wait | barriers |
//! | `server` | the threads | everything above |
//!
//! ARCHITECTURE.md in the repository follows one write and one read through these modules. This crate knows
//! nothing of keys, values, HTTP or any client's protocol.

pub mod agreement;
mod apply;
mod client;
mod clock;
mod config;
mod example;
mod frozen;
mod growing;
mod identity;
mod lane;
mod leaders;
mod members;
mod metrics;
mod misuse;
mod node;
mod outcome;
mod probing;
mod progress;
mod promise;
mod read_gate;
mod reads;
mod recovery;
mod role;
mod server;
mod snapshot;
mod state_machine;
mod status;
mod subscription;
mod sync;
mod watch;

/// What this repository's tools and tests need, and an embedding program does not. It may change in any release.
#[doc(hidden)]
pub mod internals {
    /// A server without threads, for a simulator with its own time, network and disk.
    pub mod sim {
        pub use crate::clock::{Clock, ManualClock};
        pub use crate::server::{
            Environment, Figures, SimFollower, SimServer, Standing, WaitingBytes, groups_beside,
        };
    }
    /// Execution: what has been executed, and digests of it.
    pub mod apply {
        pub use crate::apply::*;
    }
    /// A server's state in one file: how it is written, sent and read.
    pub mod snapshot {
        pub use crate::snapshot::*;
    }
    /// Messages between followers and members.
    pub mod feed {
        pub use crate::server::encoded_again;
    }
    /// What a recovery would find.
    pub mod recovery {
        pub use crate::recovery::survey;
    }
    /// State machines for examples, tests and benches.
    pub mod example {
        pub use crate::example::*;
    }
}

/// Crates whose types stand in this one's signatures, in the versions that fit.
pub use {bytes, niagara_net, prometheus_client, serde};

use niagara_planted as planted;

pub use client::{Client, NotChanged, Port, ReadTicket, Ready, ThenTicket, Ticket, Wake};
pub use config::{Config, ConfigError, KNOWN_LEVEL, Link, Listeners, Member, Pinning, ServerId, Threads};
pub use frozen::{CHUNK_BYTES, Encoded, Frozen, MalformedState, Restoring};
pub use identity::{IdentityError, Past};
pub use lane::LaneId;
pub use leaders::{FollowerStanding, GroupLeader, Leaders};
pub use members::{EpochView, LevelView, MemberLevel, MemberView, MembersChange};
pub use metrics::MetricsCollector;
pub use niagara_group::{Command, Commands, NotMoved, Unfit};
pub use niagara_log::{Durability, Files, LogFile, MemoryFiles, SystemFiles};
pub use niagara_sequencer::{GlobalPosition, MAX_GROUPS};
pub use node::{
    Answer, App, AppMachine, AppReader, AppSubscription, AppliedCommand, Call, CallError, CallThenQuery,
    Encode, Malformed, Node, NodeHandle, OpenSession, Query, Session,
};
pub use outcome::{
    Applied, Completion, Consistency, Detached, DetachedRead, NotAttached, ReadFailed, Refused, Retry, Then,
    Unknown,
};
pub use probing::ProbeResponder;
pub use reads::{Reads, UnknownReads};
pub use recovery::{Found, FoundDirectory, FoundGroup, FoundNext, FoundSnapshot, Recovery, RecoveryError};
pub use role::{ServerRole, UnknownRole};
pub use server::{Engine, EngineBuilder, StartError, past};
pub use snapshot::{SnapshotFailed, SnapshotTicket, TakenSnapshot};
pub use state_machine::{ForeignState, NotACommand, NotAQuery, StateMachine};
pub use status::{Digest, FollowedStatus, GroupStatus, LeaseStatus, Role, SnapshotStatus, Status, Waiting};
pub use subscription::{Compacted, Executed, NextExecuted, Subscription, SubscriptionEnd};
pub use watch::{Changed, EngineState, EngineView, Leadership, Watch};

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
