//! Cuts a byte stream into requests: arrays of bulk strings, or lines of words.

use std::ops::Range;

use memchr::memchr;

use super::errors::{ProtocolError, TooLarge};
use super::limits::{MAX_ARGUMENTS, MAX_BULK_BYTES, MAX_REQUEST_BYTES};
use super::number_line::number_line;
use super::skip::Skip;
use crate::command::MAX_VALUE_BYTES;
use crate::protocol::Foreign;

/// Up to this many arguments above [`MAX_ARGUMENTS`] are skipped, and the connection stays open. No client
/// means to send more.
const MAX_COUNT: usize = 16 * MAX_ARGUMENTS;

/// Longest line of words, as in Redis.
const MAX_INLINE_BYTES: usize = 64 << 10;

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command's name and its arguments. Empty for an empty line or an empty array, which are skipped.
    pub arguments: Vec<Vec<u8>>,
    /// The request's length in the input, in bytes.
    pub length: usize,
}

/// Parses one request at the start of `input`; `None` if it is incomplete.
///
/// ```
/// use niagara_kvstore::resp::parse;
///
/// let request = parse(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n...").unwrap().unwrap();
/// assert_eq!(request.arguments, [b"GET".as_slice(), b"k"]);
/// assert_eq!(request.length, 20);
/// assert_eq!(parse(b"*2\r\n$3\r\nGE"), Ok(None));
/// assert_eq!(parse(b"SET k 'two words'\r\n").unwrap().unwrap().arguments[2], b"two words");
/// ```
pub fn parse(input: &[u8]) -> Result<Option<Request>, ProtocolError> {
    let mut parser = Parser::default();
    let length = parser.parse(input)?;
    let arguments = || parser.arguments(input).iter().map(<[u8]>::to_vec).collect();
    Ok(length.map(|length| Request { arguments: arguments(), length }))
}

/// The parser of one connection. It remembers how far it is with an incomplete request, so a request costs
/// the same in any number of pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Where the arguments lie: in the input, or in `words`.
    ranges: Vec<Range<u32>>,
    /// Arguments still to come; `None` until their number is known.
    missing: Option<usize>,
    /// How much of the input has been parsed.
    at: usize,
    /// How much of the input has been searched for the end of a line.
    searched: u32,
    /// How long the input has to be before it makes sense to parse on, if its beginning says so.
    announced: u32,
    /// The words of a line, without quotes and escapes.
    words: Vec<u8>,
    inline: bool,
    complete: bool,
    /// The rest of a request that is too large.
    skip: Option<Skip>,
}

/// The arguments of one request; the first is the command's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range<u32>],
}

impl<'a> Arguments<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// # Panics
    /// If there is no such argument.
    pub(crate) fn get(&self, index: usize) -> &'a [u8] {
        let range = &self.ranges[index];
        &self.bytes[range.start as usize..range.end as usize]
    }

    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        self.ranges.iter().map(move |range| &self.bytes[range.start as usize..range.end as usize])
    }

    /// The arguments from `first` on.
    pub(crate) fn from(self, first: usize) -> Arguments<'a> {
        Arguments { ranges: &self.ranges[first.min(self.ranges.len())..], ..self }
    }
}

impl Parser {
    /// Continues with the request at the start of `input`, which must start like the input of the previous
    /// call. Returns the request's length once it is complete, repeatedly until [`reset`](Parser::reset).
    pub(crate) fn parse(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        while !self.complete {
            let progress = match (self.missing, input.get(self.at)) {
                (_, None) => false,
                (None, Some(b'*')) => self.count(input)?,
                (None, Some(_)) => self.line(input)?,
                (Some(_), Some(_)) => self.argument(input)?,
            };
            if !progress {
                return Ok(None);
            }
        }
        Ok(Some(self.at))
    }

    pub(crate) fn arguments<'a>(&'a self, input: &'a [u8]) -> Arguments<'a> {
        Arguments { bytes: if self.inline { &self.words } else { input }, ranges: &self.ranges }
    }

    /// How long an incomplete request is at least.
    pub(crate) fn announced(&self) -> usize {
        self.announced as usize
    }

    /// The length of the complete request.
    pub(crate) fn length(&self) -> usize {
        assert!(self.complete, "a request has a length once it is complete");
        self.at
    }

    /// Whether the complete request is a line of words.
    pub(crate) fn is_line(&self) -> bool {
        self.inline
    }

    /// After [`ProtocolError::TooLarge`]: how much of the input has been parsed, and how to skip the rest.
    pub(super) fn take_skip(&mut self) -> Option<(usize, Skip)> {
        self.skip.take().map(|skip| (self.at, skip))
    }

    /// Starts the next request.
    pub(crate) fn reset(&mut self) {
        let (mut ranges, mut words) = (std::mem::take(&mut self.ranges), std::mem::take(&mut self.words));
        ranges.clear();
        words.clear();
        // A connection that once sent a huge request does not keep its memory.
        ranges.shrink_to(16);
        words.shrink_to(256);
        *self = Parser { ranges, words, ..Parser::default() };
    }

    fn count(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        let Some(count) = self.number(input, ProtocolError::LongCountLine, ProtocolError::InvalidCount)?
        else {
            return Ok(false);
        };
        // Redis skips an array without arguments, or of negative length.
        let count = count.max(0) as usize;
        if count > MAX_COUNT {
            return Err(ProtocolError::InvalidCount);
        }
        if count > MAX_ARGUMENTS {
            let why = TooLarge::Arguments(count as u64);
            return self.too_large(why, None, count);
        }
        self.missing = Some(count);
        self.complete = count == 0;
        Ok(true)
    }

    fn argument(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        if input[self.at] != b'$' {
            return Err(ProtocolError::NoDollar(input[self.at]));
        }
        let line = self.at;
        let Some(length) = self.number(input, ProtocolError::LongLengthLine, ProtocolError::InvalidLength)?
        else {
            return Ok(false);
        };
        let length = u64::try_from(length)
            .ok()
            .filter(|&length| length <= MAX_BULK_BYTES)
            .ok_or(ProtocolError::InvalidLength)?;
        let (start, end) = (self.at, self.at + length as usize);
        if length > MAX_VALUE_BYTES as u64 || end + 2 > MAX_REQUEST_BYTES {
            let is_value = length > MAX_VALUE_BYTES as u64;
            let why = if is_value { TooLarge::Value(length) } else { TooLarge::Request };
            let behind = self.missing.expect("arguments come after their number") - 1;
            return self.too_large(why, Some(length), behind);
        }
        let Some(line_end) = input.get(end..end + 2) else {
            // The short line with the length is read again when more has arrived.
            self.at = line;
            self.announced = (end + 2) as u32;
            return Ok(false);
        };
        if line_end != b"\r\n" {
            return Err(ProtocolError::NoLineEnd);
        }
        self.ranges.push(start as u32..end as u32);
        self.at = end + 2;
        let missing = self.missing.as_mut().expect("arguments come after their number");
        *missing -= 1;
        self.complete = *missing == 0;
        Ok(true)
    }

    /// Records how to skip the request.
    fn too_large(
        &mut self,
        why: TooLarge,
        argument: Option<u64>,
        behind: usize,
    ) -> Result<bool, ProtocolError> {
        self.skip = Some(Skip::new(why, argument, behind as u64));
        Err(why.into())
    }

    /// Reads the line at `at`: a sign of its kind, a number, and the line's end.
    fn number(
        &mut self,
        input: &[u8],
        too_long: ProtocolError,
        invalid: ProtocolError,
    ) -> Result<Option<i64>, ProtocolError> {
        let Some((number, width)) = number_line(&input[self.at..], too_long, invalid)? else {
            return Ok(None);
        };
        self.at += width;
        Ok(Some(number))
    }

    /// A line of words, as a person types it.
    fn line(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        if let Some(foreign) = Foreign::anywhere(input) {
            return Err(foreign.into());
        }
        let searched = self.searched as usize;
        let Some(end) = memchr(b'\n', &input[searched..]).map(|end| searched + end) else {
            if input.len() > MAX_INLINE_BYTES {
                return Err(ProtocolError::LongInline);
            }
            self.searched = input.len() as u32;
            return Ok(false);
        };
        if end > MAX_INLINE_BYTES {
            return Err(ProtocolError::LongInline);
        }
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        self.inline = true;
        self.split(line)?;
        self.at = end + 1;
        self.complete = true;
        Ok(true)
    }

    /// Splits a line at spaces; quoted words may hold spaces and escapes.
    fn split(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        let mut rest = trim_start(line);
        while !rest.is_empty() {
            let start = self.words.len();
            rest = trim_start(self.word(rest)?);
            self.ranges.push(start as u32..self.words.len() as u32);
        }
        Ok(())
    }

    /// Takes one word off the line and returns what follows. A quotation may start within a word; its end
    /// ends the word.
    fn word<'l>(&mut self, line: &'l [u8]) -> Result<&'l [u8], ProtocolError> {
        let mut rest = line;
        loop {
            rest = match rest {
                [] => return Ok(rest),
                [byte, ..] if ends_word(*byte) => return Ok(rest),
                [quote @ (b'"' | b'\''), tail @ ..] => return self.quotation(*quote, tail),
                [byte, tail @ ..] => {
                    self.words.push(*byte);
                    tail
                }
            }
        }
    }

    fn quotation<'l>(&mut self, quote: u8, line: &'l [u8]) -> Result<&'l [u8], ProtocolError> {
        let mut rest = line;
        loop {
            let (byte, tail) = match rest {
                [end, tail @ ..] if *end == quote => {
                    let closed = tail.first().is_none_or(|byte| is_space(*byte));
                    return if closed { Ok(tail) } else { Err(ProtocolError::UnbalancedQuotes) };
                }
                [b'\\', b'\'', tail @ ..] if quote == b'\'' => (b'\'', tail),
                [b'\\', b'x', high, low, tail @ ..]
                    if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    (hex_digit(*high) << 4 | hex_digit(*low), tail)
                }
                [b'\\', escaped, tail @ ..] if quote == b'"' => (unescaped(*escaped), tail),
                [byte, tail @ ..] => (*byte, tail),
                [] => return Err(ProtocolError::UnbalancedQuotes),
            };
            self.words.push(byte);
            rest = tail;
        }
    }
}

/// Whether this byte separates words: what C calls a space.
fn is_space(byte: u8) -> bool {
    ends_word(byte) || matches!(byte, 0x0b | 0x0c)
}

/// Whether this byte ends an unquoted word. Vertical tabs and form feeds do not, as in Redis.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn trim_start(line: &[u8]) -> &[u8] {
    let spaces = line.iter().take_while(|byte| is_space(**byte)).count();
    &line[spaces..]
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
