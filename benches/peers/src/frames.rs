//! Messages on a stream: each behind its length, as four bytes, least significant first.

use std::mem;

use anyhow::{Result, ensure};
use serde::Serialize;

/// The length in front of a message.
pub const HEADER: usize = 4;
/// No crate here sends more at once; what claims to is not a frame.
const LONGEST: usize = 1 << 30;

/// Appends a frame with what `encode` appends.
///
/// # Errors
/// When that fails.
pub fn append(buffer: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let begin = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    encode(buffer)?;
    let length = buffer.len() - begin - HEADER;
    ensure!(length <= LONGEST, "a message of {length} bytes is too long");
    buffer[begin..begin + HEADER].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(())
}

/// Appends a frame with a value, in the encoding of the crates that leave it to their users.
///
/// # Errors
/// When it cannot be encoded.
pub fn append_value(buffer: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    append(buffer, |buffer| encode(buffer, value))
}

/// Appends a value without a header.
///
/// # Errors
/// When it cannot be encoded.
pub fn encode(buffer: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    *buffer = postcard::to_extend(value, mem::take(buffer))?;
    Ok(())
}

/// The length that a header holds.
///
/// # Errors
/// When no frame is so long.
pub fn length(header: [u8; HEADER]) -> Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    ensure!(length <= LONGEST, "a frame claims to have {length} bytes");
    Ok(length)
}

/// The first message in a buffer, without its header, if all of it is there.
///
/// # Errors
/// When it is not a frame.
pub fn first(buffer: &[u8]) -> Result<Option<&[u8]>> {
    let Some((header, rest)) = buffer.split_first_chunk() else { return Ok(None) };
    Ok(rest.get(..length(*header)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_comes_back_once_it_is_complete() -> Result<()> {
        let mut buffer = Vec::new();
        append(&mut buffer, |buffer| {
            buffer.extend_from_slice(b"hello");
            Ok(())
        })?;
        append(&mut buffer, |_| Ok(()))?;
        assert_eq!(first(&buffer)?, Some(&b"hello"[..]));
        assert_eq!(first(&buffer[9..])?, Some(&b""[..]));
        assert_eq!(first(&buffer[..8])?, None);
        assert_eq!(first(&buffer[..3])?, None);
        assert!(first(&[0xFF; 8]).is_err());
        Ok(())
    }
}
