//! A key with its value.

use bytes::Bytes;

use super::blocks::Blocks;
use super::place::Place;
use crate::Version;
use crate::attributes::Attributes;

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) value: Bytes,
    pub(super) version: Version,
    pub(super) attributes: Attributes,
    /// What the state's digest keeps of the value.
    pub(super) blocks: Blocks,
}

impl Entry {
    pub(super) fn new(
        place: Place,
        key: &[u8],
        value: Bytes,
        version: Version,
        attributes: Attributes,
    ) -> Entry {
        let blocks = Blocks::of(&value);
        Entry { place, key: key.into(), value, version, attributes, blocks }
    }

    /// Whether it is that of a key; the place says in which space.
    pub(super) fn is(&self, place: Place, key: &[u8]) -> bool {
        self.place == place && *self.key == *key
    }

    /// Whether it has expired at this time, in milliseconds since 1970.
    pub(super) fn is_expired(&self, clock: u64) -> bool {
        self.attributes.deadline().is_some_and(|deadline| deadline <= clock)
    }

    /// Approximate memory of the entry, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Entry>() + self.key.len() + self.value.len() + self.attributes.bytes()
    }
}
