//! The longest common subsequence of two values.

use bytes::Bytes;

use super::words::{SYNTAX, integer, is};
use super::{Answer, Reading, Words};
use crate::Data;

/// Most pairs of bytes that are compared, since the thread that executes commands may do it: a tenth of a
/// second.
const MOST_PAIRS: usize = 1 << 24;

/// A run of bytes that both values have: where it starts in each, and its length.
#[derive(Clone, Copy)]
struct Run {
    one: usize,
    other: usize,
    length: usize,
}

pub(super) fn lcs(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let (mut length_only, mut runs_only, mut with_lengths, mut least) = (false, false, false, 0);
    let mut options = words[2..].iter();
    while let Some(option) = options.next() {
        if is(option, "LEN") {
            length_only = true;
        } else if is(option, "IDX") {
            runs_only = true;
        } else if is(option, "WITHMATCHLEN") {
            with_lengths = true;
        } else if is(option, "MINMATCHLEN") {
            least = integer(options.next().ok_or(SYNTAX)?)?.max(0) as usize;
        } else {
            return Err(SYNTAX);
        }
    }
    if length_only && runs_only {
        return Err("ERR If you want both the length and indexes, please just use IDX.".into());
    }
    let (one, other) = (reading.value(words[0]), reading.value(words[1]));
    if one.len().saturating_mul(other.len()) > MOST_PAIRS {
        return Err(format!("ERR the lengths of both values, multiplied, exceed {MOST_PAIRS}").into());
    }
    let (common, runs) = longest(&one, &other);
    if length_only {
        return Ok(Data::count(common.len()));
    }
    if !runs_only {
        return Ok(Data::Bulk(Bytes::from(common)));
    }
    let ends =
        |start: usize, length: usize| Data::Array(vec![Data::count(start), Data::count(start + length - 1)]);
    let matches = runs.into_iter().filter(|run| run.length >= least).map(|run| {
        let mut shown = vec![ends(run.one, run.length), ends(run.other, run.length)];
        if with_lengths {
            shown.push(Data::count(run.length));
        }
        Data::Array(shown)
    });
    Ok(Data::Map(vec![
        ("matches".into(), Data::Array(matches.collect())),
        ("len".into(), Data::count(common.len())),
    ]))
}

/// The longest common subsequence, and the runs that it consists of, the last one first.
fn longest(one: &[u8], other: &[u8]) -> (Vec<u8>, Vec<Run>) {
    let width = other.len() + 1;
    let mut lengths = vec![0u32; (one.len() + 1) * width];
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            lengths[i * width + j] = if one[i - 1] == other[j - 1] {
                lengths[(i - 1) * width + j - 1] + 1
            } else {
                lengths[(i - 1) * width + j].max(lengths[i * width + j - 1])
            };
        }
    }
    let (mut i, mut j) = (one.len(), other.len());
    let (mut common, mut runs) = (Vec::new(), Vec::<Run>::new());
    while i > 0 && j > 0 {
        if one[i - 1] == other[j - 1] {
            (i, j) = (i - 1, j - 1);
            common.push(one[i]);
            match runs.last_mut() {
                Some(run) if run.one == i + 1 && run.other == j + 1 => {
                    *run = Run { one: i, other: j, length: run.length + 1 };
                }
                _ => runs.push(Run { one: i, other: j, length: 1 }),
            }
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    common.reverse();
    (common, runs)
}
