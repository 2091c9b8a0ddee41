//! An answer as bytes, as snapshots carry it. Equal answers have equal bytes.
//!
//! ```text
//! answer   format u8 = 1 | reply
//! reply    kind u8: 1 stored: version | created u8
//!                   2 deleted: count varint
//!                   3 condition failed: 0 u8, or 1 u8 | version
//!                   4 entry: 0 u8, or 1 u8 | version | deadline varint, 0 for none | content type | content encoding | value
//!                   5 chosen: hold u8 | count varint | count x reply other than 5
//! version  position varint | further varint
//! content type, content encoding, value   length varint | bytes
//! ```
//!
//! Varints are LEB128 of at most 64 bits.

use bytes::Bytes;

use crate::attributes::Describer;
use crate::varint::{put_varint, take_varint};
use crate::{Description, Reply, StoredValue, Version};

const FORMAT: u8 = 1;

const STORED: u8 = 1;
const DELETED: u8 = 2;
const CONDITION_FAILED: u8 = 3;
const ENTRY: u8 = 4;
const CHOSEN: u8 = 5;

/// A longer answer is not kept.
const MOST_BYTES: usize = 64 << 10;

/// A number has at most 64 bits.
const NUMBER_BYTES_MAX: u32 = 10;

/// The bytes of an answer, empty if it is too long; `None` if what it answers had no effect, so that it may be tried again.
pub(crate) fn kept(reply: &Reply) -> Option<Bytes> {
    let mut out = vec![FORMAT];
    put_reply(&mut out, reply)?;
    Some(if out.len() > MOST_BYTES { Bytes::new() } else { out.into() })
}

/// The answer that bytes stand for; `None` if it was too long to be kept, or is not one.
pub(crate) fn shown(answer: &[u8]) -> Option<Reply> {
    let mut rest = answer.strip_prefix(&[FORMAT])?;
    let reply = take_reply(&mut rest, true)?;
    rest.is_empty().then_some(reply)
}

fn put_reply(out: &mut Vec<u8>, reply: &Reply) -> Option<()> {
    match reply {
        Reply::Stored { version, created, old: None } => {
            out.push(STORED);
            put_version(out, *version);
            out.push(u8::from(*created));
        }
        Reply::Deleted { removed } => {
            out.push(DELETED);
            put_varint(out, *removed);
        }
        Reply::ConditionFailed { current, old: None } => {
            out.push(CONDITION_FAILED);
            out.push(u8::from(current.is_some()));
            current.iter().for_each(|version| put_version(out, *version));
        }
        Reply::Entry(stored) => {
            out.extend([ENTRY, u8::from(stored.is_some())]);
            if let Some(stored) = stored {
                put_version(out, stored.version());
                put_varint(out, stored.deadline().unwrap_or(0));
                let Description { content_type, content_encoding } = stored.description();
                // What is too long anyway is not copied.
                let value = if stored.value().len() > MOST_BYTES {
                    &stored.value()[..MOST_BYTES]
                } else {
                    stored.value()
                };
                for part in [content_type, content_encoding, value] {
                    put_varint(out, part.len() as u64);
                    out.extend_from_slice(part);
                }
            }
        }
        Reply::Chosen { hold, replies } => {
            out.extend([CHOSEN, u8::from(*hold)]);
            put_varint(out, replies.len() as u64);
            for reply in replies {
                if out.len() > MOST_BYTES {
                    break;
                }
                put_reply(out, reply)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn put_version(out: &mut Vec<u8>, version: Version) {
    put_varint(out, version.position);
    put_varint(out, version.further.into());
}

fn take_reply(rest: &mut &[u8], may_be_chosen: bool) -> Option<Reply> {
    Some(match take_u8(rest)? {
        STORED => {
            let version = take_version(rest)?;
            Reply::Stored { version, created: take_flag(rest)?, old: None }
        }
        DELETED => Reply::Deleted { removed: take_number(rest)? },
        CONDITION_FAILED => {
            let current = if take_flag(rest)? { Some(take_version(rest)?) } else { None };
            Reply::ConditionFailed { current, old: None }
        }
        ENTRY if !take_flag(rest)? => Reply::Entry(None),
        ENTRY => {
            let (version, deadline) = (take_version(rest)?, take_number(rest)?);
            let description =
                Description { content_type: take_bytes(rest)?, content_encoding: take_bytes(rest)? };
            let value = Bytes::copy_from_slice(take_bytes(rest)?);
            let deadline = (deadline != 0).then_some(deadline);
            let attributes = Describer::default().describe(description).with_deadline(deadline);
            Reply::Entry(Some(StoredValue::new(value, version, attributes)))
        }
        CHOSEN if may_be_chosen => {
            let (hold, count) = (take_flag(rest)?, take_number(rest)?);
            let replies = (0..count).map(|_| take_reply(rest, false)).collect::<Option<_>>()?;
            Reply::Chosen { hold, replies }
        }
        _ => return None,
    })
}

fn take_version(rest: &mut &[u8]) -> Option<Version> {
    let (position, further) = (take_number(rest)?, take_number(rest)?);
    Some(Version { position, further: further.try_into().ok()? })
}

fn take_u8(rest: &mut &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    Some(*first)
}

fn take_flag(rest: &mut &[u8]) -> Option<bool> {
    match take_u8(rest)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take_varint(rest, NUMBER_BYTES_MAX).ok()
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (bytes, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(value: usize, content_type: &[u8], deadline: Option<u64>) -> Reply {
        let description = Description { content_type, content_encoding: b"" };
        let attributes = Describer::default().describe(description).with_deadline(deadline);
        Reply::Entry(Some(StoredValue::new(vec![b'v'; value].into(), version(), attributes)))
    }

    fn version() -> Version {
        Version { position: 300, further: 7 }
    }

    #[test]
    fn an_answer_comes_back() {
        let stored = Reply::Stored { version: version(), created: true, old: None };
        let replies = vec![
            stored.clone(),
            entry(5, b"text/plain", None),
            Reply::Entry(None),
            entry(0, b"", Some(9)),
            Reply::Deleted { removed: 1 },
        ];
        for reply in [
            stored,
            Reply::Deleted { removed: 0 },
            Reply::ConditionFailed { current: None, old: None },
            Reply::ConditionFailed { current: Some(version()), old: None },
            Reply::Chosen { hold: true, replies },
            Reply::Chosen { hold: false, replies: Vec::new() },
        ] {
            let answer = kept(&reply).unwrap();
            assert_eq!(shown(&answer), Some(reply));
            assert!((0..answer.len()).all(|end| shown(&answer[..end]).is_none()), "it is not cut short");
        }
    }

    #[test]
    fn what_had_no_effect_or_is_too_long_is_not_kept() {
        assert_eq!(kept(&Reply::Timed), None);
        let long =
            Reply::Chosen { hold: true, replies: vec![entry(MOST_BYTES, b"", None), Reply::Entry(None)] };
        assert_eq!(kept(&long), Some(Bytes::new()));
        let many = Reply::Chosen { hold: true, replies: vec![entry(1000, b"", None); 100] };
        assert_eq!(kept(&many), Some(Bytes::new()));
        assert_eq!(shown(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..80)) {
            let _ = shown(&bytes);
            let _ = shown(&[&[FORMAT], &bytes[..]].concat());
        }
    }
}
