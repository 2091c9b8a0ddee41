//! Snapshots: the state of a whole server at the end of a round, in one file that serves all of its groups.
//!
//! One file makes the logs of all groups superfluous up to its round, lets a server catch up that was away
//! for too long, and lets a start begin from it rather than from the first entry. While it is written,
//! commands continue to be executed and replicated: the application hands out an immutable view (Deyerl and
//! Distler, PaPoC 2019, section 3.4; Raft, section 7). `docs/snapshot.md` gives every byte of the file, and
//! follows a transfer.
//!
//! | file | holds |
//! |---|---|
//! | `header.rs`, `format.rs` | bytes: the engine's part, chunks, trailer; pure functions |
//! | `writer.rs`, `reader.rs` | a file from start to end |
//! | `store.rs` | the directory: names, which two files are kept, what a start finds |
//! | `own_files.rs` | snapshots whose content is in files of the state machine's own |
//! | `saving.rs` | writing this server's own snapshots, a little at a time |
//! | `wire.rs` | the messages of a transfer between servers |
//! | `sender.rs` | the sending side of transfers |
//! | `receiver.rs`, `fetch.rs` | the receiving side: from what groups need to a state that is ready for use |
//! | `signals.rs`, `handover.rs` | what the snapshots' thread shares with the other threads of its server |
//! | `requests.rs` | callers that wait for a snapshot |
//! | `pace.rs` | a limit on bytes per second |
//!
//! Nothing here knows what is in the application's chunks, or how Raft resets a log: a group's driver does
//! that, once the state is in use.

mod error;
mod fetch;
mod format;
mod handover;
mod header;
mod over;
mod own_files;
mod pace;
mod reader;
mod receiver;
mod requests;
mod saving;
mod sender;
mod signals;
mod store;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub use error::SnapshotError;
pub(crate) use handover::Handover;
pub use header::{Header, HeaderError};
pub(crate) use over::OverNews;
pub(crate) use own_files::{directory as own_files_of, read_into};
pub(crate) use pace::Pace;
pub use reader::SnapshotReader;
pub(crate) use receiver::{Received, SnapshotReceiver};
pub use requests::{SnapshotFailed, SnapshotTicket, TakenSnapshot};
pub(crate) use saving::{Saved, Saving};
pub(crate) use sender::SnapshotSender;
pub use signals::Snapshots;
pub(crate) use signals::{Need, SnapshotSignals};
pub(crate) use store::{Kept, SNAPSHOT, SnapshotStore};
pub use wire::Transfer;
pub(crate) use writer::SnapshotWriter;
