//! A small key with a small value, in one piece of memory.
//!
//! ```text
//! place u64 | position u64 | further u32 | key length u8 | has u8 | deadline u64, if it has one |
//! last report of a read u64, if it has one | key | value
//! has       1: a deadline, 2: a report, 3: both
//! ```
//!
//! An entry of a map has these in a row because a store of small keys is mostly entries: each pointer and each allocation more
//! would be a fifth of the memory. Nobody but this process reads them.

use super::place::Place;
use crate::Version;

/// A key and its value have so many bytes together at most. Above it, a pointer more does not matter, and a reader that shares
/// the value is faster than one that copies it.
const MOST_BYTES: usize = 512;

const POSITION: usize = 8;
const FURTHER: usize = 16;
const KEY_LENGTH: usize = 20;
const HAS: usize = 21;
const HEAD: usize = 22;

const A_DEADLINE: u8 = 1;
const A_REPORT: u8 = 2;

/// What a small entry has beside key and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) place: Place,
    pub(super) version: Version,
    /// In milliseconds since 1970.
    pub(super) deadline: Option<u64>,
    /// The position at which a read was last reported; 0 if none was.
    pub(super) reported: u64,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Whether a key and a value are small enough together.
    pub(super) fn fits(key: usize, value: usize) -> bool {
        key <= usize::from(u8::MAX) && key + value <= MOST_BYTES
    }

    /// An entry of a key and the parts of a value, which [fit](Self::fits).
    pub(super) fn new(facts: Facts, key: &[u8], value: [&[u8]; 2]) -> Packed {
        let Facts { place, version, deadline, reported } = facts;
        let [one, other] = value;
        debug_assert!(Packed::fits(key.len(), one.len() + other.len()));
        let deadline_bit = if deadline.is_some() { A_DEADLINE } else { 0 };
        let has = deadline_bit | if reported == 0 { 0 } else { A_REPORT };
        let mut bytes = Vec::with_capacity(head(has) + key.len() + one.len() + other.len());
        bytes.extend_from_slice(&place.0.to_le_bytes());
        bytes.extend_from_slice(&version.position.to_le_bytes());
        bytes.extend_from_slice(&version.further.to_le_bytes());
        bytes.extend_from_slice(&[key.len() as u8, has]);
        for number in deadline.into_iter().chain((reported != 0).then_some(reported)) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for part in [key, one, other] {
            bytes.extend_from_slice(part);
        }
        Packed(bytes.into_boxed_slice())
    }

    /// All of it beside key and value.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            place: self.place(),
            version: self.version(),
            deadline: self.deadline(),
            reported: self.reported(),
        }
    }

    pub(super) fn place(&self) -> Place {
        Place(self.number(0))
    }

    pub(super) fn version(&self) -> Version {
        let further = self.0[FURTHER..].first_chunk().expect(WHOLE);
        Version { position: self.number(POSITION), further: u32::from_le_bytes(*further) }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.has(A_DEADLINE).then(|| self.number(HEAD))
    }

    pub(super) fn reported(&self) -> u64 {
        if self.has(A_REPORT) { self.number(head(self.0[HAS]) - 8) } else { 0 }
    }

    pub(super) fn key(&self) -> &[u8] {
        self.split().0
    }

    pub(super) fn value(&self) -> &[u8] {
        self.split().1
    }

    /// Replaces version and value, if the new value is as long as the one before and no report is to be forgotten. Returns
    /// whether it did.
    pub(super) fn replace_alike(&mut self, version: Version, value: &[u8]) -> bool {
        let begin = self.begin_of_value();
        if self.has(A_REPORT) || self.0.len() - begin != value.len() {
            return false;
        }
        self.0[POSITION..FURTHER].copy_from_slice(&version.position.to_le_bytes());
        self.0[FURTHER..KEY_LENGTH].copy_from_slice(&version.further.to_le_bytes());
        self.0[begin..].copy_from_slice(value);
        true
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.0[head(self.0[HAS])..].split_at(usize::from(self.0[KEY_LENGTH]))
    }

    fn begin_of_value(&self) -> usize {
        head(self.0[HAS]) + usize::from(self.0[KEY_LENGTH])
    }

    fn has(&self, what: u8) -> bool {
        self.0[HAS] & what != 0
    }

    fn number(&self, at: usize) -> u64 {
        u64::from_le_bytes(*self.0[at..].first_chunk().expect(WHOLE))
    }
}

const WHOLE: &str = "an entry was written whole";

/// Where the key begins.
fn head(has: u8) -> usize {
    HEAD + 8 * has.count_ones() as usize
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_there(
            place: u64, position: u64, further: u32, deadline: Option<u64>, reported in 0u64..3,
            key in vec(any::<u8>(), 0..=255), one in vec(any::<u8>(), 0..100), other in vec(any::<u8>(), 0..100),
        ) {
            let version = Version { position, further };
            let facts = Facts { place: Place(place), version, deadline, reported };
            let packed = Packed::new(facts, &key, [&one, &other]);
            let read = packed.facts();
            prop_assert_eq!((read.place, read.version), (facts.place, version));
            prop_assert_eq!((read.deadline, read.reported), (deadline, reported));
            prop_assert_eq!((packed.key(), packed.value()), (&key[..], &[one, other].concat()[..]));
        }

        #[test]
        fn a_value_of_the_same_length_is_replaced_in_its_place(
            value in vec(any::<u8>(), 0..100), new in vec(any::<u8>(), 0..100), deadline: Option<u64>, reported in 0u64..2,
        ) {
            let version = |position| Version { position, further: 1 };
            let facts = Facts { place: Place(7), version: version(1), deadline, reported };
            let mut packed = Packed::new(facts, b"key", [&value, b""]);
            let is_alike = value.len() == new.len() && reported == 0;
            prop_assert_eq!(packed.replace_alike(version(2), &new), is_alike);
            prop_assert_eq!(packed.value(), if is_alike { &new[..] } else { &value[..] });
            prop_assert_eq!(packed.version(), version(if is_alike { 2 } else { 1 }));
            prop_assert_eq!((packed.key(), packed.deadline()), (&b"key"[..], deadline));
        }
    }

    #[test]
    fn what_is_small_ends_somewhere() {
        assert!(Packed::fits(0, MOST_BYTES) && Packed::fits(255, MOST_BYTES - 255));
        assert!(!Packed::fits(0, MOST_BYTES + 1) && !Packed::fits(256, 0));
    }
}
