//! What is around an application's command in the log: nothing, or its number in a session.

use bytes::Bytes;

use super::encode::Malformed;

/// A command as it is in the log. One byte says which it is; a session's id and the number follow, eight
/// bytes each, then the application's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Envelope<'a> {
    Command(&'a [u8]),
    Numbered(NumberedBy, &'a [u8]),
    /// Opens a session.
    Open,
}

/// A command's number in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberedBy {
    pub session: u64,
    pub number: u64,
}

const COMMAND: u8 = 0;
const NUMBERED: u8 = 1;
const OPEN: u8 = 2;

impl<'a> Envelope<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Envelope<'a>, Malformed> {
        let (kind, rest) = bytes.split_first().ok_or(Malformed("a command has at least one byte"))?;
        match *kind {
            COMMAND => Ok(Envelope::Command(rest)),
            NUMBERED => {
                let split = || {
                    let (session, rest) = rest.split_first_chunk::<8>()?;
                    let (number, command) = rest.split_first_chunk::<8>()?;
                    let [session, number] = [session, number].map(|bytes| u64::from_le_bytes(*bytes));
                    Some(Envelope::Numbered(NumberedBy { session, number }, command))
                };
                split().ok_or(Malformed("a numbered command has a session and a number"))
            }
            OPEN if rest.is_empty() => Ok(Envelope::Open),
            _ => Err(Malformed("another version of the engine's nodes wrote the command")),
        }
    }

    /// Writes a command, with its number if it has one.
    pub fn write(
        numbered: Option<NumberedBy>,
        command: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<Bytes, Malformed> {
        let mut bytes = Vec::with_capacity(32);
        match numbered {
            None => bytes.push(COMMAND),
            Some(NumberedBy { session, number }) => {
                bytes.push(NUMBERED);
                bytes.extend_from_slice(&session.to_le_bytes());
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        command(&mut bytes)?;
        Ok(bytes.into())
    }

    pub fn open() -> Bytes {
        Bytes::from_static(&[OPEN])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbered in prop::option::of((any::<u64>(), any::<u64>())),
            command in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let numbered = numbered.map(|(session, number)| NumberedBy { session, number });
            let written = Envelope::write(numbered, |bytes| {
                bytes.extend_from_slice(&command);
                Ok(())
            });
            let written = written.unwrap();
            let expected = match numbered {
                None => Envelope::Command(&command),
                Some(numbered) => Envelope::Numbered(numbered, &command),
            };
            prop_assert_eq!(Envelope::read(&written), Ok(expected));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Envelope::read(&bytes);
        }
    }

    #[test]
    fn the_bytes_are_those_of_every_version() {
        assert_eq!(Envelope::read(&Envelope::open()), Ok(Envelope::Open));
        assert_eq!(Envelope::read(&[0, 7]), Ok(Envelope::Command(&[7])));
        let numbered = [&[1][..], &[2, 0, 0, 0, 0, 0, 0, 0], &[3, 0, 0, 0, 0, 0, 0, 0], &[7]].concat();
        let by = NumberedBy { session: 2, number: 3 };
        assert_eq!(Envelope::read(&numbered), Ok(Envelope::Numbered(by, &[7])));
        for malformed in [&[][..], &[1, 2], &[2, 0], &[3]] {
            assert!(Envelope::read(malformed).is_err());
        }
    }
}
