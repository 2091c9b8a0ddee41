//! One shard of the map. All changes of entries go through it, so none is missed that must be hidden from a
//! view, or noted in the ledger.

use std::ops::Deref;
use std::sync::Arc;

use niagara_planted::{self as planted, Bug};

use super::content::Content;
use super::entry::Entry;
use super::ledger::Ledger;
use super::place::Place;
use super::tables::Tables;
use super::view::View;
use crate::Version;
use crate::attributes::Attributes;
use crate::changes::Kind;

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
    pub(super) fn insert_absent(&mut self, entry: Entry, ledger: &mut Ledger) {
        ledger.add(&entry);
        ledger.note(Kind::Set, &entry);
        self.tables.insert_absent(entry);
    }

    /// The key of an entry with this place and this deadline.
    pub(super) fn due(&self, place: Place, deadline: u64) -> Option<&[u8]> {
        self.tables.at(place).filter(|entry| entry.deadline() == Some(deadline)).map(Entry::key).min()
    }

    /// Removes a key; `why` is what watchers are told.
    pub(super) fn remove(
        &mut self,
        place: Place,
        key: &[u8],
        why: Kind,
        ledger: &mut Ledger,
    ) -> Option<Entry> {
        let entry = self.tables.remove(place, key)?;
        ledger.remove(&entry);
        ledger.note_gone(why, &entry);
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
    entry: &'s mut Entry,
    view: Option<&'s View>,
}

impl Deref for Present<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry
    }
}

impl Present<'_> {
    /// Sets the key's value and attributes, and returns the previous entry.
    pub(super) fn replace(
        &mut self,
        value: Content<'_>,
        attributes: Attributes,
        version: Version,
        ledger: &mut Ledger,
    ) -> Entry {
        self.renew(Kind::Set, ledger, |entry| {
            let new = Entry::new(entry.place(), entry.key(), value, version, attributes);
            std::mem::replace(entry, new)
        })
    }

    /// Changes the key's value, and keeps its attributes.
    pub(super) fn change(&mut self, version: Version, ledger: &mut Ledger, value: Content<'_>) {
        self.renew(Kind::Set, ledger, |entry| entry.change(version, value));
    }

    /// Sets the key's attributes, and keeps its value.
    pub(super) fn set_attributes(&mut self, attributes: Attributes, version: Version, ledger: &mut Ledger) {
        self.renew(Kind::Deadline, ledger, |entry| entry.set_attributes(version, attributes));
    }

    /// Appends to the key's value, in place if it is large and nobody else holds it: neither a reader nor a view. Keeps its
    /// attributes.
    pub(super) fn append(&mut self, version: Version, ledger: &mut Ledger, more: &[u8]) {
        self.renew(Kind::Set, ledger, |entry| entry.append(version, more));
    }

    fn renew<T>(&mut self, kind: Kind, ledger: &mut Ledger, change: impl FnOnce(&mut Entry) -> T) -> T {
        self.save();
        ledger.remove(self.entry);
        let changed = change(self.entry);
        ledger.add(self.entry);
        ledger.note(kind, self.entry);
        changed
    }

    /// Notes that the key was read, as somebody has reported at this position. Its version stays, so a view is told that this is
    /// not the entry any more that it has to show.
    pub(super) fn report(&mut self, position: u64, ledger: &mut Ledger) {
        if let Some(view) = self.view {
            view.save_reported(self.entry);
        }
        ledger.report(self.entry, position);
    }

    fn save(&self) {
        if let Some(view) = self.view
            && !planted::is(Bug::ViewNotFrozen)
        {
            view.save(self.entry);
        }
    }
}
