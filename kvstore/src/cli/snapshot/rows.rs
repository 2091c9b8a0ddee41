//! Keys and values as JSON, an object a line: `{"key":"greeting","value":"hello"}`. What is no text stands in base64, as
//! `key_base64` or `value_base64`.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Pair;

/// One line.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
}

/// Writes a line.
pub fn write(output: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    let (key, key_base64) = text_or_base64(key);
    let (value, value_base64) = text_or_base64(value);
    serde_json::to_writer(&mut *output, &Row { key, key_base64, value, value_base64 })?;
    output.write_all(b"\n")
}

/// Reads a line; what is wrong with it is said for people.
pub fn read(line: &[u8]) -> Result<Pair, String> {
    let Row { key, key_base64, value, value_base64 } =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok((one_of("key", key, key_base64)?, one_of("value", value, value_base64)?))
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
            STANDARD.decode(&*base64).map_err(|error| format!("`{name}_base64` is no base64: {error}"))
        }
        (None, None) => Err(format!("there is neither `{name}` nor `{name}_base64`")),
        (Some(_), Some(_)) => Err(format!("there are both `{name}` and `{name}_base64`")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(key: &[u8], value: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, key, value).unwrap();
        String::from_utf8(out).unwrap()
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
            ("{\"key_base64\":\"!\",\"value\":\"v\"}", "`key_base64` is no base64"),
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
            prop_assert_eq!(read(line(&key, &value).as_bytes()), Ok((key, value)));
        }

        #[test]
        fn so_is_text(key in ".{1,20}", value in ".{0,40}") {
            let read = read(line(key.as_bytes(), value.as_bytes()).as_bytes());
            prop_assert_eq!(read, Ok((key.into_bytes(), value.into_bytes())));
        }
    }
}
