//! Decodes chunked bodies (RFC 9112, section 7.1).

use memchr::memchr;

use super::list::{is_token, is_token_byte, quoted, trim};

/// Longest line with a chunk's size, including extensions, which are skipped.
const MAX_SIZE_LINE_BYTES: usize = 256;

/// Most bytes of trailer lines, which are skipped, too.
const MAX_TRAILER_BYTES: usize = 8 << 10;

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Chunked {
    stage: Stage,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Size,
    Data { left: usize },
    DataEnd,
    Trailer,
    Done,
}

/// Why bytes are not a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkError {
    Malformed,
    /// The body is longer than the limit.
    TooLong,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked { stage: Stage::Size, trailer_bytes: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Decodes what it can of `input`, appends it to `body`, which may grow to `limit` bytes, and returns how
    /// much of the input it has consumed.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ChunkError> {
        let mut rest = input;
        loop {
            let consumed = match self.stage {
                Stage::Size => self.size(rest, limit.saturating_sub(body.len()))?,
                Stage::Data { left } => {
                    let take = left.min(rest.len());
                    body.extend_from_slice(&rest[..take]);
                    self.stage =
                        if take == left { Stage::DataEnd } else { Stage::Data { left: left - take } };
                    take
                }
                Stage::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.stage = Stage::Size;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err(ChunkError::Malformed),
                },
                Stage::Trailer => self.trailer(rest)?,
                Stage::Done => 0,
            };
            if consumed == 0 {
                return Ok(input.len() - rest.len());
            }
            rest = &rest[consumed..];
        }
    }

    fn size(&mut self, input: &[u8], room: usize) -> Result<usize, ChunkError> {
        let Some(end) = memchr(b'\n', &input[..input.len().min(MAX_SIZE_LINE_BYTES)]) else {
            return if input.len() < MAX_SIZE_LINE_BYTES { Ok(0) } else { Err(ChunkError::Malformed) };
        };
        let line = input[..end].strip_suffix(b"\r").ok_or(ChunkError::Malformed)?;
        let count = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extensions) = line.split_at(count);
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| !digits.is_empty() && are_extensions(extensions))
            .ok_or(ChunkError::Malformed)?;
        // A number that does not fit is too long for any limit.
        let left = usize::from_str_radix(digits, 16).or(Err(ChunkError::TooLong))?;
        if left > room {
            return Err(ChunkError::TooLong);
        }
        self.stage = if left == 0 { Stage::Trailer } else { Stage::Data { left } };
        Ok(end + 1)
    }

    fn trailer(&mut self, input: &[u8]) -> Result<usize, ChunkError> {
        let end = memchr(b'\n', input);
        if self.trailer_bytes + end.unwrap_or(input.len()) > MAX_TRAILER_BYTES {
            return Err(ChunkError::Malformed);
        }
        let Some(end) = end else {
            return Ok(0);
        };
        self.trailer_bytes += end + 1;
        match input[..end].strip_suffix(b"\r") {
            Some([]) => self.stage = Stage::Done,
            Some(line) if is_field_line(line) => {}
            _ => return Err(ChunkError::Malformed),
        }
        Ok(end + 1)
    }
}

/// Whether these are only extensions of a chunk: names with or without values, each after a semicolon.
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(extension) = trim_start(rest).strip_prefix(b";") else { return false };
        let (name, behind) = take_token(trim_start(extension));
        rest = match trim_start(behind).strip_prefix(b"=") {
            None => behind,
            Some(value) => match take_value(trim_start(value)) {
                Some(behind) => behind,
                None => return false,
            },
        };
        if name.is_empty() {
            return false;
        }
    }
    true
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blank..]
}

fn take_token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| is_token_byte(**byte)).count())
}

/// What follows a token or a quoted string.
fn take_value(text: &[u8]) -> Option<&[u8]> {
    if !text.starts_with(b"\"") {
        let (token, behind) = take_token(text);
        return (!token.is_empty()).then_some(behind);
    }
    let mut escaped = false;
    let end = text[1..].iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    let (string, behind) = text.split_at(end + 2);
    quoted(string).map(|_| behind)
}

/// Whether this is a header line.
fn is_field_line(line: &[u8]) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| {
        let value = trim(&line[colon + 1..]);
        is_token(&line[..colon]) && value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Decodes a stream that comes in pieces: the body, and what follows it.
    fn decode(stream: &[u8], step: usize, limit: usize) -> Result<(Vec<u8>, Vec<u8>), ChunkError> {
        let (mut chunked, mut body, mut waiting) = (Chunked::new(), Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            waiting.extend_from_slice(piece);
            let consumed = chunked.decode(&waiting, &mut body, limit)?;
            waiting.drain(..consumed);
        }
        assert!(chunked.is_done() || body.len() < limit, "not done: {chunked:?}");
        Ok((body, waiting))
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_body(chunks in vec(vec(any::<u8>(), 1..40), 0..6), step in 1usize..20) {
            let mut stream = Vec::new();
            for chunk in &chunks {
                stream.extend_from_slice(format!("{:X};name=value\r\n", chunk.len()).as_bytes());
                stream.extend_from_slice(chunk);
                stream.extend_from_slice(b"\r\n");
            }
            stream.extend_from_slice(b"0\r\nTrailer: passed over\r\n\r\nNEXT");
            prop_assert_eq!(decode(&stream, step, 1 << 20), Ok((chunks.concat(), b"NEXT".to_vec())));
        }

        #[test]
        fn random_bytes_do_no_harm(stream in vec(prop_oneof![Just(b'\n'), Just(b'1'), any::<u8>()], 1..80), step in 1usize..9) {
            let _ = Chunked::new().decode(&stream, &mut Vec::new(), 1 << 20);
            let _ = decode(&stream, step, usize::MAX);
        }
    }

    #[test]
    fn a_size_is_hexadecimal_digits_and_extensions() {
        for size in ["5", "0005", "5;a", "5;a=b", "5 ; a = \"b;\\\"c\" ;d", "5\t;a"] {
            let stream = format!("{size}\r\nhello\r\n0\r\n\r\n");
            assert_eq!(decode(stream.as_bytes(), 3, 9), Ok((b"hello".to_vec(), vec![])), "{size}");
        }
        for size in [
            "",
            " 5",
            "5 ",
            "+5",
            "-5",
            "0x5",
            "5h",
            "5_0",
            "5,5",
            "5;",
            "5;;a",
            "5 a",
            "5;a=",
            "5;a=\"b",
            "5;a=\"b\"c",
            "5;a b",
            "5;a\rb",
            "5;\0",
            "\u{ff15}",
        ] {
            let stream = format!("{size}\r\nhello\r\n0\r\n\r\n");
            assert_eq!(decode(stream.as_bytes(), 3, 9), Err(ChunkError::Malformed), "{size:?}");
        }
    }

    #[test]
    fn no_stray_byte_is_passed_over() {
        for stream in [
            "5\r\nhello!\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\n\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\nA: b\r\n c\r\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
        ] {
            for step in [1, 100] {
                assert_eq!(decode(stream.as_bytes(), step, 9), Err(ChunkError::Malformed), "{stream:?}");
            }
        }
    }

    #[test]
    fn limits_hold() {
        assert_eq!(decode(b"5\r\nhello\r\n0\r\n\r\n", 1, 4), Err(ChunkError::TooLong));
        assert_eq!(decode(b"ffffffffffffffffffffff\r\n", 9, 4), Err(ChunkError::TooLong));
        for malformed in [b"x\r\n".as_slice(), b"\r\n", b"1\n", b"1\r\nab", &[b'0'; MAX_SIZE_LINE_BYTES]] {
            assert_eq!(decode(malformed, 4, 1 << 20), Err(ChunkError::Malformed));
        }
        let endless = [b"0\r\n".as_slice(), "Trailer: x\r\n".repeat(1000).as_bytes()].concat();
        assert_eq!(decode(&endless, 100, 1 << 20), Err(ChunkError::Malformed));
    }
}
