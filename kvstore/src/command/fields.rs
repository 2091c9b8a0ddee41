//! The fields of commands.

use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, MalformedCommand};
use crate::table::Op;
use crate::varint::{NotAVarint, put_varint, take_varint};
use crate::{Description, Life};

const CUT_SHORT: MalformedCommand = MalformedCommand("it ends too early");
const TOO_LARGE: MalformedCommand = MalformedCommand("a length is too large");
const BAD_DESCRIPTION: MalformedCommand =
    MalformedCommand("a value's description is too long or not printable");
pub(super) const KEY_TOO_LONG: MalformedCommand = MalformedCommand("a key is longer than 65536 bytes");
pub(super) const VALUE_TOO_LONG: MalformedCommand = MalformedCommand("a value is longer than 16 MiB");
/// A count or length has at most 32 bits.
const COUNT_BYTES_MAX: u32 = 5;

pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a list.
pub(super) fn put_list<'k>(out: &mut Vec<u8>, items: impl ExactSizeIterator<Item = &'k [u8]>) {
    put_count(out, items.len());
    items.for_each(|item| put_sized(out, item));
}

pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("front ends bound a request far below 4 GiB");
    put_varint(out, count.into());
}

pub(super) fn take_u8(rest: &mut &[u8]) -> Result<u8, MalformedCommand> {
    let (&first, tail) = rest.split_first().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(first)
}

pub(super) fn take_flag(rest: &mut &[u8]) -> Result<bool, MalformedCommand> {
    match take_u8(rest)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(MalformedCommand("a flag is neither 0 nor 1")),
    }
}

pub(super) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], MalformedCommand> {
    let (head, tail) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(*head)
}

pub(super) fn take_u64(rest: &mut &[u8]) -> Result<u64, MalformedCommand> {
    take_array(rest).map(u64::from_le_bytes)
}

pub(crate) fn take_op(rest: &mut &[u8]) -> Result<Op, MalformedCommand> {
    let number = take_count(rest)?;
    let op = u16::try_from(number).ok().and_then(Op::of);
    op.ok_or(MalformedCommand("unknown call; a newer version may have written it"))
}

pub(crate) fn take_count(rest: &mut &[u8]) -> Result<usize, MalformedCommand> {
    let count = take_varint(rest, COUNT_BYTES_MAX).map_err(|error| match error {
        NotAVarint::CutShort => CUT_SHORT,
        NotAVarint::TooLarge => TOO_LARGE,
    })?;
    u32::try_from(count).map(|count| count as usize).or(Err(TOO_LARGE))
}

pub(crate) fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let length = take_count(rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(bytes)
}

pub(super) fn take_life(rest: &mut &[u8]) -> Result<Life, MalformedCommand> {
    let number = u64::from_le_bytes(take_array(rest)?);
    Life::new(number).ok_or(MalformedCommand("a life has the number 0"))
}

pub(super) fn take_description<'a>(rest: &mut &'a [u8]) -> Result<Description<'a>, MalformedCommand> {
    let description = Description { content_type: take_sized(rest)?, content_encoding: take_sized(rest)? };
    if description.is_valid() { Ok(description) } else { Err(BAD_DESCRIPTION) }
}

pub(super) fn take_key<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let key = take_sized(rest)?;
    if key.len() <= MAX_KEY_BYTES { Ok(key) } else { Err(KEY_TOO_LONG) }
}

pub(super) fn take_last_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let value = std::mem::take(rest);
    if value.len() <= MAX_VALUE_BYTES { Ok(value) } else { Err(VALUE_TOO_LONG) }
}
