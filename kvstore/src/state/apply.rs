//! What each command does to the map, and what it answers.

use bytes::Bytes;
use niagara_engine::planted::{self, Bug};

use super::Kv;
use super::shard::{Entry, Place, Shard};
use super::versions::Versions;
use crate::Version;
use crate::command::{self, Command, Condition, Keys, MAX_VALUE_BYTES, Pairs};
use crate::decimal::decimal;
use crate::reply::{CommandError, Reply};

/// From this size on a value stays in the buffer that it came in; below, it is copied, since a small value would keep
/// tens of KiB of other commands alive.
const SHARED_VALUE_BYTES: usize = 4 << 10;

/// An emptied map of more keys than this is freed by a thread of its own, since that takes a while.
const KEYS_FREED_AT_ONCE: usize = 1 << 16;

/// Hands out a part of the command's bytes without a copy.
type Share<'s> = &'s dyn Fn(&[u8]) -> Bytes;

impl Kv {
    /// Executes one command at the present position.
    pub(super) fn execute_one(&mut self, bytes: &[u8], share: Share<'_>) -> Reply {
        let command = match command::decode(bytes) {
            Ok(command) => command,
            Err(malformed) => return Reply::Failed(CommandError::Malformed(malformed)),
        };
        match command {
            Command::Set { key, value, condition, want_old } => {
                self.set(key, kept(value, share), &condition, want_old)
            }
            Command::Delete { keys, condition } => self.delete(keys, &condition),
            Command::MSet { pairs, if_absent } => self.mset(pairs, if_absent, share),
            Command::Append { key, value } => self.append(key, value, share),
            Command::IncrBy { key, delta } => self.incr_by(key, delta),
            Command::FlushAll => self.flush_all(),
        }
    }

    fn set(&mut self, key: &[u8], value: Bytes, condition: &Condition, want_old: bool) -> Reply {
        let Kv { map, versions } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let entry = shard.get_mut(place, key);
        let current = entry.as_ref().map(|entry| entry.version);
        if !condition.holds(current) {
            let old = entry.filter(|_| want_old).map(|entry| entry.value.clone());
            return Reply::ConditionFailed { current, old };
        }
        let version = versions.next(current);
        let Some(entry) = entry else {
            shard.insert_absent(Entry { place, key: key.into(), value, version });
            return Reply::Stored { version, created: true, old: None };
        };
        entry.version = version;
        let old = std::mem::replace(&mut entry.value, value);
        // The value before may be megabytes to free: not while readers wait.
        drop(shard);
        Reply::Stored { version, created: false, old: want_old.then_some(old) }
    }

    fn delete(&mut self, keys: Keys<'_>, condition: &Condition) -> Reply {
        let Kv { map, versions } = self;
        let places: Vec<Place> = keys.clone().map(|key| map.place(key)).collect();
        let mut shards = map.write_all(&places);
        let mut removed = Vec::new();
        for (key, &place) in keys.zip(&places) {
            let current = shards.shard(place).get(place, key).map(|entry| entry.version);
            if !condition.holds(current) {
                return Reply::ConditionFailed { current, old: None };
            }
            if let Some(entry) = shards.shard_mut(place).remove(place, key) {
                versions.forget(entry.version);
                removed.push(entry);
            }
        }
        drop(shards);
        Reply::Deleted { removed: removed.len() as u64 }
    }

    fn mset(&mut self, pairs: Pairs<'_>, if_absent: bool, share: Share<'_>) -> Reply {
        let Kv { map, versions } = self;
        let places: Vec<Place> = pairs.clone().map(|(key, _)| map.place(key)).collect();
        if planted::is(Bug::HalfAnMset) {
            for ((key, value), &place) in pairs.zip(&places) {
                put(versions, &mut map.write(place.shard()), place, key, kept(value, share));
                planted::pause();
            }
            return Reply::Flushed;
        }
        let mut shards = map.write_all(&places);
        if if_absent {
            let present =
                pairs.clone().zip(&places).find_map(|((key, _), &place)| shards.shard(place).get(place, key));
            if let Some(entry) = present {
                return Reply::ConditionFailed { current: Some(entry.version), old: None };
            }
        }
        let mut last = None;
        for ((key, value), &place) in pairs.zip(&places) {
            last = Some(put(versions, shards.shard_mut(place), place, key, kept(value, share)));
            planted::pause();
        }
        let (version, created) = last.expect("decode refuses an mset without a key");
        Reply::Stored { version, created, old: None }
    }

    fn append(&mut self, key: &[u8], value: &[u8], share: Share<'_>) -> Reply {
        let Kv { map, versions } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let Some(entry) = shard.get_mut(place, key) else {
            let (version, _) = put(versions, &mut shard, place, key, kept(value, share));
            return Reply::Appended { length: value.len() as u64, version };
        };
        if entry.value.len() + value.len() > MAX_VALUE_BYTES {
            return Reply::Failed(CommandError::TooLarge);
        }
        entry.version = versions.next(Some(entry.version));
        entry.value = joined(std::mem::take(&mut entry.value), value);
        Reply::Appended { length: entry.value.len() as u64, version: entry.version }
    }

    fn incr_by(&mut self, key: &[u8], delta: i64) -> Reply {
        let Kv { map, versions } = self;
        let place = map.place(key);
        let mut shard = map.write(place.shard());
        let before = match shard.get(place, key).map(|entry| decimal(&entry.value)) {
            None => 0,
            Some(Some(before)) => before,
            Some(None) => return Reply::Failed(CommandError::NotAnInteger),
        };
        let Some(value) = before.checked_add(delta) else {
            return Reply::Failed(CommandError::Overflow);
        };
        let digits = Bytes::copy_from_slice(itoa::Buffer::new().format(value).as_bytes());
        let (version, _) = put(versions, &mut shard, place, key, digits);
        Reply::Counted { value, version }
    }

    fn flush_all(&mut self) -> Reply {
        let shards = self.map.take();
        self.versions.forget_all();
        if shards.iter().map(Shard::len).sum::<usize>() > KEYS_FREED_AT_ONCE {
            std::thread::spawn(move || drop(shards));
        }
        Reply::Flushed
    }
}

/// Gives a key a value, in any case, and says its version and whether it is new.
fn put(
    versions: &mut Versions,
    shard: &mut Shard,
    place: Place,
    key: &[u8],
    value: Bytes,
) -> (Version, bool) {
    match shard.get_mut(place, key) {
        Some(entry) => {
            entry.version = versions.next(Some(entry.version));
            entry.value = value;
            (entry.version, false)
        }
        None => {
            let version = versions.next(None);
            shard.insert_absent(Entry { place, key: key.into(), value, version });
            (version, true)
        }
    }
}

/// The value as the map keeps it.
fn kept(value: &[u8], share: Share<'_>) -> Bytes {
    if value.len() >= SHARED_VALUE_BYTES { share(value) } else { Bytes::copy_from_slice(value) }
}

/// Adds to a value: in place if nobody else holds it and its buffer has room.
fn joined(value: Bytes, more: &[u8]) -> Bytes {
    match value.try_into_mut() {
        Ok(mut value) => {
            value.extend_from_slice(more);
            value.freeze()
        }
        Err(value) => [&value, more].concat().into(),
    }
}
