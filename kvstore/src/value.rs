//! A value where it is kept.

use std::ops::Deref;

use bytes::Bytes;

/// The bytes of a value, wherever they are kept. A small value is beside its key in the map, and a larger one has memory of
/// its own that readers can share.
///
/// ```
/// use niagara_kvstore::Value;
///
/// let value = Value::from(&b"green"[..]);
/// assert_eq!((&*value, value.to_bytes()), (&b"green"[..], "green".into()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Value<'a>(Kept<'a>);

#[derive(Clone, Copy, Debug)]
enum Kept<'a> {
    Beside(&'a [u8]),
    Apart(&'a Bytes),
}

impl Value<'_> {
    /// The value for longer than it is locked. A small one is copied, and a larger one shared.
    pub fn to_bytes(self) -> Bytes {
        match self.0 {
            Kept::Beside(bytes) => Bytes::copy_from_slice(bytes),
            Kept::Apart(bytes) => bytes.clone(),
        }
    }
}

impl<'a> Value<'a> {
    /// The bytes, for as long as the key is locked.
    pub fn bytes(self) -> &'a [u8] {
        match self.0 {
            Kept::Beside(bytes) => bytes,
            Kept::Apart(bytes) => bytes,
        }
    }
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Value<'_>) -> bool {
        **self == **other
    }
}

impl Eq for Value<'_> {}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Value<'a> {
        Value(Kept::Beside(bytes))
    }
}

impl<'a> From<&'a Bytes> for Value<'a> {
    fn from(bytes: &'a Bytes) -> Value<'a> {
        Value(Kept::Apart(bytes))
    }
}
