//! The entries of one shard: small hash tables, ordered by the places of their keys.

use hashbrown::HashTable;
use hashbrown::hash_table::{self, OccupiedEntry};

use super::entry::Entry;
use super::place::Place;

/// A shard gets another table when its tables hold more than this many keys on average; none holds much more
/// than twice as many. A page of a scan sorts one table's keys, so this bounds the cost of a page, and of
/// splitting a table, however large the store is.
const KEYS_PER_TABLE: usize = 96;

/// The entries of one shard.
///
/// The number of tables grows by one at a time (linear hashing): splitting all of them together would delay
/// everybody by tens of milliseconds when there are millions of keys.
#[derive(Debug)]
pub(super) struct Tables {
    /// One for each of the shard's 2^`bits` parts, and one more for each of the first `split` of them.
    tables: Vec<HashTable<Entry>>,
    bits: u32,
    split: usize,
    len: usize,
}

impl Default for Tables {
    fn default() -> Tables {
        Tables { tables: vec![HashTable::new()], bits: 0, split: 0, len: 0 }
    }
}

impl Tables {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: Place, key: &[u8]) -> Option<&Entry> {
        self.tables[self.index(place)].find(place.table_hash(), |entry| entry.is(place, key))
    }

    /// The entries with this very place: one, but for collisions of hashes.
    pub(super) fn at(&self, place: Place) -> impl Iterator<Item = &Entry> {
        let table = &self.tables[self.index(place)];
        table.iter_hash(place.table_hash()).filter(move |entry| entry.place() == place)
    }

    /// The entry of a key, to be changed, if the key exists.
    pub(super) fn get_mut(&mut self, place: Place, key: &[u8]) -> Option<&mut Entry> {
        let index = self.index(place);
        self.tables[index].find_mut(place.table_hash(), |entry| entry.is(place, key))
    }

    /// Adds a missing key.
    pub(super) fn insert_absent(&mut self, entry: Entry) {
        if self.len >= self.tables.len() * KEYS_PER_TABLE {
            self.split_next();
        }
        self.len += 1;
        let place = entry.place();
        let index = self.index(place);
        self.tables[index].insert_unique(place.table_hash(), entry, table_hash);
    }

    pub(super) fn remove(&mut self, place: Place, key: &[u8]) -> Option<Entry> {
        let index = self.index(place);
        let found = self.tables[index].entry(place.table_hash(), |entry| entry.is(place, key), table_hash);
        match found {
            hash_table::Entry::Vacant(_) => None,
            hash_table::Entry::Occupied(found) => {
                let entry = OccupiedEntry::remove(found).0;
                self.len -= 1;
                Some(entry)
            }
        }
    }

    /// The entries from `from` on, table by table. Tables are in order of place; entries within a table are
    /// not.
    pub(super) fn tables_from(&self, from: Place) -> impl Iterator<Item = impl Iterator<Item = &Entry>> {
        self.tables[self.index(from)..]
            .iter()
            .map(move |table| table.iter().filter(move |entry| entry.place() >= from))
    }

    /// Where the table after that of `place` begins, if there is one.
    pub(super) fn next_table(&self, place: Place) -> Option<Place> {
        let split = place.part(self.bits) < self.split;
        place.next_part(self.bits + u32::from(split))
    }

    /// The table that holds a place.
    fn index(&self, place: Place) -> usize {
        let part = place.part(self.bits);
        if part < self.split { place.part(self.bits + 1) } else { part + self.split }
    }

    /// Splits the next table in two. Places stay in order, since it is split by the next bit of the place.
    fn split_next(&mut self) {
        let bits = self.bits + 1;
        let is_upper = |entry: &Entry| entry.place().part(bits) % 2 == 1;
        let index = 2 * self.split;
        let whole = std::mem::take(&mut self.tables[index]);
        let upper = whole.iter().filter(|entry| is_upper(entry)).count();
        let mut halves = [whole.len() - upper, upper].map(HashTable::with_capacity);
        for entry in whole {
            halves[usize::from(is_upper(&entry))].insert_unique(table_hash(&entry), entry, table_hash);
        }
        let [lower, upper] = halves;
        self.tables[index] = lower;
        self.tables.insert(index + 1, upper);
        self.split += 1;
        if self.split == 1 << self.bits {
            self.bits = bits;
            self.split = 0;
        }
    }
}

fn table_hash(entry: &Entry) -> u64 {
    entry.place().table_hash()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::attributes::Attributes;
    use crate::state::content::Content;
    use crate::state::place::SHARD_BITS;

    fn entry(place: u64) -> Entry {
        let version = Version { position: 1, further: 0 };
        Entry::new(Place(place), &place.to_le_bytes(), Content::Copied(b""), version, Attributes::default())
    }

    /// Walks all tables from the first place of each, and counts what they hold.
    fn assert_in_order(tables: &Tables, keys: usize) {
        let (mut seen, mut at) = (0, Some(Place::start_of(3)));
        while let Some(start) = at {
            at = tables.next_table(start);
            let table: Vec<u64> =
                tables.tables_from(start).next().unwrap().map(|entry| entry.place().0).collect();
            assert!(table.len() < 3 * KEYS_PER_TABLE);
            assert!(table.iter().all(|&place| at.is_none_or(|next| place < next.0)));
            seen += table.len();
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn tables_stay_in_order_of_place_while_they_grow() {
        let mut tables = Tables::default();
        // All places of shard 3, spread by a multiplicative hash.
        let places: Vec<u64> = (0..5000u64)
            .map(|i| Place::start_of(3).0 | (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHARD_BITS))
            .collect();
        for (count, &place) in places.iter().enumerate() {
            tables.insert_absent(entry(place));
            if count % 97 == 0 {
                assert_in_order(&tables, count + 1);
            }
        }
        assert_eq!(tables.len(), 5000);
        assert!(tables.bits >= 4);
        for &place in &places {
            assert!(tables.get(Place(place), &place.to_le_bytes()).is_some());
            assert!(tables.remove(Place(place), &place.to_le_bytes()).is_some());
            assert!(tables.get(Place(place), &place.to_le_bytes()).is_none());
        }
        assert_eq!(tables.len(), 0);
    }
}
