//! What a key is to hold.

use bytes::Bytes;

/// A value on its way into the map.
#[derive(Clone, Debug)]
pub(super) enum Content<'v> {
    /// A part of something that does not last. The map copies it.
    Copied(&'v [u8]),
    /// The map may keep this memory.
    Kept(Bytes),
}

impl Content<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Content::Copied(bytes) => bytes,
            Content::Kept(bytes) => bytes,
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Content::Copied(bytes) => Bytes::copy_from_slice(bytes),
            Content::Kept(bytes) => bytes,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Content<'_> {
    fn from(bytes: T) -> Self {
        Content::Kept(bytes.into())
    }
}
