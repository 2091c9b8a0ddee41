//! The fields of commands.

use super::MalformedCommand;
use crate::Life;

const CUT_SHORT: MalformedCommand = MalformedCommand("it ends too early");

pub(super) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    let mut rest = u32::try_from(count).expect("front ends bound a request far below 4 GiB");
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
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

pub(super) fn take_varint(rest: &mut &[u8]) -> Result<usize, MalformedCommand> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = take_u8(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value)
                .map(|value| value as usize)
                .or(Err(MalformedCommand("a length is too large")));
        }
    }
    Err(MalformedCommand("a length is too large"))
}

pub(super) fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let length = take_varint(rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = tail;
    Ok(bytes)
}

pub(super) fn take_life(rest: &mut &[u8]) -> Result<Life, MalformedCommand> {
    let number = u64::from_le_bytes(take_array(rest)?);
    Life::new(number).ok_or(MalformedCommand("a life has the number 0"))
}
