//! What is kept of all entries together, and follows each change.

use super::deadlines::Deadlines;
use super::digest::StateDigest;
use super::entry::Entry;
use crate::changes::{Kind, Now, Recorder};

/// How many entries there are, their digest, and their deadlines; and what watchers will be told of their changes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) keys: u64,
    pub(super) digest: StateDigest,
    pub(super) deadlines: Deadlines,
    pub(super) changes: Recorder,
}

impl Ledger {
    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.keys += 1;
        self.digest.add(entry);
        self.deadlines.add(entry);
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.keys -= 1;
        self.digest.remove(entry);
        self.deadlines.remove(entry);
    }

    /// Removes all entries.
    pub(super) fn clear(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        *self = Ledger { changes, ..Ledger::default() };
        self.changes.note(Kind::Flush, b"", None);
    }

    /// Continues with other entries, of a snapshot at a position.
    pub(super) fn replace(&mut self, other: Ledger, position: u64) {
        let changes = std::mem::take(&mut self.changes);
        *self = Ledger { changes, ..other };
        self.changes.restored(position);
    }

    /// Notes that an entry has come or has changed.
    pub(super) fn note(&mut self, kind: Kind, entry: &Entry) {
        if self.changes.is_on() {
            let Entry { key, value, version, attributes, .. } = entry;
            let deadline = attributes.deadline();
            let now = Now { version: *version, deadline, bytes: value.len(), value: Some(value.clone()) };
            self.changes.note(kind, key, Some(now));
        }
    }

    /// Notes that an entry has gone.
    pub(super) fn note_gone(&mut self, kind: Kind, key: &[u8]) {
        if self.changes.is_on() {
            self.changes.note(kind, key, None);
        }
    }
}
