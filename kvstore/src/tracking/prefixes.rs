//! Which connections of a thread want to hear of all keys with a prefix.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;

use super::{Exchange, Stale};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Prefixes {
    exchange: Arc<Exchange>,
    /// By prefix and number of the connection: the last change that it need not hear of.
    wanted: BTreeMap<Bytes, BTreeMap<u64, u64>>,
    /// How many prefixes have a length.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    pub(super) fn new(exchange: Arc<Exchange>) -> Prefixes {
        Prefixes { exchange, wanted: BTreeMap::new(), lengths: BTreeMap::new() }
    }

    /// A connection hears of keys with a prefix, of later changes than this one.
    pub(super) fn add(&mut self, connection: u64, prefix: &Bytes, since: u64) {
        let connections = self.wanted.entry(prefix.clone()).or_insert_with(|| {
            *self.lengths.entry(prefix.len()).or_default() += 1;
            self.exchange.held.prefixes.fetch_add(1, SeqCst);
            BTreeMap::new()
        });
        connections.entry(connection).or_insert(since);
    }

    /// A connection does not want to hear of them any more.
    pub(super) fn remove(&mut self, connection: u64, prefix: &Bytes) {
        let Some(connections) = self.wanted.get_mut(prefix) else { return };
        connections.remove(&connection);
        if connections.is_empty() {
            self.wanted.remove(prefix);
            self.exchange.held.prefixes.fetch_sub(1, SeqCst);
            let left = self.lengths.get_mut(&prefix.len()).expect("its prefix has had this length");
            *left -= 1;
            if *left == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The prefixes that a key has.
    pub(super) fn of(&self, key: &[u8]) -> impl Iterator<Item = &Bytes> {
        let lengths = self.lengths.range(..=key.len());
        lengths.filter_map(move |(length, _)| Some(self.wanted.get_key_value(&key[..*length])?.0))
    }

    /// Tells who wants to hear of keys with a prefix of these changes, each with its number, which rise.
    pub(super) fn tell(&self, prefix: &Bytes, changes: Vec<(u64, Bytes)>, mut tell: impl FnMut(u64, Stale)) {
        let Some(connections) = self.wanted.get(prefix) else { return };
        let changes = Arc::new(changes);
        for (connection, since) in connections {
            let seen = changes.partition_point(|(number, _)| number <= since);
            let unseen = match seen {
                0 => Arc::clone(&changes),
                seen => Arc::new(changes[seen..].to_vec()),
            };
            if !unseen.is_empty() {
                tell(*connection, Stale::Keys(unseen));
            }
        }
    }
}

impl Drop for Prefixes {
    fn drop(&mut self) {
        self.exchange.held.prefixes.fetch_sub(self.wanted.len(), SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_any_length_are_found_and_removed() {
        let exchange = Arc::<Exchange>::default();
        let mut prefixes = Prefixes::new(Arc::clone(&exchange));
        for (connection, prefix, since) in [(1, "", 0), (1, "user:", 0), (2, "user:", 3), (2, "x", 0)] {
            prefixes.add(connection, &Bytes::from_static(prefix.as_bytes()), since);
        }
        let hear = |prefixes: &Prefixes, key: &str, number| {
            let (key, mut heard) = (Bytes::copy_from_slice(key.as_bytes()), Vec::new());
            for prefix in prefixes.of(&key) {
                prefixes.tell(
                    prefix,
                    vec![(number - 1, Bytes::new()), (number, key.clone())],
                    |connection, stale| {
                        let Stale::Keys(keys) = stale else { panic!("it is one key") };
                        assert_eq!(keys.last(), Some(&(number, key.clone())));
                        heard.push((connection, String::from_utf8(prefix.to_vec()).unwrap()));
                    },
                );
            }
            heard
        };
        let by = |connection, prefix: &str| (connection, prefix.to_owned());
        assert_eq!(hear(&prefixes, "user:1", 3), [by(1, ""), by(1, "user:")]);
        assert_eq!(hear(&prefixes, "user:1", 4), [by(1, ""), by(1, "user:"), by(2, "user:")]);
        assert_eq!(hear(&prefixes, "use", 4), [by(1, "")]);
        assert_eq!(exchange.tracked().prefixes, 3);
        prefixes.remove(1, &Bytes::from_static(b"user:"));
        prefixes.remove(1, &Bytes::new());
        prefixes.remove(2, &Bytes::from_static(b"user:"));
        assert!(hear(&prefixes, "user:1", 9).is_empty());
        assert_eq!((exchange.tracked().prefixes, prefixes.lengths.len()), (1, 1));
        drop(prefixes);
        assert_eq!(exchange.tracked().prefixes, 0);
    }
}
