//! Which operations with unknown outcomes have happened, stored compactly.

use hashbrown::HashMap;

/// Sets of optional operations, each stored once and named by a number.
pub(super) struct UsedSets {
    /// Pairs of a kind and its count, by rising kind.
    sets: Vec<Box<[(u32, u32)]>>,
    names: HashMap<Box<[(u32, u32)]>, u32>,
}

impl Default for UsedSets {
    fn default() -> Self {
        let empty: Box<[(u32, u32)]> = Box::default();
        Self { sets: vec![empty.clone()], names: HashMap::from_iter([(empty, Self::EMPTY)]) }
    }
}

impl UsedSets {
    /// The name of the empty set.
    pub(super) const EMPTY: u32 = 0;

    /// How many of a kind are in a set.
    pub(super) fn count(&self, name: u32, kind: u32) -> u32 {
        let set = &self.sets[name as usize];
        set.binary_search_by_key(&kind, |entry| entry.0).map_or(0, |at| set[at].1)
    }

    /// The name of the set with one more of a kind.
    pub(super) fn with(&mut self, name: u32, kind: u32) -> u32 {
        let mut set = self.sets[name as usize].to_vec();
        match set.binary_search_by_key(&kind, |entry| entry.0) {
            Ok(at) => set[at].1 += 1,
            Err(at) => set.insert(at, (kind, 1)),
        }
        let set = set.into_boxed_slice();
        let sets = &mut self.sets;
        *self.names.entry(set).or_insert_with_key(|set| {
            sets.push(set.clone());
            sets.len() as u32 - 1
        })
    }
}
