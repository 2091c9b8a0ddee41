//! What a view of the map shares with the shards that it still has to walk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::entry::Entry;
use super::place::Place;
use super::tables::Tables;

/// A view of the map at one position: the entries that were last changed there or before.
///
/// Nothing is copied at its start. It is walked in order of place. A writer that changes an entry which the
/// walk has not reached saves the entry here first. So a view costs only what changes during the walk, and
/// the walk frees that as it advances.
#[derive(Debug)]
pub(super) struct View {
    position: u64,
    /// Every place below has been walked. It changes under a shard's lock for reading, and is read under the
    /// same lock for writing. For other shards, any of its values says the same.
    walked: AtomicU64,
    saved: Mutex<Vec<Entry>>,
    /// Keys whose entries were saved before a read of them was reported: their versions do not show it.
    reported: Mutex<BTreeMap<Place, BTreeSet<Box<[u8]>>>>,
    has_reported: AtomicBool,
    taken: Mutex<BTreeMap<usize, Tables>>,
}

impl View {
    pub(super) fn new(position: u64) -> View {
        View {
            position,
            walked: AtomicU64::new(0),
            saved: Mutex::default(),
            reported: Mutex::default(),
            has_reported: AtomicBool::new(false),
            taken: Mutex::default(),
        }
    }

    /// Whether an entry of the map, in its current form, belongs to the view.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        entry.version().position <= self.position && !self.has_saved(entry)
    }

    /// Whether it was saved before a read of its key was reported.
    fn has_saved(&self, entry: &Entry) -> bool {
        // It was set under the lock of the entry's shard, which whoever asks holds, too.
        self.has_reported.load(Ordering::Relaxed)
            && self.reported.lock().get(&entry.place()).is_some_and(|keys| keys.contains(entry.key()))
    }

    /// Records that every place below `place` has been walked.
    pub(super) fn advance(&self, place: Place) {
        self.walked.store(place.0, Ordering::Relaxed);
    }

    /// Keeps an entry that is about to change, if the walk has not reached it.
    pub(super) fn save(&self, entry: &Entry) {
        if self.holds(entry) && entry.place().0 >= self.walked.load(Ordering::Relaxed) {
            self.saved.lock().push(entry.clone());
        }
    }

    /// Keeps an entry before a report of a read changes it.
    pub(super) fn save_reported(&self, entry: &Entry) {
        if self.holds(entry) && entry.place().0 >= self.walked.load(Ordering::Relaxed) {
            self.saved.lock().push(entry.clone());
            self.reported.lock().entry(entry.place()).or_default().insert(entry.key().into());
            self.has_reported.store(true, Ordering::Relaxed);
        }
    }

    /// Moves what was saved so far to `entries`.
    pub(super) fn drain_saved(&self, entries: &mut Vec<Entry>) {
        entries.append(&mut self.saved.lock());
    }

    /// Keeps all of a shard that is about to be emptied: searching it for what is still to be walked would
    /// take too long.
    pub(super) fn take(&self, number: usize, tables: Tables) {
        let before = self.taken.lock().insert(number, tables);
        assert!(before.is_none(), "a shard that was emptied is no longer frozen");
    }

    /// The shards that were emptied before the walk had finished them.
    pub(super) fn taken(&self) -> MutexGuard<'_, BTreeMap<usize, Tables>> {
        self.taken.lock()
    }
}
