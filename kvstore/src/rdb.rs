//! Values as DUMP of Redis writes them, and RESTORE reads them.
//!
//! ```text
//! dump     type u8, 0 for a string | string | version u16 | checksum u64: CRC-64 of all before it
//! string   length | bytes, or a small number: 0xc0 i8, 0xc1 i16, 0xc2 i32, or compressed by LZF: 0xc3 | length of what
//!          follows | length of the string | bytes
//! length   00 and 6 bits | 01 and 14 bits, big-endian | 0x80 | u32, big-endian | 0x81 | u64, big-endian
//! ```
//!
//! Other integers are little-endian.

use crate::command::MAX_VALUE_BYTES;
use crate::decimal::decimal;

/// The version of the format, that of Redis 7.2. Later ones are refused, as by Redis.
const VERSION: u16 = 11;
const STRING: u8 = 0;
const FOOTER_BYTES: usize = 10;

/// Why bytes are no dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoDump(pub(crate) &'static str);

const DAMAGED: NoDump = NoDump("ERR DUMP payload version or checksum are wrong");
const MALFORMED: NoDump = NoDump("ERR Bad data format");
const NO_STRING: NoDump =
    NoDump("ERR Bad data format: only strings exist here, so only they can be restored");
const TOO_LARGE: NoDump = NoDump("ERR string exceeds maximum allowed size (16 MiB)");

/// The dump of a string.
pub(crate) fn dump(value: &[u8]) -> Vec<u8> {
    let mut out = vec![STRING];
    let number = if value.len() <= 11 { decimal(value) } else { None };
    match number {
        Some(number) if i8::try_from(number).is_ok() => out.extend([0xc0, number as u8]),
        Some(number) if i16::try_from(number).is_ok() => {
            out.push(0xc1);
            out.extend_from_slice(&(number as i16).to_le_bytes());
        }
        Some(number) if i32::try_from(number).is_ok() => {
            out.push(0xc2);
            out.extend_from_slice(&(number as i32).to_le_bytes());
        }
        _ => {
            put_length(&mut out, value.len());
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = crc64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// The string that a dump holds.
pub(crate) fn restored(dump: &[u8]) -> Result<Vec<u8>, NoDump> {
    let end = dump.len().checked_sub(FOOTER_BYTES).ok_or(DAMAGED)?;
    let (content, footer) = dump.split_at(end);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let checksum = u64::from_le_bytes(footer[2..].try_into().or(Err(DAMAGED))?);
    if version > VERSION || checksum != crc64(&dump[..end + 2]) {
        return Err(DAMAGED);
    }
    match content.split_first() {
        Some((&STRING, rest)) => {
            let mut rest = rest;
            let value = take_string(&mut rest)?;
            if rest.is_empty() { Ok(value) } else { Err(MALFORMED) }
        }
        Some(_) => Err(NO_STRING),
        None => Err(MALFORMED),
    }
}

fn take_string(rest: &mut &[u8]) -> Result<Vec<u8>, NoDump> {
    let number = |number: i64| number.to_string().into_bytes();
    match rest.first() {
        Some(0xc0) => Ok(number(i8::from_le_bytes(take_behind(rest)?).into())),
        Some(0xc1) => Ok(number(i16::from_le_bytes(take_behind(rest)?).into())),
        Some(0xc2) => Ok(number(i32::from_le_bytes(take_behind(rest)?).into())),
        Some(0xc3) => {
            *rest = &rest[1..];
            let compressed = take_length(rest)?;
            let length = take_length(rest)?;
            expanded(take(rest, compressed)?, length)
        }
        _ => {
            let length = take_length(rest)?;
            Ok(take(rest, length)?.to_vec())
        }
    }
}

/// Takes the bytes behind the next one.
fn take_behind<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NoDump> {
    *rest = &rest[1..];
    let (bytes, tail) = rest.split_first_chunk().ok_or(MALFORMED)?;
    *rest = tail;
    Ok(*bytes)
}

fn take<'d>(rest: &mut &'d [u8], length: usize) -> Result<&'d [u8], NoDump> {
    let (bytes, tail) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    *rest = tail;
    Ok(bytes)
}

/// A length that a value may have.
fn take_length(rest: &mut &[u8]) -> Result<usize, NoDump> {
    let length = match rest.first() {
        Some(&first @ 0..0x40) => {
            *rest = &rest[1..];
            u64::from(first)
        }
        Some(&first @ 0x40..0x80) => {
            let [second] = take_behind(rest)?;
            u64::from(first & 0x3f) << 8 | u64::from(second)
        }
        Some(0x80) => u32::from_be_bytes(take_behind(rest)?).into(),
        Some(0x81) => u64::from_be_bytes(take_behind(rest)?),
        _ => return Err(MALFORMED),
    };
    usize::try_from(length).ok().filter(|length| *length <= MAX_VALUE_BYTES).ok_or(TOO_LARGE)
}

/// Undoes LZF: runs of bytes, and references to what came before.
fn expanded(mut rest: &[u8], length: usize) -> Result<Vec<u8>, NoDump> {
    let mut out: Vec<u8> = Vec::new();
    while let Some((&control, tail)) = rest.split_first() {
        rest = tail;
        if control < 0x20 {
            out.extend_from_slice(take(&mut rest, usize::from(control) + 1)?);
        } else {
            let mut count = usize::from(control >> 5);
            if count == 7 {
                count += usize::from(take(&mut rest, 1)?[0]);
            }
            let back = (usize::from(control & 0x1f) << 8 | usize::from(take(&mut rest, 1)?[0])) + 1;
            let from = out.len().checked_sub(back).ok_or(MALFORMED)?;
            // What is copied may be part of the copy.
            for at in from..from + count + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > length {
            return Err(MALFORMED);
        }
    }
    if out.len() == length { Ok(out) } else { Err(MALFORMED) }
}

/// CRC-64 as Redis computes it: reflected, with the polynomial of Jones, from 0.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

const CRC_TABLE: [u64; 256] = {
    /// 0xad93d23594c935a9, from its lowest bit.
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        // DUMP of 10 in the manual of Redis, of an earlier version of the format.
        assert_eq!(restored(b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"), Ok(b"10".to_vec()));
    }

    /// A dump of these bytes.
    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut out = [content, &VERSION.to_le_bytes()].concat();
        let checksum = crc64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    #[test]
    fn what_redis_compresses_is_read() {
        // 30 times a: a run of one, and a reference to it.
        assert_eq!(restored(&sealed(b"\x00\xc3\x05\x1e\x00a\xe0\x14\x00")), Ok(vec![b'a'; 30]));
        for wrong in [
            &b"\x00\xc3\x05\x1f\x00a\xe0\x14\x00"[..],
            b"\x00\xc3\x05\x1d\x00a\xe0\x14\x00",
            b"\x00\xc3\x05\x1e\x00a\xe0\x14\x01",
            b"\x00\xc3\x04\x1e\x00a\xe0\x14",
            b"\x00\x03ab",
            b"\x00\x01ab",
            b"\x00\xc4",
            b"\x00",
            b"",
        ] {
            assert_eq!(restored(&sealed(wrong)), Err(MALFORMED), "{wrong:?}");
        }
        assert_eq!(restored(&sealed(b"\x01\x01a")), Err(NO_STRING));
        assert_eq!(restored(&sealed(b"\x00\x81\x00\x00\x00\x00\x10\x00\x00\x00")), Err(TOO_LARGE));
    }

    proptest! {
        #[test]
        fn what_is_dumped_is_restored(
            value in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20_000),
                any::<i64>().prop_map(|number| number.to_string().into_bytes()),
                any::<i16>().prop_map(|number| number.to_string().into_bytes()),
            ],
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let mut dump = dump(&value);
            prop_assert_eq!(restored(&dump), Ok(value));
            let at = at.index(dump.len());
            dump[at] ^= 1 << bit;
            prop_assert_eq!(restored(&dump), Err(DAMAGED));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(content in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = restored(&sealed(&[&[STRING][..], &content].concat()));
            let _ = restored(&content);
        }
    }
}
