//! What the included files know of snapshots.

#[path = "../../../engine/src/snapshot/handover.rs"]
mod handover;
#[path = "../../../engine/src/snapshot/header.rs"]
mod header;

pub(crate) use handover::Handover;
pub use header::{Header, HeaderError};
