//! The commands of several keys, and these keys within their bytes.

use super::condition::take_condition;
use super::fields::{VALUE_TOO_LONG, take_count, take_flag, take_key, take_sized};
use super::{Command, Condition, MAX_VALUE_BYTES, MalformedCommand};

/// The keys of a [`Command::Delete`], or the words of a [`Call`](super::Call), checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    pub(super) rest: &'a [u8],
    pub(super) left: usize,
}

/// The keys and values of a [`Command::MSet`], checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<'a>(pub(super) Keys<'a>);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(take_sized(&mut self.rest).expect("decode has checked all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Keys<'_> {}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left / 2, Some(self.0.left / 2))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

pub(super) fn decode_delete<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let condition = take_condition(rest)?;
    let count = take_count(rest)?;
    if count == 0 || (count > 1 && condition != Condition::Always) {
        return Err(MalformedCommand("a delete needs a key, and exactly one if it has a condition"));
    }
    let keys = Keys { rest, left: count };
    for _ in 0..count {
        take_key(rest)?;
    }
    Ok(Command::Delete { keys, condition })
}

pub(super) fn decode_mset<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let if_absent = take_flag(rest)?;
    let count = take_count(rest)?;
    if count == 0 {
        return Err(MalformedCommand("an mset needs a key"));
    }
    // Every pair takes at least three bytes, so this cannot overflow for a count that the loop accepts.
    let pairs = Pairs(Keys { rest, left: count.saturating_mul(2) });
    for _ in 0..count {
        take_key(rest)?;
        if take_sized(rest)?.len() > MAX_VALUE_BYTES {
            return Err(VALUE_TOO_LONG);
        }
    }
    Ok(Command::MSet { pairs, if_absent })
}
