use std::ops::Sub;

use super::{Broken, hold};

/// What a cluster does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Leaders elected.
    pub elections: u64,
    /// Entries appended by leaders.
    pub entries: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Messages of groups sent.
    pub messages: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Bytes of the entries that leaders have appended.
    pub appended_bytes: u64,
    /// Rounds that threads have gone.
    pub rounds: u64,
}

impl Sub for Activity {
    type Output = Activity;

    fn sub(self, before: Activity) -> Activity {
        Activity {
            elections: self.elections - before.elections,
            entries: self.entries - before.entries,
            snapshots: self.snapshots - before.snapshots,
            messages: self.messages - before.messages,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            appended_bytes: self.appended_bytes - before.appended_bytes,
            rounds: self.rounds - before.rounds,
        }
    }
}

/// A cluster in which nobody wants anything does next to nothing: heartbeats and their answers, and what its clocks ask for.
pub fn check_idle_is_quiet(did: Activity, may: Activity, milliseconds: u64) -> Result<(), Broken> {
    let within = did.elections <= may.elections
        && did.entries <= may.entries
        && did.snapshots <= may.snapshots
        && did.messages <= may.messages
        && did.rounds <= may.rounds;
    hold(within, "idle_is_quiet", || {
        format!("in {milliseconds} idle ms the cluster did {did:?}, where {may:?} may be")
    })
}
