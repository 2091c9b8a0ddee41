//! A key with its value.

use bytes::Bytes;

use super::blocks::Blocks;
use super::content::Content;
use super::packed::{Facts, Packed};
use super::place::Place;
use crate::attributes::Attributes;
use crate::{Description, StoredValue, Value, Version, memory};

/// One key with its value. A small one without HTTP headers is in one piece of memory; others have more parts.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Small(Packed),
    Large(Box<Large>),
}

/// Tables hold entries, and each has half as many places again.
const _: () = assert!(size_of::<Entry>() == size_of::<Box<[u8]>>());

/// An entry that is not small.
#[derive(Clone, Debug)]
pub(super) struct Large {
    place: Place,
    key: Box<[u8]>,
    value: Bytes,
    version: Version,
    attributes: Attributes,
    /// The last report of a read that this server or another one has made, as a position; 0 if there is none.
    reported: u64,
    /// What the state's digest keeps of the value.
    blocks: Blocks,
}

impl Entry {
    pub(super) fn new(
        place: Place,
        key: &[u8],
        value: Content<'_>,
        version: Version,
        attributes: Attributes,
    ) -> Entry {
        if Packed::fits(key.len(), value.as_slice().len()) && attributes.description().is_empty() {
            let facts = Facts { place, version, deadline: attributes.deadline(), reported: 0 };
            return Entry::Small(Packed::new(facts, key, [value.as_slice(), b""]));
        }
        let value = value.into_bytes();
        let blocks = Blocks::of(&value);
        let key = key.into();
        Entry::Large(Box::new(Large { place, key, value, version, attributes, reported: 0, blocks }))
    }

    /// The same, with the last report of a read; 0 if there is none.
    pub(super) fn with_report(mut self, reported: u64) -> Entry {
        if reported != 0 {
            self.report(reported);
        }
        self
    }

    pub(super) fn place(&self) -> Place {
        match self {
            Entry::Small(packed) => packed.place(),
            Entry::Large(large) => large.place,
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        match self {
            Entry::Small(packed) => packed.key(),
            Entry::Large(large) => &large.key,
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Entry::Small(packed) => packed.value().into(),
            Entry::Large(large) => (&large.value).into(),
        }
    }

    /// The value, without a copy if it is large.
    pub(super) fn into_value(self) -> Bytes {
        match self {
            Entry::Small(packed) => Bytes::copy_from_slice(packed.value()),
            Entry::Large(large) => large.value,
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Entry::Small(packed) => packed.version(),
            Entry::Large(large) => large.version,
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        match self {
            Entry::Small(packed) => Attributes::expiring(packed.deadline()),
            Entry::Large(large) => large.attributes.clone(),
        }
    }

    pub(super) fn description(&self) -> Description<'_> {
        match self {
            Entry::Small(_) => Description::NONE,
            Entry::Large(large) => large.attributes.description(),
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        match self {
            Entry::Small(packed) => packed.deadline(),
            Entry::Large(large) => large.attributes.deadline(),
        }
    }

    /// The last report of a read that this server or another one has made, as a position; 0 if there is none.
    pub(super) fn reported(&self) -> u64 {
        match self {
            Entry::Small(packed) => packed.reported(),
            Entry::Large(large) => large.reported,
        }
    }

    /// What the state's digest keeps of the value.
    pub(super) fn blocks(&self) -> Blocks {
        match self {
            Entry::Small(packed) => Blocks::of(packed.value()),
            Entry::Large(large) => large.blocks,
        }
    }

    /// Whether it is that of a key; the place says in which space.
    pub(super) fn is(&self, place: Place, key: &[u8]) -> bool {
        self.place() == place && *self.key() == *key
    }

    /// Whether it has expired at this time, in milliseconds since 1970.
    pub(super) fn is_expired(&self, clock: u64) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= clock)
    }

    /// The position at which it was last used, as far as all servers know: it was changed, or a read was reported.
    pub(super) fn used(&self) -> u64 {
        self.version().position.max(self.reported())
    }

    /// What it counts of the memory that keys and values take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        memory::counted(self.key(), &self.value(), self.description(), self.deadline())
    }

    /// Notes that a read was reported at this position.
    pub(super) fn report(&mut self, position: u64) {
        match self {
            Entry::Small(packed) => {
                let facts = Facts { reported: position, ..packed.facts() };
                *packed = Packed::new(facts, packed.key(), [packed.value(), b""]);
            }
            Entry::Large(large) => large.reported = position,
        }
    }

    /// Another version, with another value and the same attributes. No read of it was reported.
    pub(super) fn change(&mut self, version: Version, value: Content<'_>) {
        let is_done = match self {
            Entry::Small(packed) => packed.replace_alike(version, value.as_slice()),
            Entry::Large(_) => false,
        };
        if !is_done {
            *self = Entry::new(self.place(), self.key(), value, version, self.attributes());
        }
    }

    /// Another version, with other attributes and the same value. No read of it was reported.
    pub(super) fn set_attributes(&mut self, version: Version, attributes: Attributes) {
        match self {
            Entry::Large(large) => {
                **large = Large {
                    key: std::mem::take(&mut large.key),
                    value: std::mem::take(&mut large.value),
                    version,
                    attributes,
                    reported: 0,
                    ..**large
                };
            }
            Entry::Small(packed) => {
                let value = Content::Copied(packed.value());
                *self = Entry::new(packed.place(), packed.key(), value, version, attributes);
            }
        }
    }

    /// Another version, with more bytes behind the value: in place if the value is large and nobody else holds it. No read of it
    /// was reported.
    pub(super) fn append(&mut self, version: Version, more: &[u8]) {
        match self {
            Entry::Small(packed) => {
                let (key, value) = (packed.key(), packed.value());
                *self = if Packed::fits(key.len(), value.len() + more.len()) {
                    let facts = Facts { version, reported: 0, ..packed.facts() };
                    Entry::Small(Packed::new(facts, key, [value, more]))
                } else {
                    let whole = Content::from([value, more].concat());
                    let attributes = Attributes::expiring(packed.deadline());
                    Entry::new(packed.place(), key, whole, version, attributes)
                };
            }
            Entry::Large(large) => {
                let before = large.value.len();
                large.value = joined(std::mem::take(&mut large.value), more);
                large.blocks = large.blocks.grown(before, &large.value);
                large.version = version;
                large.reported = 0;
            }
        }
    }
}

/// Appends to a value: in place if nobody else holds it and its buffer has room.
fn joined(value: Bytes, more: &[u8]) -> Bytes {
    match value.try_into_mut() {
        Ok(mut value) => {
            value.extend_from_slice(more);
            value.freeze()
        }
        Err(value) => [&value, more].concat().into(),
    }
}

impl StoredValue {
    /// All that is stored with a key, apart from the map.
    pub(super) fn of(entry: &Entry) -> StoredValue {
        StoredValue::new(entry.value().to_bytes(), entry.version(), entry.attributes())
    }
}
