//! What is kept of all entries together, and follows each change.

use super::deadlines::Deadlines;
use super::digest::StateDigest;
use super::entry::Entry;
use super::place::Place;
use crate::changes::{Kind, Now, Recorder};
use crate::database::{Space, Spaces};
use crate::tracking::Scribe;
use crate::{Database, Life};

/// How many entries there are, what they take, their digest, and their deadlines; and what watchers and trackers will be told of
/// their changes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Where the databases are.
    pub(super) spaces: Spaces,
    counts: [Counts; Database::COUNT],
    /// What all entries count together, in bytes.
    bytes: u64,
    pub(super) deadlines: Deadlines,
    pub(super) changes: Recorder,
    pub(super) tracked: Scribe,
}

/// What is kept of the entries of one space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) keys: u64,
    /// Those that expire.
    pub(super) expiring: u64,
    digest: StateDigest,
}

impl Ledger {
    /// What is kept of a space.
    pub(super) fn counts(&self, space: Space) -> Counts {
        self.counts[usize::from(space.0)]
    }

    /// What all entries count together, in bytes: what is held against the limit.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The earliest deadline, and the place of a key that has it. If keys of several databases are called alike, that of the lowest
    /// one comes first, whatever spaces they are in.
    pub(super) fn first_due(&self) -> Option<(u64, Place)> {
        let (deadline, alike) = self.deadlines.first_alike()?;
        let place = alike.min_by_key(|place| self.spaces.database(place.space()))?;
        Some((deadline, place))
    }

    /// The number of all keys.
    pub(super) fn keys(&self) -> u64 {
        self.counts.iter().map(|counts| counts.keys).sum()
    }

    /// The digest of a state with these entries.
    pub(super) fn digest(&self, life: Option<Life>, clock: u64) -> u128 {
        let each = Database::all()
            .map(|database| self.counts(self.spaces.of(database)).digest.of_database(database));
        each.fold(StateDigest::default(), StateDigest::and).of_state(life, clock)
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        let counts = &mut self.counts[usize::from(entry.place().space().0)];
        counts.keys += 1;
        counts.expiring += u64::from(entry.deadline().is_some());
        counts.digest.add(entry);
        self.bytes += entry.bytes();
        self.deadlines.add(entry);
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let counts = &mut self.counts[usize::from(entry.place().space().0)];
        counts.keys -= 1;
        counts.expiring -= u64::from(entry.deadline().is_some());
        counts.digest.remove(entry);
        self.bytes -= entry.bytes();
        self.deadlines.remove(entry);
    }

    /// Notes in an entry that a read of its key was reported at a position.
    pub(super) fn report(&mut self, entry: &mut Entry, position: u64) {
        let digest = &mut self.counts[usize::from(entry.place().space().0)].digest;
        digest.remove(entry);
        entry.report(position);
        digest.add(entry);
    }

    /// Removes all entries, and tells watchers.
    pub(super) fn clear(&mut self, tells: bool) {
        let (changes, tracked) = (std::mem::take(&mut self.changes), std::mem::take(&mut self.tracked));
        *self = Ledger { changes, tracked, spaces: self.spaces, ..Ledger::default() };
        self.tracked.note_all();
        if tells {
            self.changes.note(Kind::Flush, b"", None);
        }
    }

    /// Continues with other entries, of a snapshot at a position.
    pub(super) fn replace(&mut self, other: Ledger, position: u64) {
        let (changes, tracked) = (std::mem::take(&mut self.changes), std::mem::take(&mut self.tracked));
        *self = Ledger { changes, tracked, ..other };
        self.tracked.lose();
        self.changes.restored(position);
    }

    /// Notes that an entry has come or has changed.
    pub(super) fn note(&mut self, kind: Kind, entry: &Entry) {
        self.tracked.note(entry.key());
        if self.is_watched(entry.place().space()) {
            let (version, deadline, value) = (entry.version(), entry.deadline(), entry.value());
            let now = Now { version, deadline, bytes: value.len(), value: Some(value.to_bytes()) };
            self.changes.note(kind, entry.key(), Some(now));
        }
    }

    /// Notes that an entry has gone.
    pub(super) fn note_gone(&mut self, kind: Kind, entry: &Entry) {
        self.tracked.note(entry.key());
        if self.is_watched(entry.place().space()) {
            self.changes.note(kind, entry.key(), None);
        }
    }

    /// Whether somebody may watch the keys of a space: watchers are told of the first database.
    pub(super) fn is_watched(&self, space: Space) -> bool {
        self.changes.is_on() && space == self.spaces.of(Database::FIRST)
    }
}
