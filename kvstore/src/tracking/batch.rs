//! What the thread that executes commands hands over at once.

use std::ops::Range;

use bytes::Bytes;

/// Changes of keys, in order, and what some commands have done.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The number of the first change. The others follow without gaps.
    pub(super) first: u64,
    /// The names, one behind the other, and where each ends; `None` stands for all keys.
    names: Vec<u8>,
    ends: Vec<Option<usize>>,
    pub(super) deeds: Vec<Deed>,
}

/// What a command has done that somebody on this server awaits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// Its position in the global log, and a digest of its bytes. Alike commands at one position do alike things, so it
    /// does not matter which of them is whose.
    pub(super) name: (u64, u64),
    /// The numbers of the changes that it has made.
    pub(super) changes: Range<u64>,
    pub(super) reads: Reads,
}

/// What a command has read with commands that change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// These keys, each with the number of the last change before.
    Keys(Vec<(u64, Bytes)>),
    TooMany,
}

/// Memory of a batch, and of a change or a read beside its bytes, roughly.
const BATCH_BYTES: usize = 128;
const NAME_BYTES: usize = 16;
const READ_BYTES: usize = 64;

impl Batch {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.deeds.is_empty()
    }

    pub(super) fn add(&mut self, key: &[u8]) {
        self.names.extend_from_slice(key);
        self.ends.push(Some(self.names.len()));
    }

    /// Adds a change of all keys, which says all that was said before, too.
    pub(super) fn add_all(&mut self, number: u64) {
        self.names.clear();
        self.ends.clear();
        self.ends.push(None);
        self.first = number;
    }

    /// The number of the first change behind it.
    pub(super) fn end(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// The changes with a number of at least this; `None` in place of a key stands for all.
    pub(super) fn changes_from(&self, least: u64) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        let skip =
            usize::try_from(least.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.ends.len());
        let mut start = self.ends[..skip].iter().rev().find_map(|end| *end).unwrap_or(0);
        (self.first + skip as u64..).zip(&self.ends[skip..]).map(move |(number, end)| {
            let key = end.map(|end| &self.names[std::mem::replace(&mut start, end)..end]);
            (number, key)
        })
    }

    /// How much it takes while it is kept.
    pub(super) fn bytes(&self) -> usize {
        let of_deed = |deed: &Deed| BATCH_BYTES + deed.reads.bytes();
        let deeds = self.deeds.iter().map(of_deed).sum::<usize>();
        BATCH_BYTES + self.names.capacity() + self.ends.capacity() * NAME_BYTES + deeds
    }
}

impl Reads {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Reads::Keys(keys) => keys.iter().map(|(_, key)| key.len() + READ_BYTES).sum(),
            Reads::TooMany => 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Reads::Keys(keys) if keys.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_from_any_number_on() {
        let mut batch = Batch { first: 7, ..Batch::default() };
        for key in ["a", "", "ccc"] {
            batch.add(key.as_bytes());
        }
        let from = |batch: &Batch, least: u64| {
            let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
            batch.changes_from(least).map(|(number, key)| (number, key.map(text))).collect::<Vec<_>>()
        };
        let change = |number: u64, key: &str| (number, Some(key.to_owned()));
        assert_eq!(from(&batch, 0), [change(7, "a"), change(8, ""), change(9, "ccc")]);
        assert_eq!(from(&batch, 9), [change(9, "ccc")]);
        assert!(from(&batch, 10).is_empty() && from(&batch, u64::MAX).is_empty());
        assert_eq!(batch.end(), 10);
        batch.add_all(10);
        batch.add(b"d");
        assert_eq!(from(&batch, 0), [(10, None), change(11, "d")]);
        assert_eq!((from(&batch, 11), batch.end()), (vec![change(11, "d")], 12));
    }
}
