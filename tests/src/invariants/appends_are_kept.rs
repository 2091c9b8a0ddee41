use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, hold};

/// What is appended to a key stays where it was put, once: every read extends the reads before it, and holds
/// everything that was acknowledged before it began. Each append adds a unique text that ends in a semicolon,
/// and nobody sets or deletes the key.
#[derive(Debug, Default)]
pub struct AppendsAreKept {
    /// The longest value read.
    longest: Vec<u8>,
    /// Appended texts, by the length that their clients were told.
    acknowledged: BTreeMap<usize, Vec<u8>>,
    /// No read that begins now may see less.
    least: usize,
}

const NAME: &str = "appends_are_kept";
const END: u8 = b';';

impl AppendsAreKept {
    /// A read begins. Returns the length that it must see at least.
    pub fn begin(&self) -> usize {
        self.least
    }

    /// A client was told that its text has made the value this long.
    pub fn acknowledged(&mut self, text: &[u8], length: usize) -> Result<(), Broken> {
        let before = self.acknowledged.insert(length, text.to_vec());
        hold(before.is_none(), NAME, || {
            let texts = before.iter().map(Vec::as_slice).chain([text]).map(String::from_utf8_lossy);
            format!("two appends have made the value {length} bytes long: {:?}", texts.collect::<Vec<_>>())
        })?;
        self.least = self.least.max(length);
        self.stands_where_told(length, text)
    }

    /// A read that must see at least `least` bytes has returned these.
    pub fn read(&mut self, least: usize, value: &[u8]) -> Result<(), Broken> {
        self.length(least, value.len())?;
        let common = value.len().min(self.longest.len());
        hold(value[..common] == self.longest[..common], NAME, || {
            let (before, now) = (String::from_utf8_lossy(&self.longest), String::from_utf8_lossy(value));
            format!("the value was read as {before:?}, and then as {now:?}")
        })?;
        if value.len() == common {
            return Ok(());
        }
        self.longest = value.to_vec();
        let mut texts = BTreeSet::new();
        let twice = value.split_inclusive(|byte| *byte == END).find(|text| !texts.insert(*text));
        hold(twice.is_none(), NAME, || {
            format!("{:?} was appended twice", String::from_utf8_lossy(twice.unwrap_or_default()))
        })?;
        self.acknowledged.iter().try_for_each(|(length, text)| self.stands_where_told(*length, text))
    }

    /// A read of the length alone, which must be at least `least`.
    pub fn length(&mut self, least: usize, length: usize) -> Result<(), Broken> {
        hold(length >= least, NAME, || format!("{length} bytes are read where {least} were there before"))?;
        self.least = self.least.max(length);
        Ok(())
    }

    /// As far as anybody has read that far.
    fn stands_where_told(&self, length: usize, text: &[u8]) -> Result<(), Broken> {
        let read = self.longest.get(..length);
        hold(read.is_none_or(|read| read.ends_with(text)), NAME, || {
            let (text, read) = (String::from_utf8_lossy(text), String::from_utf8_lossy(&self.longest));
            format!("{text:?} was to end at byte {length} of {read:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_missed() {
        let mut appends = AppendsAreKept::default();
        appends.acknowledged(b"1;", 2).unwrap();
        let least = appends.begin();
        appends.read(least, b"1;2;").unwrap();
        for wrong in ["", "1;", "1;3;", "2;1;", "1;2;2;"] {
            let mut appends = AppendsAreKept { longest: b"1;2;".to_vec(), ..AppendsAreKept::default() };
            appends.acknowledged(b"1;", 2).unwrap();
            assert!(appends.read(4, wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(appends.acknowledged(b"3;", 4).is_err(), "another one stands there");
        assert!(appends.acknowledged(b"4;", 2).is_err(), "another one was told so");
        assert!(appends.length(6, 4).is_err(), "something is gone");
    }
}
