//! What names a value in HTTP: a version, and the life of the state that issued it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::{NotAVersion, Version};

/// Names one life of a replicated state, from its first command on: a random number from one command of the
/// global log, the same on every server. Snapshots keep it.
///
/// Positions start over with a new state, so a version alone would name a value of each state. A restarted
/// cluster in memory has another life, and so has one that another cluster's keys were imported into.
///
/// ```
/// use niagara_kvstore::Life;
///
/// assert_eq!(Life::new(0xab).unwrap().to_string(), "00000000000000ab");
/// assert_eq!("00000000000000ab".parse(), Ok(Life::new(0xab).unwrap()));
/// assert_eq!(Life::new(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(NonZeroU64);

impl Life {
    /// A life by its number, which is not 0.
    pub fn new(number: u64) -> Option<Life> {
        NonZeroU64::new(number).map(Life)
    }

    /// A life that no other state has had.
    ///
    /// # Panics
    /// If the system provides no random bytes.
    pub(crate) fn random() -> Life {
        let mut bytes = [0; 8];
        loop {
            getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
            if let Some(life) = Life::new(u64::from_le_bytes(bytes)) {
                return life;
            }
        }
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Life {
    type Err = NotAVersion;

    /// Reads exactly what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Life, NotAVersion> {
        let exact = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = exact.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.and_then(Life::new).ok_or(NotAVersion)
    }
}

/// The text of an HTTP `ETag`: one change of one key in one life of the state.
///
/// ```
/// use niagara_kvstore::{Life, Tag, Version};
///
/// let tag = Tag { life: Life::new(0xab).unwrap(), version: Version { position: 17, further: 2 } };
/// assert_eq!(tag.to_string(), "00000000000000ab-17.2");
/// assert_eq!("00000000000000ab-17.2".parse(), Ok(tag));
/// assert!("17.2".parse::<Tag>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The life of the state.
    pub life: Life,
    /// The change of the key.
    pub version: Version,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.life, self.version)
    }
}

impl FromStr for Tag {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Tag, NotAVersion> {
        let (life, version) = text.split_once('-').ok_or(NotAVersion)?;
        Ok(Tag { life: life.parse()?, version: version.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(life in 1u64.., position in 1u64.., further: u32) {
            let tag = Tag { life: Life::new(life).unwrap(), version: Version { position, further } };
            prop_assert_eq!(tag.to_string().parse(), Ok(tag));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9a-f]{15,17}-[0-9.]{0,6}") {
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.to_string(), text);
            }
        }
    }

    #[test]
    fn only_the_canonical_text_is_a_tag() {
        for text in
            ["", "17", "-17", "0000000000000000-1", "00000000000000AB-1", "+0000000000000ab-1", "ab-1"]
        {
            assert_eq!(text.parse::<Tag>(), Err(NotAVersion), "{text}");
        }
    }
}
