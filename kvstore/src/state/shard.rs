//! One shard of the map. All changes of entries go through it, so none is missed that must be hidden from a
//! view, or counted in the state's digest.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

use super::blocks::Blocks;
use super::digest::StateDigest;
use super::entry::Entry;
use super::place::Place;
use super::tables::{Changing, Tables};
use super::view::View;
use crate::Version;
use crate::described::Described;

/// A part of the map.
#[derive(Debug, Default)]
pub(super) struct Shard {
    tables: Tables,
    /// The view that still has to walk this shard, or is walking it.
    view: Option<Arc<View>>,
}

impl Shard {
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn get(&self, place: Place, key: &[u8]) -> Option<&Entry> {
        self.tables.get(place, key)
    }

    /// The entry of a key, to be changed.
    pub(super) fn find(&mut self, place: Place, key: &[u8]) -> Option<Present<'_>> {
        let entry = self.tables.get_mut(place, key)?;
        Some(Present { entry, view: self.view.as_deref() })
    }

    /// Adds a missing key. No view holds it, since its version is of a later position than any view's.
    pub(super) fn insert_absent(&mut self, entry: Entry, digest: &mut StateDigest) {
        digest.add(&entry);
        self.tables.insert_absent(entry);
    }

    pub(super) fn remove(&mut self, place: Place, key: &[u8], digest: &mut StateDigest) -> Option<Entry> {
        let entry = self.tables.remove(place, key)?;
        digest.remove(&entry);
        if let Some(view) = &self.view
            && !planted::is(Bug::ViewNotFrozen)
        {
            view.save(&entry);
        }
        Some(entry)
    }

    /// Replaces the contents. A view takes what it still has to walk. Without such a view, returns the old
    /// contents, which may take long to free.
    pub(super) fn replace_all(&mut self, number: usize, tables: Tables) -> Option<Tables> {
        let before = std::mem::replace(&mut self.tables, tables);
        match self.view.take() {
            Some(view) => {
                view.take(number, before);
                None
            }
            None => Some(before),
        }
    }

    /// From now on, what changes is saved for the view first.
    pub(super) fn freeze(&mut self, view: Arc<View>) {
        assert!(self.view.is_none(), "there is one view at a time");
        self.view = Some(view);
    }

    /// Whether a view still has to walk this shard.
    pub(super) fn is_frozen(&self) -> bool {
        self.view.is_some()
    }

    /// The view has finished this shard.
    pub(super) fn unfreeze(&mut self) {
        self.view = None;
    }
}

/// An entry in its shard.
pub(super) struct Present<'s> {
    entry: Changing<'s>,
    view: Option<&'s View>,
}

impl Deref for Present<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry.get()
    }
}

impl Present<'_> {
    /// Sets the key's value and description, and returns the previous value.
    pub(super) fn replace(
        &mut self,
        value: Bytes,
        described: Described,
        version: Version,
        digest: &mut StateDigest,
    ) -> Bytes {
        self.renew(digest, |entry| {
            entry.version = version;
            entry.described = described;
            entry.blocks = Blocks::of(&value);
            std::mem::replace(&mut entry.value, value)
        })
    }

    /// Changes the key's value, and keeps its description.
    pub(super) fn change(
        &mut self,
        version: Version,
        digest: &mut StateDigest,
        change: impl FnOnce(Bytes) -> Bytes,
    ) {
        self.renew(digest, |entry| {
            entry.version = version;
            entry.value = change(std::mem::take(&mut entry.value));
            entry.blocks = Blocks::of(&entry.value);
        });
    }

    /// Appends to the key's value, in place if nobody else holds it: neither a reader nor a view. Keeps its
    /// description.
    pub(super) fn grow(
        &mut self,
        version: Version,
        digest: &mut StateDigest,
        grow: impl FnOnce(Bytes) -> Bytes,
    ) {
        self.renew(digest, |entry| {
            let before = entry.value.len();
            entry.version = version;
            entry.value = grow(std::mem::take(&mut entry.value));
            entry.blocks = entry.blocks.grown(before, &entry.value);
        });
    }

    fn renew<T>(&mut self, digest: &mut StateDigest, change: impl FnOnce(&mut Entry) -> T) -> T {
        self.save();
        digest.remove(self.entry.get());
        let changed = self.entry.change(change);
        digest.add(self.entry.get());
        changed
    }

    fn save(&self) {
        if let Some(view) = self.view
            && !planted::is(Bug::ViewNotFrozen)
        {
            view.save(self.entry.get());
        }
    }
}
