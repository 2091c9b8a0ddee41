//! A key with its value.

use bytes::Bytes;

use super::blocks::Blocks;
use super::place::Place;
use crate::Version;
use crate::described::Described;

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) value: Bytes,
    pub(super) version: Version,
    pub(super) described: Described,
    /// What the state's digest keeps of the value.
    pub(super) blocks: Blocks,
}

impl Entry {
    pub(super) fn new(
        place: Place,
        key: &[u8],
        value: Bytes,
        version: Version,
        described: Described,
    ) -> Entry {
        let blocks = Blocks::of(&value);
        Entry { place, key: key.into(), value, version, described, blocks }
    }

    /// Approximate memory of the entry, in bytes. A description counts in full, although it may be shared.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Entry>() + self.key.len() + self.value.len() + self.described.get().len()
    }
}
