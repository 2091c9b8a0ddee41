//! Keys and values as JSON, one object per line: `{"key":"greeting","value":"hello"}`. Bytes that are not
//! UTF-8 are in base64, as `key_base64` or `value_base64`. The value's HTTP headers, if any, are
//! `content_type` and `content_encoding`. The number of its database, if that is not 0, is `database`. When the key expires, if it does, is `expires_at_ms`, in milliseconds
//! since 1970.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use niagara_kvstore::{Database, Description, MAX_CONTENT_ENCODING_BYTES, MAX_CONTENT_TYPE_BYTES};
use serde::{Deserialize, Serialize};

use super::Pair;
use super::file::Kept;

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    #[serde(default, skip_serializing_if = "is_first")]
    database: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    content_type: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    content_encoding: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

pub fn write(output: &mut impl Write, kept: Kept<'_>) -> io::Result<()> {
    let Kept { database, key, value, description, deadline } = kept;
    let database = database.number().into();
    let (key, key_base64) = text_or_base64(key);
    let (value, value_base64) = text_or_base64(value);
    // Both are printable ASCII, or the state would not hold them.
    let content_type = String::from_utf8_lossy(description.content_type);
    let content_encoding = String::from_utf8_lossy(description.content_encoding);
    let expires_at_ms = deadline;
    let row =
        Row { database, key, key_base64, value, value_base64, content_type, content_encoding, expires_at_ms };
    serde_json::to_writer(&mut *output, &row)?;
    output.write_all(b"\n")
}

/// Reads a line. The error is a text for people.
pub fn read(line: &[u8]) -> Result<Described, String> {
    let Row { database, key, key_base64, value, value_base64, content_type, content_encoding, expires_at_ms } =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let description =
        Description { content_type: content_type.as_bytes(), content_encoding: content_encoding.as_bytes() };
    if !description.is_valid() {
        return Err(format!(
            "`content_type` has more than {MAX_CONTENT_TYPE_BYTES} bytes, `content_encoding` more than \
             {MAX_CONTENT_ENCODING_BYTES}, or one of them is not printable"
        ));
    }
    let database = Database::new(database).ok_or_else(|| {
        format!("database {database} does not exist: the last one is {}", Database::COUNT - 1)
    })?;
    let pair = (one_of("key", key, key_base64)?, one_of("value", value, value_base64)?);
    Ok(Described {
        database,
        pair,
        content_type: content_type.into_owned().into_bytes(),
        content_encoding: content_encoding.into_owned().into_bytes(),
        deadline: expires_at_ms,
    })
}

/// A key and its value, with the value's HTTP headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub database: Database,
    pub pair: Pair,
    content_type: Vec<u8>,
    content_encoding: Vec<u8>,
    /// When it expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
}

impl Described {
    pub fn new(kept: Kept<'_>) -> Described {
        let Kept { database, key, value, description, deadline } = kept;
        Described {
            database,
            deadline,
            pair: (key.to_vec(), value.to_vec()),
            content_type: description.content_type.to_vec(),
            content_encoding: description.content_encoding.to_vec(),
        }
    }

    pub fn description(&self) -> Description<'_> {
        Description { content_type: &self.content_type, content_encoding: &self.content_encoding }
    }
}

fn is_first(database: &u64) -> bool {
    *database == 0
}

fn text_or_base64(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes).into())),
    }
}

fn one_of(name: &str, text: Option<Cow<'_, str>>, base64: Option<Cow<'_, str>>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(base64)) => {
            STANDARD.decode(&*base64).map_err(|error| format!("``{name}_base64` is not base64: {error}"))
        }
        (None, None) => Err(format!("neither `{name}` nor `{name}_base64` is given")),
        (Some(_), Some(_)) => Err(format!("both `{name}` and `{name}_base64` are given")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(key: &[u8], value: &[u8]) -> String {
        let mut out = Vec::new();
        write(
            &mut out,
            Kept { database: Database::FIRST, key, value, description: Description::NONE, deadline: None },
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_said_of_a_value_stands_beside_it() {
        let description = Description { content_type: b"text/plain; a=\"b\"", content_encoding: b"gzip" };
        let mut out = Vec::new();
        let kept = Kept { database: Database::FIRST, key: b"k", value: b"v", description, deadline: None };
        write(&mut out, kept).unwrap();
        let expected =
            r#"{"key":"k","value":"v","content_type":"text/plain; a=\"b\"","content_encoding":"gzip"}"#;
        assert_eq!(String::from_utf8(out.clone()).unwrap().trim_end(), expected);
        assert_eq!(read(&out).unwrap(), Described::new(kept));
        let expiring = Kept { description: Description::NONE, deadline: Some(70_000), ..kept };
        let mut out = Vec::new();
        write(&mut out, expiring).unwrap();
        assert_eq!(out, b"{\"key\":\"k\",\"value\":\"v\",\"expires_at_ms\":70000}\n");
        assert_eq!(read(&out).unwrap(), Described::new(expiring));
        let third = Kept { database: Database::new(3).unwrap(), description: Description::NONE, ..kept };
        let mut out = Vec::new();
        write(&mut out, third).unwrap();
        assert_eq!(out, b"{\"database\":3,\"key\":\"k\",\"value\":\"v\"}\n");
        assert_eq!(read(&out).unwrap(), Described::new(third));
        let beyond = read(b"{\"database\":16,\"key\":\"k\",\"value\":\"v\"}").unwrap_err();
        assert!(beyond.contains("database 16 does not exist"), "{beyond}");
        for bad in ["a\\nb", "\u{e4}", &"a".repeat(MAX_CONTENT_TYPE_BYTES + 1)] {
            let line = format!(r#"{{"key":"k","value":"v","content_type":"{bad}"}}"#);
            assert!(read(line.as_bytes()).unwrap_err().contains("not printable"), "{line}");
        }
    }

    #[test]
    fn text_stands_as_text_and_bytes_as_base64() {
        assert_eq!(
            line(b"greeting", "h\u{e4}\n\"".as_bytes()),
            "{\"key\":\"greeting\",\"value\":\"h\u{e4}\\n\\\"\"}\n"
        );
        assert_eq!(line(b"\xff\x00", b""), "{\"key_base64\":\"/wA=\",\"value\":\"\"}\n");
        assert_eq!(line(b"k", b"\xfe"), "{\"key\":\"k\",\"value_base64\":\"/g==\"}\n");
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, said) in [
            ("", "EOF"),
            ("{\"key\":\"k\"}", "neither `value` nor `value_base64`"),
            ("{\"key\":\"k\",\"key_base64\":\"aw==\",\"value\":\"v\"}", "both `key` and `key_base64`"),
            ("{\"key_base64\":\"!\",\"value\":\"v\"}", "``key_base64` is not base64"),
            ("{\"key\":\"k\",\"value\":\"v\",\"ttl\":3}", "unknown field `ttl`"),
            ("{\"key\":\"k\",\"value\":3}", "expected a"),
        ] {
            let error = read(line.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in prop::collection::vec(any::<u8>(), 1..40), value in prop::collection::vec(any::<u8>(), 0..99)) {
            prop_assert_eq!(read(line(&key, &value).as_bytes()).map(|row| row.pair), Ok((key, value)));
        }

        #[test]
        fn so_is_text(key in ".{1,20}", value in ".{0,40}") {
            let read = read(line(key.as_bytes(), value.as_bytes()).as_bytes());
            prop_assert_eq!(read.map(|row| row.pair), Ok((key.into_bytes(), value.into_bytes())));
        }
    }
}
