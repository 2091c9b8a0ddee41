//! One shard of the map: small hash tables, ordered among each other by the hash of their keys.

use bytes::Bytes;
use hashbrown::HashTable;
use hashbrown::hash_table;

use crate::Version;

/// The map has 2^7 shards: enough that a writer and a dozen readers rarely meet, few enough that locking all of them
/// takes microseconds.
pub(super) const SHARD_BITS: u32 = 7;

/// A shard doubles its number of tables when they hold more than this many keys each, on average. A page of a scan
/// sorts one table's keys, so this bounds what a page costs, however large the store is.
const KEYS_PER_TABLE: usize = 256;

/// Where a key stands in the order in which scans visit keys: its hash. The uppermost bits choose the shard and the
/// next ones the table, so that growth never changes the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

impl Place {
    pub(super) fn shard(self) -> usize {
        (self.0 >> (64 - SHARD_BITS)) as usize
    }

    /// The first place of a shard.
    pub(super) fn start_of(shard: usize) -> Place {
        Place((shard as u64) << (64 - SHARD_BITS))
    }

    /// What the tables take as hash. They look at the lowest and the uppermost bits, which within a table are alike,
    /// or nearly so, in the place itself.
    fn table_hash(self) -> u64 {
        self.0.rotate_left(32)
    }
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) value: Bytes,
    pub(super) version: Version,
}

/// A part of the map.
#[derive(Debug)]
pub(super) struct Shard {
    /// 2^`bits` tables.
    tables: Vec<HashTable<Entry>>,
    bits: u32,
    len: usize,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard { tables: vec![HashTable::new()], bits: 0, len: 0 }
    }
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: Place, key: &[u8]) -> Option<&Entry> {
        self.tables[self.table_of(place)].find(place.table_hash(), |entry| *entry.key == *key)
    }

    pub(super) fn get_mut(&mut self, place: Place, key: &[u8]) -> Option<&mut Entry> {
        let table = self.table_of(place);
        self.tables[table].find_mut(place.table_hash(), |entry| *entry.key == *key)
    }

    /// Adds a key that is not there.
    pub(super) fn insert_absent(&mut self, entry: Entry) {
        if self.len >= self.tables.len() * KEYS_PER_TABLE {
            self.double();
        }
        let table = self.table_of(entry.place);
        self.tables[table].insert_unique(entry.place.table_hash(), entry, |entry| entry.place.table_hash());
        self.len += 1;
    }

    pub(super) fn remove(&mut self, place: Place, key: &[u8]) -> Option<Entry> {
        let table = self.table_of(place);
        match self.tables[table].entry(
            place.table_hash(),
            |entry| *entry.key == *key,
            |entry| entry.place.table_hash(),
        ) {
            hash_table::Entry::Vacant(_) => None,
            hash_table::Entry::Occupied(entry) => {
                self.len -= 1;
                Some(entry.remove().0)
            }
        }
    }

    /// The entries from `from` on, table by table; tables come in order of place, entries within one do not.
    pub(super) fn tables_from(&self, from: Place) -> impl Iterator<Item = impl Iterator<Item = &Entry>> {
        self.tables[self.table_of(from)..]
            .iter()
            .map(move |table| table.iter().filter(move |entry| entry.place >= from))
    }

    fn table_of(&self, place: Place) -> usize {
        // Two shifts, since a shift by all 64 bits is none at all.
        ((place.0 << SHARD_BITS) >> 1 >> (63 - self.bits)) as usize
    }

    /// Splits every table in two. Places stay in order, since the tables are split by the next bit of the place.
    fn double(&mut self) {
        self.bits += 1;
        let mut tables: Vec<HashTable<Entry>> =
            (0..1usize << self.bits).map(|_| HashTable::with_capacity(KEYS_PER_TABLE / 2)).collect();
        for entry in std::mem::take(&mut self.tables).into_iter().flatten() {
            let table = self.table_of(entry.place);
            tables[table].insert_unique(entry.place.table_hash(), entry, |entry| entry.place.table_hash());
        }
        self.tables = tables;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(place: u64) -> Entry {
        let version = Version { position: 1, further: 0 };
        Entry { place: Place(place), key: place.to_le_bytes().into(), value: Bytes::new(), version }
    }

    #[test]
    fn tables_stay_in_order_of_place_while_they_double() {
        let mut shard = Shard::default();
        // All places of shard 3, spread by a multiplicative hash.
        let places: Vec<u64> = (0..5000u64)
            .map(|i| Place::start_of(3).0 | (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHARD_BITS))
            .collect();
        for &place in &places {
            shard.insert_absent(entry(place));
        }
        assert_eq!(shard.len(), 5000);
        assert!(shard.bits >= 4);
        let mut last = 0;
        let mut seen = 0;
        for table in shard.tables_from(Place::start_of(3)) {
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
            assert!(shard.get(Place(place), &place.to_le_bytes()).is_some());
            assert!(shard.remove(Place(place), &place.to_le_bytes()).is_some());
            assert!(shard.get(Place(place), &place.to_le_bytes()).is_none());
        }
        assert_eq!(shard.len(), 0);
    }

    #[test]
    fn a_shard_is_the_uppermost_bits() {
        assert_eq!(Place(0).shard(), 0);
        assert_eq!(Place(u64::MAX).shard(), (1 << SHARD_BITS) - 1);
        for shard in [0, 1, 77] {
            assert_eq!(Place::start_of(shard).shard(), shard);
        }
    }
}
