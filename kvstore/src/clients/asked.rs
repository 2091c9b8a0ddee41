//! The beginning of a request, kept while it is executed.

use std::collections::VecDeque;

use memchr::memchr;

use crate::decimal::decimal;
use crate::table::{Spec, is};
use crate::users::Id;

/// So much of a request is kept: its first words, for most.
const KEPT_BYTES: usize = 120;

/// The beginning of a request, as it came.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    bytes: [u8; KEPT_BYTES],
    kept: u8,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Default for Asked {
    fn default() -> Asked {
        Asked { bytes: [0; KEPT_BYTES], kept: 0 }
    }
}

impl Asked {
    /// Keeps the beginning of a request.
    pub(crate) fn keep(&mut self, request: &[u8]) {
        let kept = request.len().min(KEPT_BYTES);
        self.bytes[..kept].copy_from_slice(&request[..kept]);
        self.kept = kept as u8;
    }

    /// The name of its command, as `client|list`, if it is one.
    pub(super) fn command(&self) -> Option<&'static str> {
        let Words { kept, .. } = self.words();
        let spec = Spec::find(kept.first()?.bytes)?;
        Some(Id::of(spec, kept.get(1).map(|word| word.bytes)).name())
    }

    /// Its words, as far as they are kept and may be shown: no password.
    pub(super) fn shown(&self) -> Vec<Vec<u8>> {
        let Words { kept, lost } = self.words();
        let from = first_secret(&kept);
        let mut shown: Vec<Vec<u8>> = Vec::with_capacity(kept.len() + 1);
        for (at, Word { bytes, lost }) in kept.iter().enumerate() {
            shown.push(match lost {
                _ if at >= from => b"(redacted)".to_vec(),
                0 => bytes.to_vec(),
                lost => [bytes, format!("... ({lost} more bytes)").as_bytes()].concat(),
            });
        }
        if lost > 0 {
            shown.push(format!("... ({lost} more arguments)").into_bytes());
        }
        shown
    }

    /// Its words, as far as they are kept.
    fn words(&self) -> Words<'_> {
        let bytes = &self.bytes[..usize::from(self.kept)];
        array(bytes).unwrap_or_else(|| Words {
            kept: bytes
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .map(|bytes| Word { bytes, lost: 0 })
                .collect(),
            lost: 0,
        })
    }
}

/// From which word on a request may hold passwords, or digests of them.
fn first_secret(words: &[Word<'_>]) -> usize {
    let says = |at: usize, name: &str| words.get(at).is_some_and(|word| is(word.bytes, name));
    // In a line, quotes and escapes may hide which command it is.
    let is_hidden = |word: &Word<'_>| word.bytes.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'\\'));
    if words.first().is_some_and(is_hidden) {
        0
    } else if says(0, "AUTH") {
        1
    } else if says(0, "HELLO") || says(0, "ACL") {
        2
    } else if says(0, "CONFIG") && !says(1, "GET") {
        3
    } else {
        usize::MAX
    }
}

/// What one client has asked for: the last request, and those that the engine executes.
#[derive(Default)]
pub(crate) struct Requests {
    last: Asked,
    /// The beginnings of those in flight, oldest first, in one piece of memory.
    in_flight: VecDeque<u8>,
}

/// How much of a request in flight is kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept(u8);

/// Room that is kept while nothing is in flight.
const SPARE_BYTES: usize = 4 << 10;

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Requests {
    /// Keeps the beginning of a request, the last one from now on.
    pub(crate) fn keep(&mut self, request: &[u8]) {
        self.last.keep(request);
    }

    pub(crate) fn last(&self) -> &Asked {
        &self.last
    }

    /// The engine executes the last one.
    pub(crate) fn begin(&mut self) -> Kept {
        let Asked { bytes, kept } = &self.last;
        self.in_flight.extend(&bytes[..usize::from(*kept)]);
        Kept(*kept)
    }

    /// The engine has executed the oldest of those in flight. `look` is given it, if there is somebody to look.
    pub(crate) fn end(&mut self, Kept(kept): Kept, look: Option<impl FnOnce(&Asked)>) {
        let oldest = self.in_flight.drain(..usize::from(kept));
        if let Some(look) = look {
            let mut asked = Asked { kept, ..Asked::default() };
            asked.bytes.iter_mut().zip(oldest).for_each(|(byte, kept)| *byte = kept);
            look(&asked);
        } else {
            drop(oldest);
        }
        if self.in_flight.is_empty() && self.in_flight.capacity() > SPARE_BYTES {
            self.in_flight = VecDeque::new();
        }
    }
}

/// The words of a request.
struct Words<'a> {
    kept: Vec<Word<'a>>,
    /// How many there are beyond these.
    lost: usize,
}

struct Word<'a> {
    bytes: &'a [u8],
    /// How many bytes it has beyond these.
    lost: usize,
}

/// The words of an array; `None` if it is none.
fn array(bytes: &[u8]) -> Option<Words<'_>> {
    let line = |bytes: &[u8], sign: u8| -> Option<(usize, usize)> {
        let end = memchr(b'\n', bytes).filter(|_| bytes[0] == sign)?;
        let digits = bytes[1..end].strip_suffix(b"\r")?;
        Some((usize::try_from(decimal(digits)?).ok()?, end + 1))
    };
    let (count, mut at) = line(bytes, b'*')?;
    let mut kept = Vec::new();
    while kept.len() < count
        && let Some((length, width)) = line(&bytes[at..], b'$')
    {
        let start = at + width;
        let end = start.saturating_add(length).min(bytes.len());
        kept.push(Word { bytes: &bytes[start..end], lost: length - (end - start) });
        at = (end + 2).min(bytes.len());
    }
    let lost = count - kept.len();
    Some(Words { kept, lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(request: &[u8]) -> String {
        let mut asked = Asked::default();
        asked.keep(request);
        let words = asked.shown();
        words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" | ")
    }

    fn array(words: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        request
    }

    #[test]
    fn the_beginning_of_a_request_is_shown_and_what_is_lost_is_said() {
        assert_eq!(shown(&array(&[b"SET", b"k", b"v"])), "SET | k | v");
        assert_eq!(shown(b"set k  'a value'\r\n"), "set | k | 'a | value'");
        let long = array(&[b"SET", b"k", &[b'v'; 1000], b"EX", b"60"]);
        let kept = KEPT_BYTES - "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n".len();
        let value = "v".repeat(kept);
        let told = format!("SET | k | {value}... ({} more bytes) | ... (2 more arguments)", 1000 - kept);
        assert_eq!(shown(&long), told);
        assert_eq!(shown(b""), "");
        assert_eq!(shown(b"*2\r\n$3\r\nGE"), "GE... (1 more bytes) | ... (1 more arguments)");
    }

    #[test]
    fn requests_in_flight_leave_in_their_order() {
        let mut requests = Requests::default();
        let mut kept = VecDeque::new();
        let request = |n: usize| array(&[b"SET", n.to_string().as_bytes(), &vec![b'v'; n % 200]]);
        for n in 0..1000 {
            requests.keep(&request(n));
            kept.push_back((n, requests.begin()));
            // Some leave now and then, and all of them once.
            for _ in 0..if n == 500 { kept.len() } else { n % 3 } {
                let Some((n, kept)) = kept.pop_front() else { break };
                let (mut seen, whole) = (None, n % 7 != 0);
                requests.end(kept, whole.then_some(|asked: &Asked| seen = Some(asked.shown())));
                let mut asked = Asked::default();
                asked.keep(&request(n));
                assert_eq!(seen, whole.then(|| asked.shown()), "request {n}");
            }
            assert!(n != 500 || requests.in_flight.capacity() <= SPARE_BYTES, "room is given back");
        }
        kept.into_iter().for_each(|(_, kept)| requests.end(kept, None::<fn(&Asked)>));
        assert!(requests.in_flight.is_empty());
    }

    #[test]
    fn passwords_are_not_shown() {
        for request in [
            array(&[b"AUTH", b"secret"]),
            array(&[b"auth", b"alice", b"secret"]),
            array(&[b"HELLO", b"3", b"AUTH", b"alice", b"secret"]),
            array(&[b"acl", b"setuser", b"alice", b">secret"]),
            b"AUTH \"secret\"\r\n".to_vec(),
            b"\"AUTH\" secret\r\n".to_vec(),
            b"AU'TH' secret\r\n".to_vec(),
            b"\"\\x41CL\" setuser alice >secret\r\n".to_vec(),
            array(&[b"CONFIG", b"SET", b"requirepass", b"secret"]),
            b"config \"set\" requirepass secret\r\n".to_vec(),
        ] {
            let shown = shown(&request);
            assert!(!shown.contains("secret") && shown.contains("(redacted)"), "{shown}");
        }
        assert_eq!(shown(&array(&[b"CONFIG", b"GET", b"a", b"b"])), "CONFIG | GET | a | b");
        assert_eq!(shown(&array(&[b"HELLO", b"3", b"SETNAME", b"x"])), "HELLO | 3 | (redacted) | (redacted)");
    }

    #[test]
    fn a_command_is_known_by_its_words() {
        for (request, command) in [
            (array(&[b"client", b"LIST"]), Some("client|list")),
            (array(&[b"GET", b"k"]), Some("get")),
            (b"ping\r\n".to_vec(), Some("ping")),
            (array(&[b"nonsense"]), None),
            (Vec::new(), None),
        ] {
            let mut asked = Asked::default();
            asked.keep(&request);
            assert_eq!(asked.command(), command);
        }
    }

    #[test]
    fn any_bytes_are_shown_without_a_panic() {
        let bytes = b"*-1\r\n$9223372036854775807\r\n*0$";
        for start in 0..bytes.len() {
            for end in start..bytes.len() {
                shown(&bytes[start..end]);
            }
        }
        shown(b"*3\r\n$9223372036854775807\r\nabc");
    }
}
