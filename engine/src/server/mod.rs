//! A server: its threads, and what they run.
//!
//! | file | holds |
//! |---|---|
//! | `parts.rs` | a server without threads: everything put together |
//! | `server_core.rs` | what merges and executes, and keeps snapshots, whoever has the logs |
//! | `environment.rs` | what it needs from the world around it |
//! | `start_error.rs` | why a server does not start |
//! | `start.rs` | what a start finds on disk: snapshot and logs, and how they fit |
//! | `replica.rs` | a group's driver, with what it shares with the rest of the server |
//! | `sequencer.rs`, `stretch.rs` | local logs in, global log out, and the stretches in which it is handed over |
//! | `application.rs` | global log in, outcomes out |
//! | `executor.rs` | execution of an entry |
//! | `snapshot_manager.rs` | writes, sends and fetches snapshots |
//! | `exchange.rs` | when a server sends its digests to the others |
//! | `builder.rs`, `surroundings.rs`, `assembly.rs` | start the parts with sockets and threads, and stop them |
//! | `channels.rs`, `transfers.rs` | open the channels to the other servers: of the groups, and of the snapshots |
//! | `followers/` | servers that follow the members: what both ends do |
//! | `first_state.rs` | how a server without a state fetches a snapshot before it starts |
//! | `join.rs` | how a server that joins a running cluster gets its first state |
//! | `thread_layout.rs` | which thread drives which groups |
//! | `driven_group.rs` | a group as its thread drives it |
//! | `group_thread.rs`, `log_thread.rs`, `sequencer_thread.rs`, `snapshot_thread.rs` | the threads: clocks, sockets, channels, files |
//! | `ticks.rs` | the clock of a thread |
//! | `sim_server.rs`, `sim_follower.rs` | drive the parts without threads, for a simulator |
//!
//! Threads are thin: the rules are in [`niagara_group`], [`crate::apply`] and the sequencer crate. No thread
//! blocks on another one's full queue, except that the sequencer waits for execution, which waits for nobody.

mod application;
mod assembly;
mod builder;
mod channels;

mod driven_group;
mod environment;
mod epoch_opener;
mod exchange;
mod executor;
mod first_state;
mod followers;
mod group_parts;
mod group_thread;
mod group_threads;
mod join;
mod log_thread;
mod parts;
mod replica;
mod sequencer;
mod sequencer_thread;
mod server_core;
mod sim_follower;
mod sim_server;
mod snapshot_manager;
mod snapshot_thread;
mod start;
mod start_error;
mod stretch;
mod surroundings;
mod thread_layout;
mod ticks;
mod transfers;

pub use assembly::Engine;
pub use builder::EngineBuilder;
pub use environment::Environment;
pub use followers::encoded_again;
pub use join::past;
pub use sim_follower::SimFollower;
pub use sim_server::{Figures, SimServer, Standing, WaitingBytes};
pub(crate) use start::{log_config, log_directory};
pub use start_error::StartError;
pub use thread_layout::groups_beside;
