//! Integers of any width among the bits of a value: BITFIELD.

use super::bits::{BAD_OFFSET, MOST_BITS, bit_of, put_bit};
use super::words::{SYNTAX, integer, is};
use super::{Answer, Failure, Reading, Words, Writing};
use crate::Data;
use crate::command::MAX_VALUE_BYTES;
use crate::decimal::decimal;
use crate::notices::About;

/// An integer's width in bits, and whether it has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Width {
    signed: bool,
    bits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Get,
    Set(i64),
    Add(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operation {
    width: Width,
    offset: usize,
    change: Change,
    overflow: Overflow,
}

impl Width {
    fn read(word: &[u8]) -> Result<Width, Failure> {
        let bad = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        let (signed, most) = match word.first() {
            Some(b'i') => (true, 64),
            Some(b'u') => (false, 63),
            _ => return Err(bad.into()),
        };
        match decimal(&word[1..]) {
            Some(bits) if (1..=most).contains(&bits) => Ok(Width { signed, bits: bits as u32 }),
            _ => Err(bad.into()),
        }
    }

    fn range(self) -> (i128, i128) {
        if self.signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    /// The number that is stored for one that may not fit; `None` if that is refused.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (least, most) = self.range();
        if (least..=most).contains(&number) {
            return Some(number);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(number.clamp(least, most)),
            Overflow::Wrap => Some(least + (number - least).rem_euclid(1 << self.bits)),
        }
    }

    fn get(self, value: &[u8], offset: usize) -> i128 {
        let bits = (offset..offset + self.bits as usize)
            .fold(0i128, |number, at| number << 1 | i128::from(bit_of(value, at)));
        let (_, most) = self.range();
        if bits > most { bits - (1 << self.bits) } else { bits }
    }

    fn set(self, value: &mut Vec<u8>, offset: usize, number: i128) {
        let end = offset + self.bits as usize;
        value.resize(value.len().max(end.div_ceil(8)), 0);
        for at in offset..end {
            put_bit(value, at, number >> (end - 1 - at) & 1 == 1);
        }
    }
}

/// The place of an integer, which is only read, or changed.
fn offset(word: &[u8], width: Width, is_read: bool) -> Result<usize, Failure> {
    let (digits, unit) = match word {
        [b'#', digits @ ..] => (digits, i64::from(width.bits)),
        digits => (digits, 1),
    };
    let offset = decimal(digits).and_then(|number| number.checked_mul(unit)).filter(|offset| *offset >= 0);
    let fits = |offset: &usize| match is_read {
        true => *offset < MOST_BITS,
        false => offset + width.bits as usize <= 8 * MAX_VALUE_BYTES,
    };
    offset.and_then(|offset| usize::try_from(offset).ok()).filter(fits).ok_or(BAD_OFFSET.into())
}

fn operations(words: Words<'_>) -> Result<Vec<Operation>, Failure> {
    let (mut all, mut overflow) = (Vec::new(), Overflow::Wrap);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().copied().ok_or(SYNTAX);
        if is(word, "OVERFLOW") {
            let how = next()?;
            overflow = match () {
                () if is(how, "WRAP") => Overflow::Wrap,
                () if is(how, "SAT") => Overflow::Saturate,
                () if is(how, "FAIL") => Overflow::Fail,
                () => return Err("ERR Invalid OVERFLOW type specified".into()),
            };
            continue;
        }
        let known = ["GET", "SET", "INCRBY"].iter().position(|name| is(word, name)).ok_or(SYNTAX)?;
        let (width, offset_word) = (next()?, next()?);
        let number = if known == 0 { None } else { Some(next()?) };
        let width = Width::read(width)?;
        let offset = offset(offset_word, width, known == 0)?;
        let change = match number {
            None => Change::Get,
            Some(number) if known == 1 => Change::Set(integer(number)?),
            Some(number) => Change::Add(integer(number)?),
        };
        all.push(Operation { width, offset, change, overflow });
    }
    Ok(all)
}

fn shown(number: i128) -> Data {
    Data::Integer(number as i64)
}

pub(super) fn bit_field(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let operations = operations(&words[1..])?;
    let mut value = writing.value(words[0]).to_vec();
    let mut changed = false;
    // Redis makes room for all changes before the first.
    for operation in operations.iter().filter(|operation| operation.change != Change::Get) {
        let end = (operation.offset + operation.width.bits as usize).div_ceil(8);
        changed |= value.len() < end;
        value.resize(value.len().max(end), 0);
    }
    let mut answers = Vec::with_capacity(operations.len());
    for Operation { width, offset, change, overflow } in operations {
        let before = width.get(&value, offset);
        let (new, shows_new) = match change {
            Change::Get => {
                answers.push(shown(before));
                continue;
            }
            Change::Set(number) if width.signed => (i128::from(number), false),
            Change::Set(number) => (i128::from(number.cast_unsigned()), false),
            Change::Add(number) => (before + i128::from(number), true),
        };
        answers.push(match width.fit(new, overflow) {
            None => Data::Null,
            Some(new) => {
                width.set(&mut value, offset, new);
                changed |= new != before;
                shown(if shows_new { new } else { before })
            }
        });
    }
    if changed {
        writing.change(words[0], value);
        writing.tell(About::String, "setbit", words[0]);
    }
    Ok(Data::Array(answers))
}

pub(super) fn bit_field_ro(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let operations = operations(&words[1..])?;
    if operations.iter().any(|operation| operation.change != Change::Get) {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    let value = reading.value(words[0]);
    Ok(Data::Array(
        operations.iter().map(|operation| shown(operation.width.get(&value, operation.offset))).collect(),
    ))
}
