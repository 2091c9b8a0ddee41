//! The entries of one shard: small hash tables, ordered among each other by the places of their keys.

use bytes::Bytes;
use hashbrown::HashTable;
use hashbrown::hash_table::{self, OccupiedEntry};

use super::place::Place;
use crate::Version;

/// A shard doubles its number of tables when they hold more than this many keys each, on average. A page of a scan
/// sorts one table's keys, so this bounds what a page costs, however large the store is.
const KEYS_PER_TABLE: usize = 256;

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) value: Bytes,
    pub(super) version: Version,
}

/// The entries of one shard.
#[derive(Debug)]
pub(super) struct Tables {
    /// 2^`bits` tables.
    tables: Vec<HashTable<Entry>>,
    bits: u32,
    len: usize,
}

impl Default for Tables {
    fn default() -> Tables {
        Tables { tables: vec![HashTable::new()], bits: 0, len: 0 }
    }
}

impl Tables {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: Place, key: &[u8]) -> Option<&Entry> {
        self.tables[self.index(place)].find(place.table_hash(), |entry| *entry.key == *key)
    }

    pub(super) fn get_mut(&mut self, place: Place, key: &[u8]) -> Option<&mut Entry> {
        let index = self.index(place);
        self.tables[index].find_mut(place.table_hash(), |entry| *entry.key == *key)
    }

    /// Adds a key that is not there.
    pub(super) fn insert_absent(&mut self, entry: Entry) {
        if self.len >= self.tables.len() * KEYS_PER_TABLE {
            self.double();
        }
        let index = self.index(entry.place);
        self.tables[index].insert_unique(entry.place.table_hash(), entry, table_hash);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, place: Place, key: &[u8]) -> Option<Entry> {
        let index = self.index(place);
        let found = self.tables[index].entry(place.table_hash(), |entry| *entry.key == *key, table_hash);
        match found {
            hash_table::Entry::Vacant(_) => None,
            hash_table::Entry::Occupied(found) => {
                self.len -= 1;
                Some(OccupiedEntry::remove(found).0)
            }
        }
    }

    /// The entries from `from` on, table by table; tables come in order of place, entries within one do not.
    pub(super) fn tables_from(&self, from: Place) -> impl Iterator<Item = impl Iterator<Item = &Entry>> {
        self.tables[self.index(from)..]
            .iter()
            .map(move |table| table.iter().filter(move |entry| entry.place >= from))
    }

    /// Where the table after that of `place` begins, if there is one.
    pub(super) fn next_table(&self, place: Place) -> Option<Place> {
        place.next_part(self.bits)
    }

    /// The table that holds a place.
    fn index(&self, place: Place) -> usize {
        place.part(self.bits)
    }

    /// Splits every table in two. Places stay in order, since the tables are split by the next bit of the place.
    fn double(&mut self) {
        self.bits += 1;
        let mut tables: Vec<HashTable<Entry>> =
            (0..1usize << self.bits).map(|_| HashTable::with_capacity(KEYS_PER_TABLE / 2)).collect();
        for entry in std::mem::take(&mut self.tables).into_iter().flatten() {
            tables[self.index(entry.place)].insert_unique(entry.place.table_hash(), entry, table_hash);
        }
        self.tables = tables;
    }
}

fn table_hash(entry: &Entry) -> u64 {
    entry.place.table_hash()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::place::SHARD_BITS;

    fn entry(place: u64) -> Entry {
        let version = Version { position: 1, further: 0 };
        Entry { place: Place(place), key: place.to_le_bytes().into(), value: Bytes::new(), version }
    }

    #[test]
    fn tables_stay_in_order_of_place_while_they_double() {
        let mut tables = Tables::default();
        // All places of shard 3, spread by a multiplicative hash.
        let places: Vec<u64> = (0..5000u64)
            .map(|i| Place::start_of(3).0 | (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHARD_BITS))
            .collect();
        for &place in &places {
            tables.insert_absent(entry(place));
        }
        assert_eq!(tables.len(), 5000);
        assert!(tables.bits >= 4);
        let mut last = 0;
        let mut seen = 0;
        for table in tables.tables_from(Place::start_of(3)) {
            let mut inside: Vec<u64> = table.map(|entry| entry.place.0).collect();
            inside.sort_unstable();
            assert!(inside.len() < 4 * KEYS_PER_TABLE);
            seen += inside.len();
            if let (Some(&first), Some(&end)) = (inside.first(), inside.last()) {
                assert!(first > last);
                last = end;
            }
        }
        assert_eq!(seen, 5000);
        for &place in &places {
            assert!(tables.get(Place(place), &place.to_le_bytes()).is_some());
            assert!(tables.remove(Place(place), &place.to_le_bytes()).is_some());
            assert!(tables.get(Place(place), &place.to_le_bytes()).is_none());
        }
        assert_eq!(tables.len(), 0);
    }
}
