//! The headers of a PUT that are stored with its value (RFC 9110, sections 8.3 and 8.4).

use super::fault::Fault;
use super::list::{elements, is_token};
use super::media_type::is_media_type;
use super::parse::Head;
use crate::{Description, MAX_CONTENT_ENCODING_BYTES, MAX_CONTENT_TYPE_BYTES};

/// An owned description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnDescription {
    content_type: Vec<u8>,
    content_encoding: Vec<u8>,
}

impl OwnDescription {
    /// Reads it from the head of a PUT.
    pub(super) fn of(head: &Head<'_>) -> Result<OwnDescription, Fault> {
        Ok(OwnDescription { content_type: content_type(head)?, content_encoding: content_encoding(head)? })
    }

    pub(super) fn get(&self) -> Description<'_> {
        Description { content_type: &self.content_type, content_encoding: &self.content_encoding }
    }
}

fn content_type(head: &Head<'_>) -> Result<Vec<u8>, Fault> {
    let Some(text) = &head.content_type else { return Ok(Vec::new()) };
    if text.len() > MAX_CONTENT_TYPE_BYTES {
        return Err(Fault::header_too_large("Content-Type", MAX_CONTENT_TYPE_BYTES));
    }
    // A quoted parameter may hold bytes beyond ASCII, whose encoding is unknown.
    if !is_media_type(text) || !text.is_ascii() {
        return Err(Fault::bad_request(
            "Content-Type is not a media type",
            "send one such as text/plain; charset=utf-8, or leave it out",
        ));
    }
    Ok(text.to_vec())
}

/// The codings as one list. `identity` means none and is left out.
fn content_encoding(head: &Head<'_>) -> Result<Vec<u8>, Fault> {
    let Some(list) = &head.content_encoding else { return Ok(Vec::new()) };
    let codings: Vec<&[u8]> =
        elements(list).filter(|coding| !coding.eq_ignore_ascii_case(b"identity")).collect();
    if !codings.iter().all(|coding| is_token(coding)) {
        return Err(Fault::bad_request(
            "Content-Encoding is not a list of content codings",
            "send the codings of the value, such as gzip, or leave it out",
        ));
    }
    let text = codings.join(&b", "[..]);
    if text.len() > MAX_CONTENT_ENCODING_BYTES {
        return Err(Fault::header_too_large("Content-Encoding", MAX_CONTENT_ENCODING_BYTES));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;

    fn description(lines: &str) -> Result<(String, String), u16> {
        let head = format!("PUT /kv/k HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let head = parse(head.as_bytes()).unwrap().unwrap();
        let described = OwnDescription::of(&head).map_err(|fault| fault.status)?;
        assert!(described.get().is_valid());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok((text(described.get().content_type), text(described.get().content_encoding)))
    }

    #[test]
    fn what_is_said_of_a_value_is_checked() {
        let of =
            |content_type: &str, content_encoding: &str| Ok((content_type.into(), content_encoding.into()));
        assert_eq!(description(""), of("", ""));
        assert_eq!(
            description("Content-Type: text/html; charset=\"x\" \r\n"),
            of("text/html; charset=\"x\"", "")
        );
        assert_eq!(
            description("Content-Encoding: gzip\r\nContent-Encoding: ,br, identity\r\n"),
            of("", "gzip, br")
        );
        assert_eq!(description("Content-Encoding: identity\r\n"), of("", ""));
        for lines in [
            "Content-Type: text\r\n",
            "Content-Type:\r\n",
            "Content-Type: a/b\r\nContent-Type: a/b\r\n",
            "Content-Type: a/b; c=\"\u{e4}\"\r\n",
            "Content-Encoding: gz ip\r\n",
            "Content-Encoding: \"gzip\"\r\n",
        ] {
            assert_eq!(description(lines), Err(400), "{lines}");
        }
        let long = |length: usize| "x".repeat(length);
        assert!(description(&format!("Content-Type: a/{}\r\n", long(MAX_CONTENT_TYPE_BYTES - 2))).is_ok());
        assert_eq!(
            description(&format!("Content-Type: a/{}\r\n", long(MAX_CONTENT_TYPE_BYTES - 1))),
            Err(431)
        );
        assert!(description(&format!("Content-Encoding: {}\r\n", long(MAX_CONTENT_ENCODING_BYTES))).is_ok());
        assert_eq!(
            description(&format!("Content-Encoding: {}\r\n", long(MAX_CONTENT_ENCODING_BYTES + 1))),
            Err(431)
        );
    }
}
