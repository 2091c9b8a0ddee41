//! Names the change of a key that a value comes from.

use std::fmt;
use std::str::FromStr;

/// Names one change of one key: what conditional writes compare, and a part of an HTTP `ETag` (see
/// [`Tag`](crate::Tag)).
///
/// Several commands share one position of the global log, and readers run beside the thread that applies
/// them. A version made of the position alone would therefore name two values of one key, and a conditional
/// write could overwrite a change that its client never saw. So the version is `G` for the first change of a
/// key at position G, and `G.n` for a further one at the same G, where n rises from one change of the key to
/// the next. It is the same on every server.
///
/// ```
/// use niagara_kvstore::Version;
///
/// let third = Version { position: 17, further: 2 };
/// assert_eq!(third.to_string(), "17.2");
/// assert_eq!("17.2".parse(), Ok(third));
/// assert_eq!("17".parse(), Ok(Version { position: 17, further: 0 }));
/// assert!("017".parse::<Version>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The global position of the command that made the change, from 1.
    pub position: u64,
    /// 0 for the first change of the key at `position`, higher for further ones.
    pub further: u32,
}

/// Text that is not a [`Version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is a position, or a position, a dot and a count from 1, both without leading zeros")]
pub struct NotAVersion;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.further {
            0 => write!(f, "{}", self.position),
            further => write!(f, "{}.{further}", self.position),
        }
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    /// Parses exactly what [`Display`](fmt::Display) writes, so that equal versions are equal texts.
    fn from_str(text: &str) -> Result<Version, NotAVersion> {
        let (position, further) = match text.split_once('.') {
            Some((position, further)) => (position, Some(further)),
            None => (text, None),
        };
        Ok(Version {
            position: counted_from_one(position)?,
            further: match further {
                None => 0,
                Some(further) => u32::try_from(counted_from_one(further)?).or(Err(NotAVersion))?,
            },
        })
    }
}

fn counted_from_one(digits: &str) -> Result<u64, NotAVersion> {
    // `parse` alone would accept a plus sign and leading zeros.
    if !matches!(digits.as_bytes().first(), Some(b'1'..=b'9')) {
        return Err(NotAVersion);
    }
    digits.parse().or(Err(NotAVersion))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(position in 1u64.., further: u32) {
            let version = Version { position, further };
            prop_assert_eq!(version.to_string().parse(), Ok(version));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9.+-]{0,12}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }

    #[test]
    fn only_the_canonical_text_is_a_version() {
        for text in
            ["", "0", "01", "+1", "1.", "1.0", ".1", "1.01", "1.2.3", "18446744073709551616", "1.4294967296"]
        {
            assert_eq!(text.parse::<Version>(), Err(NotAVersion), "{text}");
        }
    }
}
