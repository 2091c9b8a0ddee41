//! What has happened in a simulation, and how often: a fault that never fires proves nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of happenings, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// Everything that a longer run must have seen at least once, by kind.
pub const EXPECTED: &[(&str, &[&str])] = &[
    (
        "network",
        &[
            "message lost",
            "message lost in a partition",
            "message doubled",
            "message's copy very late",
            "message overtaken",
            "message damaged",
            "connection broken by damage",
            "servers cut apart",
            "servers cut apart one way",
            "server cut off",
            "one group's link cut",
            "link slowed",
            "links thin",
            "links flap",
        ],
    ),
    (
        "servers",
        &[
            "process killed",
            "power lost",
            "all power lost",
            "killed in the midst of a write",
            "server paused",
            "server slowed",
            "clock off",
            "application hung",
        ],
    ),
    (
        "disks",
        &[
            "unsynced write lost",
            "unsynced write torn",
            "disk slowed",
            "disk hung",
            "disk nearly full",
            "disk full",
            "no room for snapshots",
            "sync failed",
            "process ended by its disk",
            "bit flipped",
            "start refused for damage",
        ],
    ),
    (
        "directories",
        &[
            "log lost",
            "last segment lost",
            "first segment lost",
            "end of a segment lost",
            "snapshots lost",
            "identity lost",
            "identity torn",
            "other members listed",
            "old copy put back",
        ],
    ),
    (
        "protocol",
        &[
            "leader elected",
            "leadership handed over",
            "skip committed",
            "suffix replaced",
            "command refused",
            "outcome unknown",
            "lane sent again",
            "duplicate skipped",
            "pad requested",
            "append not taken",
            "server behind",
            "server read-only",
            "strong read answered",
            "at-least read answered",
            "conditional write lost",
            "one group's link cut for probes",
        ],
    ),
    (
        "snapshots",
        &[
            "snapshot written",
            "snapshot received",
            "snapshot failed",
            "started from a snapshot",
            "state restored from a snapshot",
            "damaged snapshot passed over",
        ],
    ),
    (
        WIDE,
        &[
            "stopped",
            "stopped before the power failed",
            "command too large",
            "long value acknowledged",
            "long value read",
            "more than 50 requests at once",
            "full entry appended",
            "command above an entry appended",
            "died at a write of a log",
            "died at a sync of a log",
            "died when a segment got its name",
            "died when a segment was removed",
            "died at a sync of a log's names",
            "died at a write of a snapshot",
            "died at a sync of a snapshot",
            "died when a snapshot got its name",
            "died when a snapshot was removed",
            "died at a sync of snapshots' names",
            "died at a write of a part",
            "died at a sync of a part",
            "died when a part got its name",
            "died at a write of the identity",
            "died at a sync of the identity",
            "died when the identity got its name",
            "died at a sync of the identity's name",
        ],
    ),
];

/// What only wide plans have.
const WIDE: &str = "wide plans";

impl Coverage {
    /// It has happened.
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// It has happened so many times.
    pub fn add(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// Adds another simulation's.
    pub fn merge(&mut self, other: &Coverage) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    /// How often it has happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What was expected and has never happened.
    pub fn missing(&self, wide: bool) -> Vec<&'static str> {
        let expected = EXPECTED.iter().filter(|(kind, _)| wide || *kind != WIDE);
        let expected = expected.flat_map(|(_, names)| names.iter().copied());
        expected.filter(|what| self.of(what) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, names) in EXPECTED {
            writeln!(f, "{kind}")?;
            for name in *names {
                writeln!(f, "  {name:<36}{:>14}", self.of(name))?;
            }
        }
        let expected = |what: &str| EXPECTED.iter().any(|(_, names)| names.contains(&what));
        writeln!(f, "volume")?;
        for (what, times) in self.0.iter().filter(|(what, _)| !expected(what)) {
            writeln!(f, "  {what:<36}{times:>14}")?;
        }
        Ok(())
    }
}
