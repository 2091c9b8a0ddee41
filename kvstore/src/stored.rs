//! A value that outlives its place in the map.

use bytes::Bytes;

use crate::attributes::Attributes;
use crate::{Description, Version};

/// A value, its version, its HTTP headers and its deadline, apart from the map: later commands do not change it. Cloning it
/// copies nothing.
///
/// ```
/// use niagara_engine::{GlobalPosition, StateMachine};
/// use niagara_kvstore::{Kv, Reply, command, query};
///
/// let mut kv = Kv::new();
/// let (mut append, mut entry) = (Vec::new(), Vec::new());
/// command::encode_append(&mut append, b"diary", b"Dear diary");
/// query::encode_entry(&mut entry, b"diary");
/// kv.execute(GlobalPosition::new(1), &append.into());
/// let Reply::Entry(Some(stored)) = kv.answer(&entry) else { panic!("it was just appended to") };
/// assert_eq!((stored.value(), stored.version().position), (&"Dear diary".into(), 1));
/// assert!(stored.description().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    value: Bytes,
    version: Version,
    attributes: Attributes,
}

impl StoredValue {
    pub(crate) fn new(value: Bytes, version: Version, attributes: Attributes) -> StoredValue {
        StoredValue { value, version, attributes }
    }

    /// The value.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The version of the key.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value's HTTP headers.
    pub fn description(&self) -> Description<'_> {
        self.attributes.description()
    }

    /// When it expires, in milliseconds since 1970 by the clock of the state.
    pub fn deadline(&self) -> Option<u64> {
        self.attributes.deadline()
    }
}
