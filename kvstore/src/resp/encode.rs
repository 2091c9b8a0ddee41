//! Prints replies, in either version of the protocol.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use crate::Value;
use crate::protocol::Output;

/// The protocol version that a connection requested with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Version {
    #[default]
    Two,
    Three,
}

/// Prints replies to one connection's output.
pub(super) struct Replies<'o> {
    pub(super) output: &'o mut Output,
    pub(super) version: Version,
}

impl Replies<'_> {
    pub(super) fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error: its first word is the code, the rest says what to do. It holds no line ends.
    pub(super) fn error(&mut self, text: &str) {
        let out = self.output.text();
        out.push(b'-');
        out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        out.extend_from_slice(b"\r\n");
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.line(b':', itoa::Buffer::new().format(value));
    }

    /// A count of keys or bytes.
    pub(super) fn count(&mut self, value: u64) {
        self.line(b':', itoa::Buffer::new().format(value));
    }

    pub(super) fn bulk(&mut self, value: &[u8]) {
        self.length(b'$', value.len());
        let out = self.output.text();
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }

    /// A value of the store. A large one is not copied.
    pub(super) fn value<'v>(&mut self, value: impl Into<Value<'v>>) {
        let value = value.into();
        self.length(b'$', value.len());
        self.output.value(value);
        self.output.text().extend_from_slice(b"\r\n");
    }

    pub(super) fn value_or_null<'v>(&mut self, value: Option<impl Into<Value<'v>>>) {
        match value {
            Some(value) => self.value(value),
            None => self.null(),
        }
    }

    pub(super) fn null(&mut self) {
        let null: &[u8] = match self.version {
            Version::Two => b"$-1\r\n",
            Version::Three => b"_\r\n",
        };
        self.output.text().extend_from_slice(null);
    }

    /// A time in seconds, to the millisecond. The newer version marks it as a number.
    pub(super) fn seconds(&mut self, time: Duration) {
        let text = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
        let text = text.trim_end_matches('0').trim_end_matches('.');
        match self.version {
            Version::Two => self.bulk(text.as_bytes()),
            Version::Three => self.line(b',', text),
        }
    }

    /// The head of an array; its elements follow.
    pub(super) fn array(&mut self, elements: usize) {
        self.length(b'*', elements);
    }

    /// The head of a map; its keys and values follow alternately. In the older version it is an array of
    /// both.
    pub(super) fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Two => self.length(b'*', 2 * pairs),
            Version::Three => self.length(b'%', pairs),
        }
    }

    /// The head of a set; its elements follow. In the older version it is an array.
    pub(super) fn set(&mut self, elements: usize) {
        self.length(if self.version == Version::Two { b'*' } else { b'~' }, elements);
    }

    /// The head of what a client gets without having asked for it; its elements follow. In the older version it is an
    /// array.
    pub(super) fn push(&mut self, elements: usize) {
        self.length(if self.version == Version::Two { b'*' } else { b'>' }, elements);
    }

    /// A text made of parts. The newer version marks it as text to show.
    pub(super) fn verbatim(&mut self, text: &impl Display) {
        let text = text.to_string();
        match self.version {
            Version::Two => self.bulk(text.as_bytes()),
            Version::Three => {
                let out = self.output.text();
                write!(out, "={}\r\ntxt:{text}\r\n", text.len() + 4)
                    .expect("writing to a buffer never fails");
            }
        }
    }

    fn length(&mut self, sign: u8, length: usize) {
        self.line(sign, itoa::Buffer::new().format(length));
    }

    fn line(&mut self, sign: u8, text: &str) {
        let out = self.output.text();
        out.push(sign);
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
