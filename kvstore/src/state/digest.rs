//! A digest of the whole state, updated with each change (`equal_states`).
//!
//! It is the sum of a digest of each entry, so the order in which entries were added or are visited does not
//! matter: a changed entry is subtracted and added again. It must be the same on all servers, of all versions
//! that may run side by side. So it depends on no seed, no table and no word size.
//!
//! An entry's digest covers its key, value, attributes and version; the state's digest also covers which database each is in,
//! the state's life, its clock, its notices, its limit of memory and its users.
//! The digest of a value's whole blocks is kept with the entry, so neither a removed value nor a growing one
//! is read again.

use super::blocks::{Blocks, KEYS, product};
use super::entry::Entry;
use crate::memory::Memory;
use crate::notices::Notices;
use crate::{Database, Description, Life, Version};

/// The digest of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateDigest(u128);

impl StateDigest {
    /// As a number, for a state with this life and this clock, which is 0 before any command with a time.
    pub(super) fn of_state(self, life: Option<Life>, clock: u64) -> u128 {
        let named = |life: u64| u128::from(life) << 64 | u128::from(product(life ^ KEYS[0], KEYS[1]));
        let timed = u128::from(product(clock ^ KEYS[4], KEYS[5])) << 64 | u128::from(clock);
        self.0.wrapping_add(life.map_or(0, |life| named(life.get()))).wrapping_add(if clock == 0 {
            0
        } else {
            timed
        })
    }

    /// What the entries of a database add to the digest of the state.
    pub(super) fn of_database(self, database: Database) -> StateDigest {
        let number = u64::from(database.number());
        let factor = match number {
            0 => 1,
            _ => {
                u128::from(product(number ^ KEYS[0], KEYS[1])) << 64
                    | u128::from(product(number ^ KEYS[2], KEYS[3]) | 1)
            }
        };
        StateDigest(self.0.wrapping_mul(factor))
    }

    /// Of these entries, and others.
    pub(super) fn and(self, others: StateDigest) -> StateDigest {
        StateDigest(self.0.wrapping_add(others.0))
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_add(of_entry(entry));
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_sub(of_entry(entry));
    }
}

/// What users add to the digest of a state, as text; nothing if there is none.
pub(super) fn of_users(text: &[u8]) -> u128 {
    if text.is_empty() {
        return 0;
    }
    let digest = Blocks::of(text).finish(text);
    u128::from(product(digest ^ KEYS[3], KEYS[6])) << 64 | u128::from(product(digest ^ KEYS[2], KEYS[7]))
}

/// What the notices that are sent add to the digest of the state.
pub(super) fn of_notices(notices: Notices) -> u128 {
    match notices.bits() {
        0 => 0,
        bits => {
            u128::from(product(bits ^ KEYS[1], KEYS[2])) << 64 | u128::from(product(bits ^ KEYS[3], KEYS[4]))
        }
    }
}

/// What the limit of memory, and what is kept of evictions, add to the digest of the state; nothing as long as nobody has set it.
pub(super) fn of_memory(memory: &Memory) -> u128 {
    if *memory == Memory::default() {
        return 0;
    }
    let mut bytes = Vec::new();
    memory.encode(&mut bytes);
    let digest = Blocks::of(&bytes).finish(&bytes);
    u128::from(product(digest ^ KEYS[4], KEYS[0])) << 64 | u128::from(product(digest ^ KEYS[6], KEYS[1]))
}

fn of_entry(entry: &Entry) -> u128 {
    let Version { position, further } = entry.version();
    let key = Blocks::of(entry.key()).finish(entry.key());
    let value = entry.blocks().finish(&entry.value());
    let reported = match entry.reported() {
        0 => 0,
        reported => product(reported ^ KEYS[2], KEYS[5]),
    };
    let version = product(position ^ KEYS[6], u64::from(further) ^ KEYS[7]) ^ of_attributes(entry) ^ reported;
    let half = |keys: &[u64]| {
        let content = product(key ^ keys[0], value ^ keys[1]);
        u128::from(product(content ^ keys[2], version ^ keys[3]))
    };
    half(&KEYS[..4]) << 64 | half(&KEYS[4..])
}

/// Most values have none.
fn of_attributes(entry: &Entry) -> u64 {
    let Description { content_type, content_encoding } = entry.description();
    let expiring = |deadline: u64| product(deadline ^ KEYS[5], KEYS[0]);
    of_description(content_type, content_encoding) ^ entry.deadline().map_or(0, expiring)
}

fn of_description(content_type: &[u8], content_encoding: &[u8]) -> u64 {
    if content_type.is_empty() && content_encoding.is_empty() {
        return 0;
    }
    let [one, other] = [content_type, content_encoding].map(|text| Blocks::of(text).finish(text));
    product(one ^ KEYS[2], other ^ KEYS[6])
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::attributes::{Attributes, Describer};
    use crate::state::content::Content;
    use crate::state::place::Place;

    fn entry(key: &[u8], value: &[u8], position: u64, further: u32) -> Entry {
        let version = Version { position, further };
        Entry::new(Place(0), key, Content::Copied(value), version, Attributes::default())
    }

    /// The first of those entries, with attributes.
    fn with(attributes: Attributes) -> Entry {
        let mut entry = entry(b"key", b"value", 7, 1);
        entry.set_attributes(entry.version(), attributes);
        entry
    }

    fn digest(entry: &Entry) -> u128 {
        let mut digest = StateDigest::default();
        digest.add(entry);
        digest.of_state(None, 0)
    }

    /// Servers of different versions compare it, so it never changes.
    #[test]
    fn the_digest_of_an_entry_is_for_ever() {
        let small = digest(&entry(b"key", b"value", 7, 1));
        let large = digest(&entry(&[1; 100], &[2; 1000], u64::MAX, u32::MAX));
        assert_eq!((small, large), (SMALL, LARGE));
    }

    const SMALL: u128 = 185_332_547_644_059_435_468_380_518_590_629_304_079;
    const LARGE: u128 = 227_072_058_521_446_374_303_403_530_157_444_583_354;

    #[test]
    fn whatever_differs_is_seen() {
        let all = [
            entry(b"key", b"value", 7, 1),
            entry(b"kez", b"value", 7, 1),
            entry(b"key", b"valuf", 7, 1),
            entry(b"key", b"value\0", 7, 1),
            entry(b"key\0", b"value", 7, 1),
            entry(b"keyv", b"alue", 7, 1),
            entry(b"value", b"key", 7, 1),
            entry(b"key", b"value", 8, 1),
            entry(b"key", b"value", 7, 2),
            entry(b"key", b"value", 1, 7),
        ];
        let describe = |content_type: &[u8], content_encoding: &[u8]| {
            let description = Description { content_type, content_encoding };
            with(Describer::default().describe(description))
        };
        let described = [describe(b"text", b""), describe(b"", b"text"), describe(b"te", b"xt")];
        let expiring = [1, 2, u64::MAX].map(|deadline| with(Attributes::expiring(Some(deadline))));
        let reported = [1, 7].map(|reported| entry(b"key", b"value", 7, 1).with_report(reported));
        let all: Vec<Entry> = all.into_iter().chain(described).chain(expiring).chain(reported).collect();
        for (at, one) in all.iter().enumerate() {
            assert_ne!(digest(one), 0);
            assert!(all[at + 1..].iter().all(|other| digest(one) != digest(other)), "{one:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_that_grows_ends_as_if_it_had_come_whole(parts in vec(vec(any::<u8>(), 0..100), 1..6)) {
            let mut value = Vec::new();
            let mut blocks = Blocks::default();
            for part in &parts {
                let before = value.len();
                value.extend_from_slice(part);
                blocks = blocks.grown(before, &value);
                prop_assert_eq!(blocks, Blocks::of(&value));
            }
        }

        #[test]
        fn each_bit_of_an_entry_counts(key in vec(any::<u8>(), 1..80), value in vec(any::<u8>(), 1..200), at: prop::sample::Index, bit in 0u8..8) {
            let mut changed = (key.clone(), value.clone());
            let at = at.index(key.len() + value.len());
            match at.checked_sub(key.len()) {
                Some(at) => changed.1[at] ^= 1 << bit,
                None => changed.0[at] ^= 1 << bit,
            }
            prop_assert_ne!(digest(&entry(&key, &value, 1, 0)), digest(&entry(&changed.0, &changed.1, 1, 0)));
        }
    }

    #[test]
    fn a_state_of_another_life_is_another() {
        let lives = [None, Life::new(1), Life::new(2), Life::new(1 << 63)];
        for (at, life) in lives.iter().enumerate() {
            let digest = |life| StateDigest::default().of_state(life, 0);
            assert!(lives[at + 1..].iter().all(|other| digest(*other) != digest(*life)));
        }
        let clocks = [0, 1, 2, 1 << 63].map(|clock| StateDigest::default().of_state(Life::new(1), clock));
        assert!((1..4).all(|at| !clocks[..at].contains(&clocks[at])), "nor is one of another time");
    }

    #[test]
    fn order_does_not_matter_and_what_goes_leaves_nothing() {
        let entries: Vec<Entry> =
            (0..50u8).map(|i| entry(&[i], &vec![i; usize::from(i)], 3, i.into())).collect();
        let (mut one, mut other) = (StateDigest::default(), StateDigest::default());
        entries.iter().for_each(|entry| one.add(entry));
        entries.iter().rev().for_each(|entry| other.add(entry));
        assert_eq!(one, other);
        entries.iter().for_each(|entry| one.remove(entry));
        assert_eq!(one, StateDigest::default());
    }
}
