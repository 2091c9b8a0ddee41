//! What the connections of a thread have read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;

use super::Exchange;

/// Memory of a key beside its bytes, and of a connection that has read it, roughly.
const KEY_BYTES: usize = 192;
const READER_BYTES: usize = 64;

/// So many places of keys that are not there any more are kept in any case.
const SPARE_PLACES: usize = 64;

/// See the [module](self). Connections are named by numbers. One that has gone stays until its keys change.
#[derive(Debug)]
pub(super) struct Table {
    exchange: Arc<Exchange>,
    keys: HashMap<Bytes, Readers>,
    /// All keys in the order in which they were first read, and some that are not there any more.
    order: VecDeque<(u64, Bytes)>,
    /// How often a key was first read.
    added: u64,
    bytes: usize,
    /// The latest change that any of these reads has seen for sure.
    newest: u64,
}

/// Who has read a key.
#[derive(Debug)]
struct Readers {
    /// Its place in the order.
    place: u64,
    by: BTreeMap<u64, Read>,
}

/// When a connection has read a key: the numbers of the last change before. What it keeps may be of any time in between.
#[derive(Clone, Copy, Debug)]
struct Read {
    first: u64,
    last: u64,
}

impl Table {
    pub(super) fn new(exchange: Arc<Exchange>) -> Table {
        Table { exchange, keys: HashMap::new(), order: VecDeque::new(), added: 0, bytes: 0, newest: 0 }
    }

    /// A connection reads a key, and sees at least the change with this number.
    pub(super) fn add(&mut self, connection: u64, key: &[u8], since: u64) {
        self.newest = self.newest.max(since);
        if let Some(readers) = self.keys.get_mut(key) {
            match readers.by.get_mut(&connection) {
                Some(read) => read.last = read.last.max(since),
                None => {
                    readers.by.insert(connection, Read { first: since, last: since });
                    self.count((0, 1), READER_BYTES as isize);
                }
            }
            return;
        }
        let key = Bytes::copy_from_slice(key);
        self.added += 1;
        let by = BTreeMap::from([(connection, Read { first: since, last: since })]);
        self.count((1, 1), (key.len() + KEY_BYTES + READER_BYTES) as isize);
        self.order.push_back((self.added, key.clone()));
        self.keys.insert(key, Readers { place: self.added, by });
        self.tidy();
    }

    /// Takes out who is to be told of a change of a key: who has read it before.
    pub(super) fn changed(&mut self, key: &[u8], number: u64, mut tell: impl FnMut(u64, &Bytes)) {
        let Some((name, _)) = self.keys.get_key_value(key) else { return };
        let name = name.clone();
        let Some(Readers { by, .. }) = self.keys.get_mut(key) else { return };
        let before = by.len();
        by.retain(|connection, read| {
            if read.first < number {
                tell(*connection, &name);
                read.first = read.last;
            }
            read.last >= number
        });
        let gone = (before - by.len()) as isize;
        let freed = gone * READER_BYTES as isize;
        if by.is_empty() {
            self.keys.remove(key);
            self.count((-1, -gone), -freed - (key.len() + KEY_BYTES) as isize);
        } else {
            self.count((0, -gone), -freed);
        }
    }

    /// Forgets what was read before a change of all keys, which is told to everybody.
    pub(super) fn all_changed(&mut self, number: u64) {
        if self.newest < number {
            return self.clear();
        }
        let keys: Vec<Bytes> = self.keys.keys().cloned().collect();
        keys.iter().for_each(|key| self.changed(key, number, |_, _| {}));
    }

    /// While the tables of all threads hold more than they may, and this one more than its share, takes out the key that was first
    /// read before all others.
    pub(super) fn trim(&mut self, mut tell: impl FnMut(u64, &Bytes)) {
        while self.exchange.is_full(self.keys.len(), self.bytes)
            && let Some((place, key)) = self.order.pop_front()
        {
            if self.keys.get(&key).is_some_and(|readers| readers.place == place) {
                self.changed(&key, u64::MAX, &mut tell);
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let items: usize = self.keys.values().map(|readers| readers.by.len()).sum();
        self.count((-(self.keys.len() as isize), -(items as isize)), -(self.bytes as isize));
        self.keys = HashMap::new();
        self.order = VecDeque::new();
    }

    /// So many more keys, reads and bytes are held.
    fn count(&mut self, (keys, items): (isize, isize), bytes: isize) {
        self.exchange.held.keys.fetch_add(keys as usize, SeqCst);
        self.exchange.held.items.fetch_add(items as usize, SeqCst);
        self.exchange.held.bytes.fetch_add(bytes as usize, SeqCst);
        self.bytes = self.bytes.wrapping_add_signed(bytes);
    }

    /// Forgets the places of keys that are not there any more, if these are many.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.keys.len() + SPARE_PLACES {
            let keys = &self.keys;
            self.order.retain(|(place, key)| keys.get(key).is_some_and(|readers| readers.place == *place));
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Tracked;
    use super::*;

    fn table() -> Table {
        Table::new(Arc::default())
    }

    fn changed(table: &mut Table, key: &str, number: u64) -> Vec<u64> {
        let mut told = Vec::new();
        table.changed(key.as_bytes(), number, |connection, _| told.push(connection));
        told
    }

    fn held(table: &Table) -> (usize, usize) {
        let Tracked { keys, items, .. } = table.exchange.tracked();
        (keys, items)
    }

    #[test]
    fn who_has_read_before_a_change_is_told_once() {
        let mut table = table();
        table.add(1, b"k", 5);
        table.add(2, b"k", 6);
        table.add(2, b"other", 6);
        assert_eq!(held(&table), (2, 3));
        assert!(changed(&mut table, "k", 5).is_empty(), "both have seen it");
        assert_eq!(changed(&mut table, "k", 6), [1]);
        assert_eq!(changed(&mut table, "k", 7), [2]);
        assert!(changed(&mut table, "k", 8).is_empty());
        assert_eq!(held(&table), (1, 1));
    }

    /// What a client keeps may come from the earlier one of two reads.
    #[test]
    fn who_reads_twice_is_told_of_a_change_in_between_and_of_the_next() {
        let mut table = table();
        table.add(1, b"k", 5);
        table.add(1, b"k", 9);
        assert_eq!(changed(&mut table, "k", 7), [1]);
        assert!(changed(&mut table, "k", 9).is_empty());
        assert_eq!(changed(&mut table, "k", 10), [1]);
        assert_eq!(held(&table), (0, 0));
    }

    #[test]
    fn a_change_of_all_keys_leaves_what_was_read_later() {
        let mut table = table();
        table.add(1, b"early", 5);
        table.add(1, b"late", 6);
        table.all_changed(6);
        assert_eq!(held(&table), (1, 1));
        assert_eq!(changed(&mut table, "late", 7), [1]);
    }

    #[test]
    fn a_full_table_drops_what_was_read_first() {
        let mut table = table();
        for key in ["a", "b", "c"] {
            table.add(1, key.as_bytes(), 0);
        }
        assert_eq!(changed(&mut table, "a", 1), [1]);
        table.add(1, b"a", 1);
        table.exchange.set_most_keys(2);
        let mut told = Vec::new();
        table.trim(|connection, key| told.push((connection, key.clone())));
        assert_eq!(told, [(1, Bytes::from("b"))]);
        table.exchange.set_most_keys(0);
        table.exchange.set_most_bytes(1);
        table.trim(|_, _| {});
        assert_eq!((held(&table), table.exchange.held.bytes.load(SeqCst)), ((0, 0), 0));
    }

    #[test]
    fn keys_that_come_and_go_leave_nothing_behind() {
        let mut table = table();
        for number in 0..10_000 {
            table.add(1, b"k", number);
            assert_eq!(changed(&mut table, "k", number + 1), [1]);
        }
        assert!(table.order.len() <= SPARE_PLACES + 3, "{}", table.order.len());
        table.add(1, b"k", 0);
        table.clear();
        assert_eq!((held(&table), table.exchange.held.bytes.load(SeqCst)), ((0, 0), 0));
    }
}
