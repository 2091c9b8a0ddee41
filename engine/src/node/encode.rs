//! Commands, replies and states as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that goes into the log or into a snapshot. Every type that serde serializes and deserializes has
/// it, in [postcard](https://docs.rs/postcard)'s stable format. Implement it by hand for a format of your own.
///
/// Equal values must have equal bytes on all servers: keep what has no order of its own, such as a set, in a
/// type that has one, such as `BTreeSet`. Postcard writes no names and no types, so a value that says what it
/// is only when it is read (`serde_json::Value`, untagged enums, `#[serde(flatten)]`) cannot be decoded.
/// [`Node::start`](crate::Node::start) tries the initial state, and each command is tried before it is
/// proposed.
///
/// ```
/// use niagara_engine::{Encode, Malformed};
///
/// struct Celsius(i16);
///
/// impl Encode for Celsius {
///     fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
///         out.extend_from_slice(&self.0.to_le_bytes());
///         Ok(())
///     }
///
///     fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
///         let bytes = bytes.try_into().map_err(|_| Malformed("a temperature has two bytes"))?;
///         Ok(Celsius(i16::from_le_bytes(bytes)))
///     }
/// }
///
/// let mut bytes = Vec::new();
/// Celsius(-3).encode(&mut bytes)?;
/// assert_eq!(Celsius::decode(&bytes)?.0, -3);
/// # Ok::<(), Malformed>(())
/// ```
pub trait Encode: Sized {
    /// Appends the value's bytes.
    ///
    /// # Errors
    /// If the value has no bytes.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed>;

    /// Reads a value that takes up all of these bytes.
    ///
    /// # Errors
    /// If they are no such value.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// What cannot be encoded or decoded; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl<T: Serialize + DeserializeOwned> Encode for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let bytes = postcard::to_extend(self, std::mem::take(out)).map_err(|error| describe(&error))?;
        *out = bytes;
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(Malformed("bytes follow the value: another version of the program wrote it")),
            Err(error) => Err(describe(&error)),
        }
    }
}

fn describe(error: &postcard::Error) -> Malformed {
    use postcard::Error;
    Malformed(match error {
        Error::WontImplement | Error::NotYetImplemented => {
            "the type says what it is only when it is read, which its format cannot: give it fixed fields, or \
             implement Encode by hand"
        }
        Error::SerializeSeqLengthUnknown => {
            "a sequence has no length before it is written: collect it first, or implement Encode by hand"
        }
        Error::DeserializeUnexpectedEnd => "the bytes end within the value",
        Error::SerdeSerCustom => "the type refuses to be serialized",
        Error::SerdeDeCustom => "the type refuses these bytes",
        _ => "the bytes are no such value",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Command {
        Nothing,
        Put(String, Vec<u8>),
        Many { numbers: BTreeMap<u32, Option<i64>> },
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![
            Just(Command::Nothing),
            (".*", prop::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(key, value)| Command::Put(key, value)),
            prop::collection::btree_map(any::<u32>(), any::<Option<i64>>(), 0..10)
                .prop_map(|numbers| Command::Many { numbers }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(command in command(), before in prop::collection::vec(any::<u8>(), 0..9)) {
            let mut bytes = before.clone();
            command.encode(&mut bytes).unwrap();
            prop_assert_eq!(&bytes[..before.len()], &before[..]);
            prop_assert_eq!(Command::decode(&bytes[before.len()..]), Ok(command));
        }

        #[test]
        fn any_bytes_are_a_value_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(command) = Command::decode(&bytes) {
                let mut again = Vec::new();
                command.encode(&mut again).unwrap();
                prop_assert_eq!(Command::decode(&again), Ok(command));
            }
        }
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u32),
        Text(String),
    }

    #[test]
    fn a_type_that_cannot_be_read_back_is_told_what_to_do() {
        for value in [Untagged::Number(1), Untagged::Text("1".into())] {
            let mut bytes = Vec::new();
            value.encode(&mut bytes).unwrap();
            let error = Untagged::decode(&bytes).err().unwrap();
            assert!(error.0.contains("fixed fields"), "{error}");
        }
        assert!(u32::decode(&[1, 2]).unwrap_err().0.contains("follow"));
    }
}
