//! Lines that hold a count or a length.

use memchr::memchr;

use super::errors::ProtocolError;
use super::limits::MAX_NUMBER_LINE_BYTES;
use crate::decimal::decimal;

/// The line at the start of `bytes`: a sign of its kind, a number, and the line's end. Returns the number and
/// the line's length.
pub(super) fn number_line(
    bytes: &[u8],
    too_long: ProtocolError,
    invalid: ProtocolError,
) -> Result<Option<(i64, usize)>, ProtocolError> {
    let Some(end) = memchr(b'\n', &bytes[..bytes.len().min(MAX_NUMBER_LINE_BYTES)]) else {
        return if bytes.len() < MAX_NUMBER_LINE_BYTES { Ok(None) } else { Err(too_long) };
    };
    let digits = bytes[1..end].strip_suffix(b"\r").ok_or(invalid)?;
    decimal(digits).map(|number| Some((number, end + 1))).ok_or(invalid)
}
