//! How the words of a client are read.

use std::ops::Range;

use super::Failure;
use crate::decimal::decimal;
pub(super) use crate::table::is;

pub(super) const SYNTAX: Failure = Failure(std::borrow::Cow::Borrowed("ERR syntax error"));
pub(super) const TOO_LARGE: &str = "ERR string exceeds maximum allowed size (16 MiB)";

pub(super) fn integer(word: &[u8]) -> Result<i64, Failure> {
    decimal(word).ok_or("ERR value is not an integer or out of range".into())
}

/// The part of `length` things from `start` to `end`, both counted from the end if they are below zero; empty
/// if there is nothing.
pub(super) fn range(start: i64, end: i64, length: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end { 0..0 } else { clamped(start, end, length) }
}

/// The same, but what lies before the beginning counts as the beginning.
pub(super) fn clamped(start: i64, end: i64, length: usize) -> Range<usize> {
    let length = length as i64;
    let from_end = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if length == 0 || start > end { 0..0 } else { start as usize..end as usize + 1 }
}
