//! JSON objects that hold bytes: as text where they are UTF-8, and in base64 under another name where they are not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is appended to a name whose value is in base64.
const BASE64: &str = "_base64";

/// A JSON object while it is printed.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    /// Begins a member whose value the caller prints.
    pub(super) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        self.named(name, "")
    }

    /// An array of objects, one on each line.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(T, &mut Object<'_>),
    ) {
        let out = self.member(name);
        out.push(b'[');
        for (number, item) in items.into_iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
            let mut object = Object::begin(out);
            fill(item, &mut object);
            object.end();
        }
        out.push(b']');
    }

    /// Bytes printed so far, with what is around the object.
    pub(super) fn printed(&self) -> usize {
        self.out.len()
    }

    fn named(&mut self, name: &str, suffix: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.member(name).extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub(super) fn flag(&mut self, name: &str, is: bool) {
        self.member(name).extend_from_slice(if is { b"true" } else { b"false" });
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        let out = self.member(name);
        serde_json::to_writer(out, text).expect("a text has a JSON form");
    }

    /// Bytes: `"name":"text"`, or `"name_base64":"..."` if they are no text.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(name, text),
            Err(_) => {
                let encoded = STANDARD.encode(bytes);
                let out = self.named(name, BASE64);
                out.push(b'"');
                out.extend_from_slice(encoded.as_bytes());
                out.push(b'"');
            }
        }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_base64() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.bytes("key", "a\"\u{e4}\n".as_bytes());
        object.bytes("value", b"\xff\0");
        object.number("position", 7);
        object.flag("last", true);
        object.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"key\":\"a\\\"\u{e4}\\n\",\"value_base64\":\"/wA=\",\"position\":7,\"last\":true}"
        );
    }
}
