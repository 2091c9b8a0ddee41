//! Reports of reads: which keys were read on a server lately.

use super::fields::{put_count, put_sized, take_count, take_key};
use super::{Command, MalformedCommand, USED, take_database};
use crate::Database;

/// The keys of a report, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Used<'a> {
    type Item = (Database, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(take_use(&mut self.rest).expect("decode has checked all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Used<'_> {}

/// Appends a report that keys were read.
pub fn encode_used<'k>(out: &mut Vec<u8>, keys: impl ExactSizeIterator<Item = (Database, &'k [u8])>) {
    out.push(USED);
    put_count(out, keys.len());
    for (database, key) in keys {
        out.push(database.number());
        put_sized(out, key);
    }
}

pub(super) fn decode_used<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let left = take_count(rest)?;
    let used = Used { rest, left };
    for _ in 0..left {
        take_use(rest)?;
    }
    Ok(Command::Used(used))
}

fn take_use<'a>(rest: &mut &'a [u8]) -> Result<(Database, &'a [u8]), MalformedCommand> {
    Ok((take_database(rest)?, take_key(rest)?))
}
