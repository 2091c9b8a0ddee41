//! Values as rows of bits, the highest bit of a byte first.

use bytes::Bytes;

use super::keys::remove;
use super::words::{SYNTAX, TOO_LARGE, clamped, integer, is, range};
use super::{Answer, Failure, Reading, Words, Writing};
use crate::Data;
use crate::attributes::Attributes;
use crate::command::MAX_VALUE_BYTES;
use crate::decimal::decimal;
use crate::notices::About;

pub(super) const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";

/// Bits may be read up to here, as in Redis; behind the end of a value they are clear.
pub(super) const MOST_BITS: usize = 1 << 32;

/// The place of a bit, among so many.
fn offset(word: &[u8], bits: usize) -> Result<usize, Failure> {
    let offset = decimal(word).and_then(|offset| usize::try_from(offset).ok());
    offset.filter(|offset| *offset < bits).ok_or(BAD_OFFSET.into())
}

pub(super) fn bit_of(value: &[u8], at: usize) -> bool {
    value.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
}

/// Sets or clears a bit of a value that is long enough.
pub(super) fn put_bit(value: &mut [u8], at: usize, bit: bool) {
    let mask = 1 << (7 - at % 8);
    if bit {
        value[at / 8] |= mask;
    } else {
        value[at / 8] &= !mask;
    }
}

pub(super) fn get_bit(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let at = offset(words[1], MOST_BITS)?;
    Ok(Data::flag(bit_of(&reading.value(words[0]), at)))
}

pub(super) fn set_bit(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let at = offset(words[1], 8 * MAX_VALUE_BYTES)?;
    let bit = match words[2] {
        b"0" => false,
        b"1" => true,
        _ => return Err("ERR bit is not an integer or out of range".into()),
    };
    let value = writing.value(words[0]);
    let before = bit_of(&value, at);
    // What is as it was has not changed for anybody who watches.
    if at / 8 >= value.len() || before != bit {
        let mut value = value.to_vec();
        value.resize(value.len().max(at / 8 + 1), 0);
        put_bit(&mut value, at, bit);
        writing.change(words[0], value);
        writing.tell(About::String, "setbit", words[0]);
    }
    Ok(Data::flag(before))
}

/// Whether a range counts bits; otherwise bytes.
fn in_bits(word: Option<&&[u8]>) -> Result<bool, Failure> {
    match word {
        None => Ok(false),
        Some(word) if is(word, "BIT") => Ok(true),
        Some(word) if is(word, "BYTE") => Ok(false),
        Some(_) => Err(SYNTAX),
    }
}

pub(super) fn bit_count(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let bits = match words {
        [_] => None,
        [_, start, end, rest @ ..] if rest.len() <= 1 => {
            let numbers = (integer(start)?, integer(end)?);
            Some((numbers, in_bits(rest.first())?))
        }
        _ => return Err(SYNTAX),
    };
    let value = reading.value(words[0]);
    let range = match bits {
        None => 0..8 * value.len(),
        Some(((start, end), true)) => range(start, end, 8 * value.len()),
        Some(((start, end), false)) => {
            let bytes = range(start, end, value.len());
            8 * bytes.start..8 * bytes.end
        }
    };
    let (first, last) = (range.start.div_ceil(8), range.end / 8);
    if first >= last {
        return Ok(Data::count(range.filter(|at| bit_of(&value, *at)).count()));
    }
    let whole: usize = value[first..last].iter().map(|byte| byte.count_ones() as usize).sum();
    let ends = (range.start..8 * first).chain(8 * last..range.end);
    Ok(Data::count(whole + ends.filter(|at| bit_of(&value, *at)).count()))
}

pub(super) fn bit_pos(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let wanted = match words[1] {
        b"0" => false,
        b"1" => true,
        word => {
            integer(word)?;
            return Err("ERR The bit argument must be 1 or 0.".into());
        }
    };
    if words.len() > 5 {
        return Err(SYNTAX);
    }
    let start = words.get(2).map(|word| integer(word)).transpose()?.unwrap_or(0);
    let counts_bits = in_bits(words.get(4))?;
    let end = words.get(3).map(|word| integer(word)).transpose()?;
    let Some(entry) = reading.get(words[0]) else {
        return Ok(Data::Integer(if wanted { -1 } else { 0 }));
    };
    let value = entry.value();
    let unit = if counts_bits { 1 } else { 8 };
    let range = clamped(start, end.unwrap_or(-1), value.len() * 8 / unit);
    if range.is_empty() {
        return Ok(Data::Integer(-1));
    }
    let mut bits = range.start * unit..range.end * unit;
    // Whole bytes of the other kind are passed quickly.
    let other = if wanted { 0 } else { 0xff };
    while let Some(at) = bits.next() {
        if at % 8 == 0 && bits.end - at >= 8 && value[at / 8] == other {
            bits.start = at + 8;
        } else if bit_of(&value, at) == wanted {
            return Ok(Data::count(at));
        }
    }
    // Behind a value, as far as no end is given, all bits are clear.
    let behind = !wanted && end.is_none();
    Ok(Data::Integer(if behind { range.end as i64 * unit as i64 } else { -1 }))
}

pub(super) fn bit_op(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (operation, into, keys) = (words[0], words[1], &words[2..]);
    let combine: fn(u8, u8) -> u8 = if is(operation, "AND") {
        |one, other| one & other
    } else if is(operation, "OR") {
        |one, other| one | other
    } else if is(operation, "XOR") {
        |one, other| one ^ other
    } else if is(operation, "NOT") {
        if keys.len() != 1 {
            return Err("ERR BITOP NOT must be called with a single source key.".into());
        }
        |one, _| !one
    } else {
        return Err(SYNTAX);
    };
    let values: Vec<_> = keys.iter().map(|key| writing.value(key)).collect();
    let length = values.iter().map(Bytes::len).max().unwrap_or(0);
    let mut result = values[0].to_vec();
    result.resize(length, 0);
    if is(operation, "NOT") {
        result.iter_mut().for_each(|byte| *byte = combine(*byte, 0));
    }
    for value in &values[1..] {
        for (at, byte) in result.iter_mut().enumerate() {
            *byte = combine(*byte, value.get(at).copied().unwrap_or(0));
        }
    }
    if length == 0 {
        remove(writing, into);
    } else if length <= MAX_VALUE_BYTES {
        writing.put(into, result, Attributes::default());
        writing.tell(About::String, "set", into);
    } else {
        return Err(TOO_LARGE.into());
    }
    Ok(Data::count(length))
}
