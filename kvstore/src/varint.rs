//! Numbers in groups of seven bits, the lowest first (LEB128), as commands and snapshots hold them.

/// Why bytes do not start with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAVarint {
    CutShort,
    TooLarge,
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number of 64 bits and at most so many bytes. A longer one is too large, even if it is padded with zeros.
pub(crate) fn take_varint(rest: &mut &[u8], most_bytes: u32) -> Result<u64, NotAVarint> {
    let mut number = 0;
    for shift in (0..7 * most_bytes).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(NotAVarint::CutShort)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        number |= bits << shift;
        if number >> shift != bits {
            return Err(NotAVarint::TooLarge);
        }
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(NotAVarint::TooLarge)
}
