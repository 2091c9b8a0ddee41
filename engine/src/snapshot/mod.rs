//! Snapshots: the state of a whole server at the end of a round, in one file that serves all of its groups.
//!
//! One file makes the logs of all groups superfluous up to its round, brings a server up to date that was away for too long,
//! and lets a start begin from it rather than from the first entry. While it is written, commands go on being executed and
//! replicated: the application hands out a view that stays as it is (Deyerl and Distler, PaPoC 2019, section 3.4; Raft, section
//! 7). `docs/snapshot.md` gives every byte of the file, and follows a transfer.
//!
//! | file | holds |
//! |---|---|
//! | `header.rs`, `format.rs` | bytes: the engine's part, chunks, trailer; pure functions |
//! | `writer.rs`, `reader.rs` | a file from start to end |
//! | `shelf.rs` | the directory: names, which two are kept, what a start finds |
//! | `saving.rs` | writing this server's own, a little at a time |
//! | `wire.rs`, `source.rs`, `fetch.rs` | the channel between servers: messages, the sending side, the receiving side |
//! | `catch_up.rs` | from what groups need to a state that is ready to be put in place |
//! | `keeper.rs` | all of it together: what the thread that keeps the snapshots does |
//! | `board.rs`, `handover.rs` | what it shares with the other threads |
//! | `pace.rs` | a limit on bytes per second |
//!
//! Nothing here knows what is in the application's chunks, or how Raft gets a log reset: a group's driver does that, once the
//! state is in place.

mod board;
mod catch_up;
mod error;
mod fetch;
mod format;
mod handover;
mod header;
mod keeper;
mod pace;
mod reader;
mod saving;
mod shelf;
mod source;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub(crate) use board::{Need, SnapshotBoard};
pub use error::SnapshotError;
pub(crate) use handover::Handover;
pub use header::{Header, HeaderError};
pub use keeper::Snapshots;
pub(crate) use keeper::{Keeper, KeeperConfig, KeeperShare};
pub use reader::SnapshotReader;
pub(crate) use shelf::Shelf;
pub use wire::{PIECE_BYTES, Transfer};
