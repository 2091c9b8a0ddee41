//! What has happened in a simulation, and how often: a fault that never fires proves nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::aim::Aim;
use super::messages::MessageKind;
use super::network::Counter;

/// Counts of events, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<Cow<'static, str>, u64>);

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
            "damage left to a sum",
            "servers cut apart",
            "servers cut apart one way",
            "server cut off",
            "connections closed on the way",
            "leaderships drained",
            "one group's link cut",
            "link slowed",
            "links thin",
            "links flap",
        ],
    ),
    ("requests executed once", &["request executed once", "request told again what became of it"]),
    ("databases", &["key copied to another database", "databases exchanged or notices set"]),
    (
        "memory",
        &[
            "memory limited, or key set that may be evicted",
            "key read that may be evicted",
            "room made without a write",
        ],
    ),
    ("rights", &["right given", "right taken", "right used", "right missed"]),
    (
        "servers",
        &[
            "process killed",
            "power lost",
            "all power lost",
            "power failed later",
            "killed in the midst of a write",
            "server paused",
            "server slowed",
            "stopped",
            "stopped before the power failed",
            "clock off",
            "application hung",
            "group's thread hung",
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
            "command too large",
            "long value acknowledged",
            "long value read",
            "more than 50 requests at once",
            "full entry appended",
            "command above an entry appended",
            "lane sent again",
            "duplicate skipped",
            "pad requested",
            "append not taken",
            "server behind",
            "server read-only",
            "strong read answered",
            "strong read answered by a lease",
            "at-least read answered",
            "conditional write lost",
            "one group's link cut for probes",
            "prompt reads asked",
            "prompt writes asked",
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
        "epochs",
        &[
            "number of groups asked for",
            "level asked for",
            "epoch begun",
            "server in another epoch",
            "leap to another epoch by a snapshot",
            "groups of an epoch made",
            "started in the midst of a change",
            "group of an ended epoch closed",
        ],
    ),
    (
        "members",
        &[
            "other members asked for",
            "server added",
            "server removed",
            "server replaced",
            "server joined",
            "newcomer died",
            "disk lost for good",
            "request at a removed server",
            "removed server ended",
        ],
    ),
    (
        "followers",
        &[
            "follower started",
            "follower died",
            "follower cut off",
            "follower resumed from a snapshot",
            "command executed by the follower",
            "request at the follower",
            "strong read at the follower",
            "at-least read at the follower",
            "weak read at the follower",
        ],
    ),
    (
        "requests",
        &[
            "weak read answered",
            "value swapped",
            "own write read in a pipeline",
            "own write read in an HTTP pipeline",
            "read behind a call",
            "append acknowledged",
            "appended value read",
            "group set if absent",
            "group was not absent",
            "stray key looked for",
            "group deleted",
            "group read",
            "scan went on",
            "scan went on at another server",
            "scan complete",
            "everything flushed",
            "HTTP response",
            "HTTP request refused",
            "HTTP outcome unknown",
            "HTTP precondition failed",
            "HTTP value unchanged",
            "HTTP client told to go on",
            "page about a server read",
        ],
    ),
];

/// Steps at which servers die, and syncs that fail.
const AIMED_AT: &str = "aimed at";
/// Kinds of messages that are all lost for a while.
const LOST: &str = "messages";

/// A thing counts as tried if it happens at least once in so many seeds. The rarest that is expected happens seven times
/// on average.
pub const SEEDS_FOR_EACH: u64 = 2000;

/// Expected events, each with its kind.
fn expected() -> impl Iterator<Item = (&'static str, &'static str)> {
    let listed = EXPECTED.iter().flat_map(|(kind, names)| names.iter().map(|name| (*kind, *name)));
    let aimed = Aim::ALL.iter().chain(Aim::SYNCS).map(|(_, name)| (AIMED_AT, *name));
    listed.chain(aimed).chain(MessageKind::ALL.iter().map(|kind| (LOST, kind.0)))
}

impl Counter for Coverage {
    fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }
}

impl Coverage {
    /// Counts an event.
    pub fn count(&mut self, what: &'static str) {
        Counter::count(self, what);
    }

    /// Counts so many events.
    pub fn add(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.0.entry(Cow::Borrowed(what)).or_default() += times;
        }
    }

    /// Adds the counts of another simulation.
    pub fn merge(&mut self, other: &Coverage) {
        for (what, times) in &other.0 {
            *self.0.entry(what.clone()).or_default() += times;
        }
    }

    /// How often an event has happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Events and their counts, in the order of their names.
    pub fn rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, times)| (&**what, *times))
    }

    /// Expected events that have happened never, or hardly ever, in so many seeds.
    pub fn missing(&self, seeds: u64) -> Vec<&'static str> {
        let least = (seeds / SEEDS_FOR_EACH).max(1);
        expected().map(|(_, what)| what).filter(|what| self.of(what) < least).collect()
    }
}

impl FromIterator<(String, u64)> for Coverage {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(rows: I) -> Coverage {
        Coverage(rows.into_iter().map(|(what, times)| (what.into(), times)).collect())
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut under = "";
        for (kind, name) in expected() {
            if kind != std::mem::replace(&mut under, kind) {
                writeln!(f, "{kind}")?;
            }
            writeln!(f, "  {name:<36}{:>14}", self.of(name))?;
        }
        writeln!(f, "volume")?;
        for (what, times) in self.rows().filter(|(what, _)| !expected().any(|(_, name)| name == *what)) {
            writeln!(f, "  {what:<36}{times:>14}")?;
        }
        Ok(())
    }
}
