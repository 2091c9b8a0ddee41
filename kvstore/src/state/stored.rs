//! A value that outlives its place in the map.

use bytes::Bytes;

use super::described::Described;
use super::entry::Entry;
use super::reader::Found;
use crate::Version;

/// A value, its version and its HTTP headers, apart from the map: later commands do not change it. Cloning it
/// copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    value: Bytes,
    version: Version,
    described: Described,
}

impl StoredValue {
    pub(super) fn of(entry: &Entry) -> StoredValue {
        let Entry { value, version, described, .. } = entry;
        StoredValue { value: value.clone(), version: *version, described: described.clone() }
    }

    /// The value as a reader finds it.
    pub fn found(&self) -> Found<'_> {
        Found { value: &self.value, version: self.version, description: self.described.get() }
    }
}
