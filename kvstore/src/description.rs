//! A value's HTTP headers: its Content-Type and its Content-Encoding.

/// Longest Content-Type stored with a value, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 256;

/// Longest Content-Encoding stored with a value, in bytes.
pub const MAX_CONTENT_ENCODING_BYTES: usize = 64;

/// A value's HTTP headers. An empty text stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Description<'a> {
    /// The media type.
    pub content_type: &'a [u8],
    /// The content codings, in the order they were applied.
    pub content_encoding: &'a [u8],
}

impl Description<'_> {
    /// No headers.
    pub const NONE: Description<'static> = Description { content_type: b"", content_encoding: b"" };

    /// Whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of both texts, in bytes.
    pub fn len(&self) -> usize {
        self.content_type.len() + self.content_encoding.len()
    }

    /// Whether both texts are within their limits and can stand in a reply's head: neither ends a line.
    pub fn is_valid(&self) -> bool {
        self.content_type.len() <= MAX_CONTENT_TYPE_BYTES
            && self.content_encoding.len() <= MAX_CONTENT_ENCODING_BYTES
            && [self.content_type, self.content_encoding].iter().all(|text| is_field_value(text))
    }
}

/// Printable ASCII, with spaces and tabs inside.
fn is_field_value(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) && text.trim_ascii() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_end_a_line_is_valid() {
        let valid = |content_type: &[u8], content_encoding: &[u8]| {
            Description { content_type, content_encoding }.is_valid()
        };
        assert!(valid(b"", b"") && valid(b"text/plain; charset=\"a\tb\"", b"gzip, br"));
        for text in [b"a\rb".as_slice(), b"a\nb", b"\0", b"\x7f", b"\xe4", b" a", b"a "] {
            assert!(!valid(text, b"") && !valid(b"", text), "{text:?}");
        }
        assert!(valid(&[b'a'; MAX_CONTENT_TYPE_BYTES], &[b'a'; MAX_CONTENT_ENCODING_BYTES]));
        assert!(!valid(&[b'a'; MAX_CONTENT_TYPE_BYTES + 1], b""));
        assert!(!valid(b"", &[b'a'; MAX_CONTENT_ENCODING_BYTES + 1]));
    }
}
