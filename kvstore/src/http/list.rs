//! The parts of header values (RFC 9110, section 5.6).

use std::borrow::Cow;

/// Adds another line of a header to the earlier ones: lines of the same name are one list (section 5.3).
pub(super) fn join<'a>(lines: &mut Option<Cow<'a, [u8]>>, line: &'a [u8]) {
    match lines {
        None => *lines = Some(Cow::Borrowed(line)),
        Some(before) => {
            let before = before.to_mut();
            before.extend_from_slice(b", ");
            before.extend_from_slice(line);
        }
    }
}

/// The elements of a list, without empty ones. A comma in a quoted string separates nothing.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(list, b',').filter(|element| !element.is_empty())
}

/// The parts between separators, without surrounding spaces. A separator in a quoted string does not count.
pub(super) fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.iter().position(|&byte| {
            let ends = byte == separator && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(trim(&text[..end.unwrap_or(text.len())]))
    })
}

/// Without surrounding optional white space.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The content of a quoted string that takes all of `text`, without its escapes.
pub(super) fn quoted(text: &[u8]) -> Option<&[u8]> {
    let content = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        let allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        let fits = match byte {
            b'"' => false,
            b'\\' => bytes.next().is_some_and(allowed),
            byte => allowed(byte),
        };
        if !fits {
            return None;
        }
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &str) -> Vec<&str> {
        elements(list.as_bytes()).map(|element| std::str::from_utf8(element).unwrap()).collect()
    }

    #[test]
    fn empty_elements_and_white_space_mean_nothing() {
        assert_eq!(all("a,b"), ["a", "b"]);
        assert_eq!(all(" ,, a\t,\t ,b c , "), ["a", "b c"]);
        assert_eq!(all(""), [""; 0]);
        assert_eq!(all(" , ,"), [""; 0]);
    }

    #[test]
    fn commas_in_quoted_strings_separate_nothing() {
        assert_eq!(all(r#""a,b", c="d\",e" ,f"#), [r#""a,b""#, r#"c="d\",e""#, "f"]);
        assert_eq!(all(r#""a, b"#), [r#""a, b"#]);
    }

    #[test]
    fn lines_become_one_list() {
        let mut lines = None;
        for line in [b"a".as_slice(), b"", b"b, c"] {
            join(&mut lines, line);
        }
        assert_eq!(all(std::str::from_utf8(&lines.unwrap()).unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn quoted_strings_end_where_they_say() {
        assert_eq!(quoted(br#""a\"b\\""#), Some(br#"a\"b\\"#.as_slice()));
        for bad in [r#"a"#, r#"""#, r#""a"b""#, r#""a\""#, "\"a\x01\""] {
            assert_eq!(quoted(bad.as_bytes()), None, "{bad}");
        }
    }
}
