//! A key with its value.

use bytes::Bytes;

use super::blocks::Blocks;
use super::place::Place;
use crate::Version;
use crate::attributes::Attributes;
use crate::memory;

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) value: Bytes,
    pub(super) version: Version,
    pub(super) attributes: Attributes,
    /// The last report of a read that this server or another one has made, as a position; 0 if there is none.
    pub(super) reported: u64,
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
        Entry { place, key: key.into(), value, version, attributes, reported: 0, blocks }
    }

    /// Whether it is that of a key; the place says in which space.
    pub(super) fn is(&self, place: Place, key: &[u8]) -> bool {
        self.place == place && *self.key == *key
    }

    /// Whether it has expired at this time, in milliseconds since 1970.
    pub(super) fn is_expired(&self, clock: u64) -> bool {
        self.attributes.deadline().is_some_and(|deadline| deadline <= clock)
    }

    /// The position at which it was last used, as far as all servers know: it was changed, or a read was reported.
    pub(super) fn used(&self) -> u64 {
        self.version.position.max(self.reported)
    }

    /// What it counts of the memory that keys and values take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        memory::counted(&self.key, &self.value, &self.attributes)
    }
}
