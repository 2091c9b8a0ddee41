//! A value that outlives its place in the map.

use bytes::Bytes;

use super::attributes::Attributes;
use super::entry::Entry;
use super::reader::Found;
use crate::Version;

/// A value, its version, its HTTP headers and its deadline, apart from the map: later commands do not change it. Cloning it
/// copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    value: Bytes,
    version: Version,
    attributes: Attributes,
}

impl StoredValue {
    pub(super) fn of(entry: &Entry) -> StoredValue {
        let Entry { value, version, attributes, .. } = entry;
        StoredValue { value: value.clone(), version: *version, attributes: attributes.clone() }
    }

    /// The value as a reader finds it.
    pub fn found(&self) -> Found<'_> {
        Found {
            value: &self.value,
            version: self.version,
            description: self.attributes.description(),
            deadline: self.attributes.deadline(),
        }
    }
}
