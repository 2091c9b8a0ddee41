//! Pages of a listing: the entries whose keys begin with a prefix, in the order of a [scan](super::scan). Each page shows
//! one moment.

use parking_lot::RwLockReadGuard;

use super::entry::Entry;
use super::map::Map;
use super::place::Place;
use super::scan::{Cursor, Fullness, walk_table};
use super::shard::Shard;
use crate::{Database, StoredValue};

/// A page ends after looking at so many keys, whether or not they have the prefix: writers wait meanwhile, for some
/// milliseconds.
const MOST_EXAMINED: usize = 1 << 16;

/// A page ends once what it shows takes so many bytes.
const PAGE_BYTES: usize = 1 << 20;

/// What an entry takes on a page besides its key and value.
const ENTRY_BYTES: usize = 64;

/// What a page of a listing shows.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'p> {
    /// What its keys begin with.
    pub prefix: &'p [u8],
    /// The most keys, about: those of equal places share a page.
    pub limit: usize,
    /// Whether the bytes of values count for the length of the page.
    pub with_values: bool,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The keys, with all that is stored with them.
    pub entries: Vec<(Box<[u8]>, StoredValue)>,
    /// Where the next page begins; [`Cursor::START`] after the last one.
    pub next: Cursor,
}

/// See [`KvReader::list`](super::KvReader::list). A key that is not shown does not count for the length of the page.
pub(super) fn page(map: &Map, cursor: Cursor, listed: Listed<'_>, shows: impl Fn(&[u8]) -> bool) -> ListPage {
    let clock = map.clock();
    let mut page = ListPage { entries: Vec::new(), next: Cursor::START };
    let mut room = Room { keys: listed.limit.max(1), bytes: PAGE_BYTES, examined: MOST_EXAMINED };
    // All that the page shows stays locked until it is complete. Writers lock in the same order.
    let mut locked: Vec<RwLockReadGuard<'_, Shard>> = Vec::new();
    let mut next = (cursor <= Cursor::MAX).then(|| cursor.place());
    let first = next.map_or(0, Place::shard);
    while let Some(from) = next {
        if room.fullness() == Fullness::Full {
            page.next = Cursor::of(from);
            break;
        }
        if from.shard() == first + locked.len() {
            locked.push(map.read(from.shard()));
        }
        let space = map.spaces().of(Database::FIRST);
        let shard = locked.last().expect("the shard was locked just now, or for the table before");
        let (behind, _) = walk_table(shard, from, |entry| {
            room.examined = room.examined.saturating_sub(1);
            let is_listed = entry.place().space() == space && !entry.is_expired(clock);
            if is_listed && entry.key().starts_with(listed.prefix) && shows(entry.key()) {
                room.take(entry, listed.with_values);
                page.entries.push((entry.key().into(), StoredValue::of(entry)));
            }
            room.fullness()
        });
        next = behind.or_else(|| from.next_shard());
    }
    page
}

/// What is left of a page.
struct Room {
    keys: usize,
    bytes: usize,
    examined: usize,
}

impl Room {
    fn take(&mut self, entry: &Entry, with_value: bool) {
        let value = if with_value { entry.value().len() } else { 0 };
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(entry.key().len() + value + ENTRY_BYTES);
    }

    fn fullness(&self) -> Fullness {
        let is_full = self.keys == 0 || self.bytes == 0 || self.examined == 0;
        if is_full { Fullness::Full } else { Fullness::HasRoom }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use niagara_engine::{GlobalPosition, StateMachine};
    use proptest::prelude::*;

    use super::*;
    use crate::command::{self, Condition};
    use crate::{Kv, KvReader};

    fn state(keys: impl Iterator<Item = String>) -> Kv {
        let mut kv = Kv::new();
        for (position, key) in (1..).zip(keys) {
            let mut set = Vec::new();
            command::encode_set_head(&mut set, key.as_bytes(), &Condition::Always, false);
            set.extend_from_slice(b"value");
            kv.execute(GlobalPosition::new(position), &set.into());
        }
        kv
    }

    fn all_pages(reader: &KvReader, prefix: &[u8], limit: usize) -> Vec<String> {
        let mut keys = Vec::new();
        let mut cursor = Cursor::START;
        loop {
            let page = reader.list(cursor, Listed { prefix, limit, with_values: true });
            assert!(page.entries.len() <= limit, "no two places of these keys are equal");
            keys.extend(page.entries.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()));
            cursor = page.next;
            if cursor == Cursor::START {
                return keys;
            }
        }
    }

    proptest! {
        #[test]
        fn pages_show_each_key_with_the_prefix_once(
            keys in proptest::collection::btree_set("[ab]{0,4}", 0..40),
            prefix in "[ab]{0,2}",
            limit in 1usize..10,
        ) {
            let kv = state(keys.iter().cloned());
            let listed = all_pages(&kv.reader(), prefix.as_bytes(), limit);
            let unique: BTreeSet<String> = listed.iter().cloned().collect();
            prop_assert_eq!(unique.len(), listed.len(), "a key was shown twice");
            let expected: BTreeSet<String> = keys.into_iter().filter(|key| key.starts_with(&prefix)).collect();
            prop_assert_eq!(unique, expected);
        }
    }

    #[test]
    fn a_page_ends_after_its_bytes() {
        let mut kv = Kv::new();
        for number in 0..4u64 {
            let mut set = Vec::new();
            command::encode_set_head(&mut set, &number.to_le_bytes(), &Condition::Always, false);
            set.resize(set.len() + PAGE_BYTES / 2, b'v');
            kv.execute(GlobalPosition::new(number + 1), &set.into());
        }
        let page = |with_values| {
            kv.reader().list(Cursor::START, Listed { prefix: b"", limit: 100, with_values }).entries.len()
        };
        assert_eq!((page(true), page(false)), (2, 4));
    }

    /// What a page shows is locked until it is complete.
    #[test]
    fn a_page_shows_one_moment() {
        let mut kv = Kv::new();
        let reader = kv.reader();
        let keys: Vec<[u8; 1]> = (0..64).map(|key| [key]).collect();
        let mut set = move |position: u64| {
            let value = position.to_le_bytes();
            let mut mset = Vec::new();
            let pairs: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &value[..])).collect();
            command::encode_mset(&mut mset, pairs.into_iter(), false);
            kv.execute(GlobalPosition::new(position), &mset.into());
        };
        set(1);
        let writer = std::thread::spawn(move || (2..3000).for_each(set));
        let mut seen = BTreeSet::new();
        while !writer.is_finished() {
            let page = reader.list(Cursor::START, Listed { prefix: b"", limit: 100, with_values: true });
            let values: BTreeSet<_> = page.entries.iter().map(|(_, stored)| stored.value().clone()).collect();
            assert_eq!((page.entries.len(), values.len()), (64, 1), "half of an mset");
            seen.extend(values);
        }
        writer.join().expect("msets are executed");
        assert!(!seen.is_empty());
    }

    #[test]
    fn what_has_expired_is_not_listed() {
        let mut kv = Kv::new();
        let mut set = Vec::new();
        command::encode_time(&mut set, 1_000);
        command::encode_lasting(&mut set, std::num::NonZeroU64::new(500).expect("not 0"));
        command::encode_set_head(&mut set, b"k", &Condition::Always, false);
        kv.execute(GlobalPosition::new(1), &set.into());
        assert_eq!(all_pages(&kv.reader(), b"", 10), ["k"]);
        let mut later = Vec::new();
        command::encode_time(&mut later, 1_500);
        command::encode_nothing(&mut later);
        kv.execute(GlobalPosition::new(2), &later.into());
        assert!(all_pages(&kv.reader(), b"", 10).is_empty());
    }
}
