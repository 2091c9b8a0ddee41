//! Skips a request that is too large, so that the connection can continue after it.

use super::errors::{ProtocolError, TooLarge};
use super::limits::MAX_BULK_BYTES;
use super::number_line::number_line;
use crate::protocol::Input;

/// The rest of a request, none of which is kept.
#[derive(Debug)]
pub(super) struct Skip {
    pub(super) why: TooLarge,
    /// Arguments still to come, after the one being skipped.
    arguments: u64,
    /// What is still to come of an argument.
    bytes: u64,
    /// The end of its line is still to come.
    line_end: bool,
}

impl Skip {
    /// Starts with an argument of `bytes` bytes, or with none.
    pub(super) fn new(why: TooLarge, bytes: Option<u64>, arguments: u64) -> Skip {
        Skip { why, arguments, bytes: bytes.unwrap_or(0), line_end: bytes.is_some() }
    }

    /// Skips what has arrived; `false` if more is to come.
    pub(super) fn advance(&mut self, input: &mut Input) -> Result<bool, ProtocolError> {
        loop {
            let passed = self.bytes.min(input.len() as u64);
            input.consume(passed as usize);
            self.bytes -= passed;
            if self.bytes > 0 {
                return Ok(false);
            }
            if self.line_end {
                match input.bytes() {
                    [b'\r', b'\n', ..] => input.consume(2),
                    [] | [_] => return Ok(false),
                    _ => return Err(ProtocolError::NoLineEnd),
                }
                self.line_end = false;
            }
            if self.arguments == 0 {
                return Ok(true);
            }
            if !self.begin(input)? {
                return Ok(false);
            }
        }
    }

    /// Reads the length of the next argument; `false` if it is incomplete.
    fn begin(&mut self, input: &mut Input) -> Result<bool, ProtocolError> {
        let bytes = input.bytes();
        match bytes.first() {
            None => return Ok(false),
            Some(b'$') => {}
            Some(other) => return Err(ProtocolError::NoDollar(*other)),
        }
        let invalid = ProtocolError::InvalidLength;
        let Some((length, width)) = number_line(bytes, ProtocolError::LongLengthLine, invalid)? else {
            return Ok(false);
        };
        input.consume(width);
        self.bytes = u64::try_from(length).ok().filter(|length| *length <= MAX_BULK_BYTES).ok_or(invalid)?;
        self.line_end = true;
        self.arguments -= 1;
        Ok(true)
    }
}
