//! The threads of a server, and what they share.
//!
//! | file | holds |
//! |---|---|
//! | `assembly.rs` | opens everything, starts the threads, stops them |
//! | `group_thread.rs`, `log_thread.rs` | per group: sockets and driver; log writes with their syncs |
//! | `sequencer_thread.rs` | local logs in, global log out |
//! | `application_thread.rs` | global log in, outcomes out |
//! | `board.rs` | how far everybody is, and the mailboxes of the group threads |
//! | `shared.rs` | what callers' threads reach |
//! | `thread.rs` | starting, sleeping, waking |
//!
//! Threads are thin: the rules are in [`crate::group`], [`crate::apply`] and the sequencer crate. No thread blocks on
//! another one's full queue, except that the sequencer's waits for execution, which waits for nobody.

mod application_thread;
mod assembly;
mod board;
mod group_thread;
mod log_thread;
mod sequencer_thread;
mod shared;
mod thread;

pub use assembly::{Engine, StartError};
pub(crate) use board::{Board, Mail};
pub(crate) use shared::Shared;
