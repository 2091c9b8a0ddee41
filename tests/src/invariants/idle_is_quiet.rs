use std::ops::Sub;

use super::{Broken, hold};

/// Counts of what a cluster does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Elected leaders.
    pub elections: u64,
    /// Entries appended by leaders.
    pub entries: u64,
    /// Written snapshots.
    pub snapshots: u64,
    /// Messages sent by groups.
    pub messages: u64,
    /// Bytes of these messages.
    pub sent_bytes: u64,
    /// Bytes of the entries that leaders have appended.
    pub appended_bytes: u64,
    /// Rounds of all threads.
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

/// A cluster without requests does next to nothing: heartbeats and their answers, and what its clocks
/// require.
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
