//! What the included files know of a log.

#[path = "../../../engine/src/log/entry.rs"]
mod entry;

pub use entry::{EntryId, LogEntry};
