//! What each command does to the map, and what it replies.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

use super::Kv;
use super::digest::StateDigest;
use super::entry::Entry;
use super::map::no_contents;
use super::place::Place;
use super::shard::Shard;
use super::versions::Versions;
use crate::command::{self, Command, Condition, Keys, MAX_VALUE_BYTES, Pairs};
use crate::decimal::decimal;
use crate::described::Described;
use crate::reply::{CommandError, Reply};
use crate::{Description, Version};

/// A value of at least this size stays in the buffer that it arrived in. A smaller one is copied, since
/// otherwise it would keep tens of KiB of other commands alive.
pub(super) const SHARED_VALUE_BYTES: usize = 4 << 10;

/// Returns a part of the command's bytes without a copy.
pub(super) type Share<'s> = &'s dyn Fn(&[u8]) -> Bytes;

impl Kv {
    /// Executes one command at the current position.
    pub(super) fn execute_one(&mut self, bytes: &[u8], share: Share<'_>) -> Reply {
        let command = match command::decode(bytes) {
            Ok(command) => command,
            Err(malformed) => {
                self.unexecutable.get_or_insert(malformed);
                return Reply::Failed(CommandError::Malformed(malformed));
            }
        };
        match command {
            Command::Set { key, value, description, condition, want_old } => {
                self.set(key, kept(value, share), description, &condition, want_old)
            }
            Command::Delete { keys, condition } => self.delete(keys, &condition),
            Command::MSet { pairs, if_absent } => self.mset(pairs, if_absent, share),
            Command::Append { key, value } => self.append(key, value, share),
            Command::IncrBy { key, delta } => self.incr_by(key, delta),
            Command::FlushAll => self.flush_all(),
            Command::NameLife { life } => Reply::Named { life: self.map.name_life(life) },
        }
    }

    fn set(
        &mut self,
        key: &[u8],
        value: Bytes,
        description: Description<'_>,
        condition: &Condition,
        want_old: bool,
    ) -> Reply {
        let Kv { map, versions, describer, digest, .. } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let present = shard.find(place, key);
        let current = present.as_ref().map(|present| present.version);
        if !condition.holds(current, map.life()) {
            let old = present.filter(|_| want_old).map(|present| present.value.clone());
            return Reply::ConditionFailed { current, old };
        }
        let version = versions.next(current);
        let described = describer.describe(description);
        let Some(mut present) = present else {
            shard.insert_absent(Entry::new(place, key, value, version, described), digest);
            map.count_created(1);
            return Reply::Stored { version, created: true, old: None };
        };
        let new = planted::is(Bug::SwapShowsNew).then(|| value.clone());
        let old = present.replace(value, described, version, digest);
        let old = new.unwrap_or(old);
        // The previous value may be megabytes to free: not while readers wait.
        drop(shard);
        Reply::Stored { version, created: false, old: want_old.then_some(old) }
    }

    fn delete(&mut self, keys: Keys<'_>, condition: &Condition) -> Reply {
        let Kv { map, versions, digest, .. } = self;
        let places: Vec<Place> = keys.clone().map(|key| map.place(key)).collect();
        let mut shards = map.write_all(&places);
        let mut removed = Vec::new();
        for (key, &place) in keys.zip(&places) {
            if planted::is(Bug::ResultByChance) && RandomState::new().hash_one(key).is_multiple_of(2) {
                continue;
            }
            let current = shards.shard(place).get(place, key).map(|entry| entry.version);
            if !condition.holds(current, map.life()) {
                return Reply::ConditionFailed { current, old: None };
            }
            if let Some(entry) = shards.shard_mut(place).remove(place, key, digest) {
                versions.forget(entry.version);
                removed.push(entry);
            } else if planted::is(Bug::DeleteStopsAtMissing) {
                break;
            }
        }
        map.count_removed(removed.len());
        drop(shards);
        Reply::Deleted { removed: removed.len() as u64 }
    }

    fn mset(&mut self, pairs: Pairs<'_>, if_absent: bool, share: Share<'_>) -> Reply {
        let Kv { map, versions, digest, .. } = self;
        let places: Vec<Place> = pairs.clone().map(|(key, _)| map.place(key)).collect();
        if planted::is(Bug::HalfAnMset) {
            for ((key, value), &place) in pairs.zip(&places) {
                let mut shard = map.write(place.shard());
                let (_, created) = put(versions, digest, &mut shard, place, key, kept(value, share));
                map.count_created(usize::from(created));
                drop(shard);
                planted::pause();
            }
            return Reply::Flushed;
        }
        let mut shards = map.write_all(&places);
        if if_absent && !planted::is(Bug::MsetNxSetsSome) {
            let present =
                pairs.clone().zip(&places).find_map(|((key, _), &place)| shards.shard(place).get(place, key));
            if let Some(entry) = present {
                return Reply::ConditionFailed { current: Some(entry.version), old: None };
            }
        }
        let (mut last, mut keys) = (None, 0);
        for ((key, value), &place) in pairs.zip(&places) {
            if planted::is(Bug::MsetNxSetsSome)
                && if_absent
                && let Some(entry) = shards.shard(place).get(place, key)
            {
                map.count_created(keys);
                return Reply::ConditionFailed { current: Some(entry.version), old: None };
            }
            let put = put(versions, digest, shards.shard_mut(place), place, key, kept(value, share));
            keys += usize::from(put.1);
            last = Some(put);
            planted::pause();
        }
        map.count_created(keys);
        let (version, created) = last.expect("decode refuses an mset without a key");
        Reply::Stored { version, created, old: None }
    }

    fn append(&mut self, key: &[u8], value: &[u8], share: Share<'_>) -> Reply {
        let Kv { map, versions, digest, .. } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let Some(mut present) = shard.find(place, key) else {
            let (version, _) = put(versions, digest, &mut shard, place, key, kept(value, share));
            map.count_created(1);
            return Reply::Appended { length: value.len() as u64, version };
        };
        if planted::is(Bug::AppendLost) && present.version.position == versions.position() {
            let length = (present.value.len() + value.len()) as u64;
            return Reply::Appended { length, version: present.version };
        }
        if present.value.len() + value.len() > MAX_VALUE_BYTES {
            return Reply::Failed(CommandError::TooLarge);
        }
        let version = versions.next(Some(present.version));
        present.grow(version, digest, |before| joined(before, value));
        Reply::Appended { length: present.value.len() as u64, version }
    }

    fn incr_by(&mut self, key: &[u8], delta: i64) -> Reply {
        let Kv { map, versions, digest, .. } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let present = shard.find(place, key);
        let before = match present.as_ref().map(|present| decimal(&present.value)) {
            None => 0,
            Some(Some(before)) => before,
            Some(None) => return Reply::Failed(CommandError::NotAnInteger),
        };
        let Some(value) = before.checked_add(delta) else {
            return Reply::Failed(CommandError::Overflow);
        };
        let digits = Bytes::copy_from_slice(itoa::Buffer::new().format(value).as_bytes());
        let version = match present {
            Some(mut present) => {
                let version = versions.next(Some(present.version));
                present.change(version, digest, |_| digits);
                version
            }
            None => {
                let (version, _) = put(versions, digest, &mut shard, place, key, digits);
                map.count_created(1);
                version
            }
        };
        Reply::Counted { value, version }
    }

    fn flush_all(&mut self) -> Reply {
        let before = self.map.replace_all(no_contents());
        self.garbage.free(before);
        self.digest = StateDigest::default();
        self.versions.forget_all();
        Reply::Flushed
    }
}

/// Sets a value without a description, unconditionally. Returns its version and whether the key is new.
fn put(
    versions: &mut Versions,
    digest: &mut StateDigest,
    shard: &mut Shard,
    place: Place,
    key: &[u8],
    value: Bytes,
) -> (Version, bool) {
    match shard.find(place, key) {
        Some(mut present) => {
            let version = versions.next(Some(present.version));
            present.replace(value, Described::default(), version, digest);
            (version, false)
        }
        None => {
            let version = versions.next(None);
            let described = Described::default();
            shard.insert_absent(Entry::new(place, key, value, version, described), digest);
            (version, true)
        }
    }
}

/// The value as the map stores it.
pub(super) fn kept(value: &[u8], share: Share<'_>) -> Bytes {
    if value.len() >= SHARED_VALUE_BYTES { share(value) } else { Bytes::copy_from_slice(value) }
}

/// Appends to a value: in place if nobody else holds it and its buffer has room.
fn joined(value: Bytes, more: &[u8]) -> Bytes {
    match value.try_into_mut() {
        Ok(mut value) => {
            value.extend_from_slice(more);
            value.freeze()
        }
        Err(value) => [&value, more].concat().into(),
    }
}
