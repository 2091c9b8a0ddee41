//! The changes that commands consist of, on shards that are locked.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

use super::content::Content;
use super::entry::Entry;
use super::garbage::Garbage;
use super::ledger::Ledger;
use super::locked::Change;
use super::map::Map;
use super::place::{Place, SHARD_BITS};
use super::tables::Tables;
use super::versions::Versions;
use crate::attributes::{Attributes, Describer};
use crate::changes::Kind;
use crate::command::{Condition, MAX_VALUE_BYTES};
use crate::database::Space;
use crate::decimal::decimal;
use crate::memory::Memory;
use crate::notices::{About, Notices};
use crate::pubsub::{Staged, Topic};
use crate::receipts::Receipts;
use crate::reply::{CommandError, Reply};
use crate::{Database, Description, StoredValue, Version};

/// A value of at least this size stays in the buffer that it arrived in. A smaller one is copied, since
/// otherwise it would keep tens of KiB of other commands alive.
pub(super) const SHARED_VALUE_BYTES: usize = 4 << 10;

/// Returns a part of the command's bytes without a copy.
pub(super) type Share<'s> = &'s dyn Fn(&[u8]) -> Bytes;

/// What the thread that executes commands keeps beside the map.
#[derive(Debug, Default)]
pub(super) struct Core {
    pub(super) versions: Versions,
    pub(super) ledger: Ledger,
    pub(super) describer: Describer,
    pub(super) garbage: Garbage,
    /// Entries with large values that were replaced or removed, to be freed when no shard is locked.
    pub(super) rubbish: Vec<Entry>,
    /// Which requests with keys of their own were executed lately.
    pub(super) receipts: Receipts,
    /// The digest of all users; 0 if nobody has changed them.
    pub(super) users_digest: u128,
    /// Which notices of changes are sent.
    pub(super) notices: Notices,
    /// The limit of memory, and what is kept of evictions.
    pub(super) memory: Memory,
    /// Whether there was no memory before the present command, so that parts of it that need some are refused.
    pub(super) is_short: bool,
    /// Messages of this batch for subscribers of this server.
    pub(super) staged: Staged,
}

/// Executes parts of commands on locked shards. A key that has expired is removed before anything looks at it.
pub(super) struct Writer<'w, S: ?Sized> {
    pub(super) map: &'w Map,
    pub(super) core: &'w mut Core,
    pub(super) shards: &'w mut S,
    /// The database that the command is for.
    pub(super) database: Database,
    pub(super) share: Share<'w>,
}

/// The same, whatever is locked.
pub(super) type Writing<'w> = Writer<'w, dyn Change + 'w>;

impl<S: Change + ?Sized> Writer<'_, S> {
    /// The entry of a key.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        let place = self.purge(key);
        self.shards.shard(place).get(place, key)
    }

    /// A value, empty if there is none.
    pub(super) fn value(&mut self, key: &[u8]) -> Bytes {
        self.get(key).map(|entry| entry.value().to_bytes()).unwrap_or_default()
    }

    /// All that is stored with a key.
    pub(super) fn look(&mut self, key: &[u8]) -> Reply {
        let stored = self.get(key).map(StoredValue::of);
        self.report(key);
        Reply::Entry(stored)
    }

    /// Sets a key's value and attributes. Returns its version, and whether the key is new.
    pub(super) fn put<'v>(
        &mut self,
        key: &[u8],
        value: impl Into<Content<'v>>,
        attributes: Attributes,
    ) -> (Version, bool) {
        let (place, value) = (self.purge(key), value.into());
        let Core { versions, ledger, rubbish, .. } = &mut *self.core;
        let shard = self.shards.shard_mut(place);
        match shard.find(place, key) {
            Some(mut present) => {
                let version = versions.next(Some(present.version()));
                let old = present.replace(value, attributes, version, ledger);
                free_later(rubbish, old);
                (version, false)
            }
            None => {
                let version = versions.next(None);
                shard.insert_absent(Entry::new(place, key, value, version, attributes), ledger);
                self.tell(About::New, "new", key);
                (version, true)
            }
        }
    }

    /// Sets a key's value, and keeps its attributes. Returns its version.
    pub(super) fn change<'v>(&mut self, key: &[u8], value: impl Into<Content<'v>>) -> Version {
        let attributes = self.get(key).map(Entry::attributes).unwrap_or_default();
        self.put(key, value, attributes).0
    }

    /// Sets the attributes of a key that exists.
    pub(super) fn set_attributes(&mut self, key: &[u8], attributes: Attributes) {
        let place = self.purge(key);
        let Core { versions, ledger, .. } = &mut *self.core;
        let mut present = self.shards.shard_mut(place).find(place, key).expect("it was there a moment ago");
        let version = versions.next(Some(present.version()));
        present.set_attributes(attributes, version, ledger);
    }

    /// Removes a key. Returns its entry.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.purge(key);
        self.remove(place, key, Kind::Delete)
    }

    /// Removes a key at a place, whatever its deadline.
    pub(super) fn expire(&mut self, place: Place, key: &[u8]) -> Option<Entry> {
        self.database = self.core.ledger.spaces.database(place.space());
        let gone = self.remove(place, key, Kind::Expire);
        self.tell(About::Expired, "expired", key);
        gone
    }

    /// Removes a key at a place, since there is too little memory.
    pub(super) fn evict(&mut self, place: Place, key: &[u8]) -> Option<Entry> {
        self.database = self.core.ledger.spaces.database(place.space());
        let gone = self.remove(place, key, Kind::Delete)?;
        self.tell(About::Evicted, "evicted", key);
        Some(gone)
    }

    /// Notes that a key was read, which a command of the log has done or reported, if that matters.
    pub(super) fn report(&mut self, key: &[u8]) {
        if !self.core.memory.asks_for_uses() {
            return;
        }
        let place = self.map.place(key).within(self.space());
        let position = self.core.versions.position();
        if let Some(mut present) = self.shards.shard_mut(place).find(place, key)
            && present.used() < position
        {
            present.report(position, &mut self.core.ledger);
        }
    }

    /// Tells subscribers of this server what has happened to a key, if they are to be told of such.
    pub(super) fn tell(&mut self, about: About, event: &str, key: &[u8]) {
        let Core { notices, staged, .. } = &mut *self.core;
        if notices.tell(about) && self.map.hub.subscriptions() > 0 {
            for (channel, message) in notices.of(self.database, event, key) {
                let message = (&channel[..], &message[..]);
                self.map.hub.publish(staged, Topic::Channel, message, Bytes::copy_from_slice);
            }
        }
    }

    /// The space of the database.
    pub(super) fn space(&self) -> Space {
        self.core.ledger.spaces.of(self.database)
    }

    /// Does something in another database.
    pub(super) fn within<T>(&mut self, database: Database, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.database, database);
        let done = act(self);
        self.database = before;
        done
    }

    /// Removes all keys of all databases; all shards are locked. Watchers are told, unless the first database had none. Returns what
    /// takes long to free.
    pub(super) fn flush(&mut self, tells: bool) -> Vec<Tables> {
        self.core.ledger.clear(tells);
        self.core.versions.forget_all();
        let shards = 0..1 << SHARD_BITS;
        shards
            .filter_map(|number| {
                self.shards.shard_mut(Place::start_of(number)).replace_all(number, Tables::default())
            })
            .collect()
    }

    pub(super) fn remove(&mut self, place: Place, key: &[u8], why: Kind) -> Option<Entry> {
        let entry = self.shards.shard_mut(place).remove(place, key, why, &mut self.core.ledger)?;
        self.core.versions.forget(entry.version());
        Some(entry)
    }

    /// Removes a key that has expired. Returns its place.
    fn purge(&mut self, key: &[u8]) -> Place {
        let place = self.map.place(key).within(self.space());
        // Where nothing expires, this is all that expiry costs.
        if !self.core.ledger.deadlines.is_empty() {
            let clock = self.map.clock();
            if self.shards.shard(place).get(place, key).is_some_and(|entry| entry.is_expired(clock)) {
                let entry = self.remove(place, key, Kind::Expire).expect("it was there a moment ago");
                free_later(&mut self.core.rubbish, entry);
                self.tell(About::Expired, "expired", key);
            }
        }
        place
    }

    /// The value as the map takes it.
    pub(super) fn content<'v>(&self, value: &'v [u8]) -> Content<'v> {
        content(value, self.share)
    }

    /// The attributes of a value that is set now, and lasts so many milliseconds.
    pub(super) fn attributes(
        &mut self,
        description: Description<'_>,
        lasts: Option<NonZeroU64>,
    ) -> Attributes {
        let attributes = self.core.describer.describe(description);
        match lasts {
            None => attributes,
            Some(lasts) => attributes.with_deadline(Some(self.map.clock().saturating_add(lasts.get()))),
        }
    }

    pub(super) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        attributes: Attributes,
        condition: &Condition,
        want_old: bool,
    ) -> Reply {
        let expires = attributes.deadline().is_some();
        let reply = self.set_value(key, value, attributes, condition, want_old);
        if let Reply::Stored { created, .. } = reply {
            if created {
                self.tell(About::New, "new", key);
            }
            self.tell(About::String, "set", key);
            if expires {
                self.tell(About::Key, "expire", key);
            }
        }
        reply
    }

    fn set_value(
        &mut self,
        key: &[u8],
        value: &[u8],
        attributes: Attributes,
        condition: &Condition,
        want_old: bool,
    ) -> Reply {
        let value = self.content(value);
        let place = self.purge(key);
        let Core { versions, ledger, rubbish, .. } = &mut *self.core;
        let shard = self.shards.shard_mut(place);
        let present = shard.find(place, key);
        let current = present.as_ref().map(|present| present.version());
        if !condition.holds(current, self.map.life()) {
            let old = present.filter(|_| want_old).map(|present| present.value().to_bytes());
            return Reply::ConditionFailed { current, old };
        }
        let version = versions.next(current);
        let Some(mut present) = present else {
            shard.insert_absent(Entry::new(place, key, value, version, attributes), ledger);
            return Reply::Stored { version, created: true, old: None };
        };
        let new = planted::is(Bug::SwapShowsNew).then(|| value.clone().into_bytes());
        let old = present.replace(value, attributes, version, ledger);
        if want_old {
            let old = new.unwrap_or_else(|| old.into_value());
            return Reply::Stored { version, created: false, old: Some(old) };
        }
        free_later(rubbish, old);
        Reply::Stored { version, created: false, old: None }
    }

    pub(super) fn delete<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
        condition: &Condition,
    ) -> Reply {
        let mut removed = 0;
        for key in keys {
            if planted::is(Bug::ResultByChance) && RandomState::new().hash_one(key).is_multiple_of(2) {
                continue;
            }
            let current = self.get(key).map(Entry::version);
            if !condition.holds(current, self.map.life()) {
                return Reply::ConditionFailed { current, old: None };
            }
            if let Some(entry) = self.take(key) {
                free_later(&mut self.core.rubbish, entry);
                removed += 1;
                self.tell(About::Key, "del", key);
            } else if planted::is(Bug::DeleteStopsAtMissing) {
                break;
            }
        }
        Reply::Deleted { removed }
    }

    pub(super) fn mset<'k>(
        &mut self,
        pairs: impl Iterator<Item = (&'k [u8], &'k [u8])> + Clone,
        if_absent: bool,
    ) -> Reply {
        if if_absent
            && !planted::is(Bug::MsetNxSetsSome)
            && let Some(version) = pairs.clone().find_map(|(key, _)| Some(self.get(key)?.version()))
        {
            return Reply::ConditionFailed { current: Some(version), old: None };
        }
        let mut last = None;
        for (key, value) in pairs {
            if planted::is(Bug::MsetNxSetsSome)
                && if_absent
                && let Some(entry) = self.get(key)
            {
                return Reply::ConditionFailed { current: Some(entry.version()), old: None };
            }
            let value = self.content(value);
            last = Some(self.put(key, value, Attributes::default()));
            self.tell(About::String, "set", key);
            planted::pause();
        }
        let (version, created) = last.expect("decode refuses an mset without a key");
        Reply::Stored { version, created, old: None }
    }

    pub(super) fn append(&mut self, key: &[u8], value: &[u8]) -> Reply {
        let reply = self.append_value(key, value);
        if matches!(reply, Reply::Appended { .. }) {
            self.tell(About::String, "append", key);
        }
        reply
    }

    fn append_value(&mut self, key: &[u8], value: &[u8]) -> Reply {
        let place = self.purge(key);
        let Core { versions, ledger, .. } = &mut *self.core;
        let Some(mut present) = self.shards.shard_mut(place).find(place, key) else {
            let content = self.content(value);
            let (version, _) = self.put(key, content, Attributes::default());
            return Reply::Appended { length: value.len() as u64, version };
        };
        if planted::is(Bug::AppendLost) && present.version().position == versions.position() {
            let length = (present.value().len() + value.len()) as u64;
            return Reply::Appended { length, version: present.version() };
        }
        if present.value().len() + value.len() > MAX_VALUE_BYTES {
            return Reply::Failed(CommandError::TooLarge);
        }
        let version = versions.next(Some(present.version()));
        present.append(version, ledger, value);
        Reply::Appended { length: present.value().len() as u64, version }
    }

    pub(super) fn incr_by(&mut self, key: &[u8], delta: i64) -> Reply {
        let reply = self.add(key, delta);
        if matches!(reply, Reply::Counted { .. }) {
            self.tell(About::String, "incrby", key);
        }
        reply
    }

    fn add(&mut self, key: &[u8], delta: i64) -> Reply {
        let place = self.purge(key);
        let Core { versions, ledger, .. } = &mut *self.core;
        let present = self.shards.shard_mut(place).find(place, key);
        let before = match present.as_ref().map(|present| decimal(&present.value())) {
            None => 0,
            Some(Some(before)) => before,
            Some(None) => return Reply::Failed(CommandError::NotAnInteger),
        };
        let Some(value) = before.checked_add(delta) else {
            return Reply::Failed(CommandError::Overflow);
        };
        let mut digits = itoa::Buffer::new();
        let digits = Content::Copied(digits.format(value).as_bytes());
        let version = match present {
            Some(mut present) => {
                let version = versions.next(Some(present.version()));
                present.change(version, ledger, digits);
                version
            }
            None => self.put(key, digits, Attributes::default()).0,
        };
        Reply::Counted { value, version }
    }
}

/// The value as the map takes it.
pub(super) fn content<'v>(value: &'v [u8], share: Share<'_>) -> Content<'v> {
    if value.len() >= SHARED_VALUE_BYTES { Content::Kept(share(value)) } else { Content::Copied(value) }
}

/// A value that was replaced may be megabytes to free: not while readers wait.
pub(super) fn free_later(rubbish: &mut Vec<Entry>, entry: Entry) {
    if entry.value().len() >= SHARED_VALUE_BYTES {
        rubbish.push(entry);
    }
}
