//! The threads of a server, and what they share.
//!
//! | file | holds |
//! |---|---|
//! | `parts.rs` | a server without threads: everything put together |
//! | `start.rs` | what a start finds on disk: snapshot and logs, and how they fit |
//! | `replica.rs` | a group's driver with all that it shares with the rest of the server |
//! | `sequencer.rs`, `stretch.rs` | local logs in, global log out; what it is handed on as |
//! | `application.rs` | global log in, outcomes out |
//! | `assembly.rs` | adds sockets and threads to the parts, and takes them apart again |
//! | `group_thread.rs`, `log_thread.rs`, `sequencer_thread.rs`, `snapshot_thread.rs` | the threads: clocks, sockets, channels, files |
//! | `machine.rs` | drives the parts without threads, for a simulator |
//! | `board.rs`, `mailbox.rs` | how far everybody is; messages to the group threads |
//! | `waits.rs` | what ends the sleep of a group's thread before its time |
//! | `divergence.rs`, `exchange.rs` | whether this server has parted from the others; when it tells them its digests |
//! | `bounds.rs` | how much waits behind something slow, and from when on no more is taken |
//! | `room.rs` | room on the disk |
//! | `alarms.rs` | what of that an operator has to know |
//! | `shared.rs` | what callers' threads reach |
//! | `thread.rs`, `bell.rs`, `ticks.rs` | starting; sleeping and waking; when to do what is done now and then |
//!
//! Threads are thin: the rules are in [`niagara_group`], [`crate::apply`] and the sequencer crate. No thread blocks on
//! another one's full queue, except that the sequencer's waits for execution, which waits for nobody.

mod alarms;
mod application;
mod assembly;
mod bell;
mod board;
mod bounds;
mod divergence;
mod exchange;
mod group_thread;
mod log_thread;
mod machine;
mod mailbox;
mod parts;
mod replica;
mod room;
mod sequencer;
mod sequencer_thread;
mod shared;
mod snapshot_thread;
mod start;
mod stretch;
mod ticks;
mod waits;

pub use assembly::{Engine, StartError};
pub(crate) use bell::Bell;
pub(crate) use board::{Board, Mail};
#[cfg(test)]
pub(crate) use bounds::Limits;
pub use machine::{Figures, Machine, Standing, WaitingBytes};
pub use parts::Outside;
pub(crate) use shared::Shared;
