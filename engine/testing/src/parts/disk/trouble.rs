//! What is wrong with a disk, or will be.

use crate::parts::aim::Aim;

/// What is wrong with a disk, or will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The server dies in the middle of a change, after so many others.
    pub dies_after: Option<u64>,
    /// The server dies at this step: in the middle of it, or, if the flag is set, after it and before any
    /// other change.
    pub dies_at: Option<(Aim, bool)>,
    /// There is no room at all.
    pub full: bool,
    /// There is some room, but less than the engine's reserve.
    pub nearly_full: bool,
    /// No write or sync returns.
    pub hangs: bool,
    /// There is no room for snapshots.
    pub no_room_for_snapshots: bool,
    /// This sync fails, and what it was to make durable is lost with the power.
    pub sync_fails: Option<FailingSync>,
}

/// The sync that fails: the next one of this kind, or the next of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingSync(pub Option<Aim>);
