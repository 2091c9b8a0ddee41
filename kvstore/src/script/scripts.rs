//! The scripts that a server knows by their digests.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};

/// The most bytes of scripts that a server remembers. Beyond that, it forgets the oldest: clients send it again.
const MOST_BYTES: usize = 16 << 20;

/// A script's name: the SHA-1 of its source, in hexadecimal digits.
pub(crate) type Name = [u8; 40];

/// The name of a script.
pub(crate) fn digest(source: &[u8]) -> Name {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut name = [0; 40];
    for (two, byte) in name.chunks_exact_mut(2).zip(Sha1::digest(source)) {
        two[0] = DIGITS[usize::from(byte >> 4)];
        two[1] = DIGITS[usize::from(byte & 15)];
    }
    name
}

/// The scripts that this server has executed or loaded lately. They are no part of the state: a server that does not know one
/// says so, and the client sends its source.
#[derive(Debug, Default)]
pub(crate) struct Scripts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sources: HashMap<Name, Bytes>,
    /// Oldest first.
    order: VecDeque<Name>,
    bytes: usize,
}

impl Scripts {
    /// Remembers a script, and returns its name.
    pub(crate) fn add(&self, source: &[u8]) -> Name {
        let name = digest(source);
        let mut known = self.0.lock();
        if known.sources.contains_key(&name) {
            return name;
        }
        known.bytes += source.len();
        known.sources.insert(name, Bytes::copy_from_slice(source));
        known.order.push_back(name);
        while known.bytes > MOST_BYTES {
            let oldest = known.order.pop_front().expect("what is remembered has an order");
            let source = known.sources.remove(&oldest).expect("it was remembered");
            known.bytes -= source.len();
        }
        name
    }

    /// The script of a name, in digits of either case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Bytes> {
        let name: Name = name.to_ascii_lowercase().try_into().ok()?;
        self.0.lock().sources.get(&name).cloned()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Known::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_by_their_digests_until_newer_ones_take_their_room() {
        let scripts = Scripts::default();
        let name = scripts.add(b"return 1");
        assert_eq!(&name, b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(scripts.find(&name.to_ascii_uppercase()).as_deref(), Some(&b"return 1"[..]));
        for byte in 0..4 {
            scripts.add(&vec![byte; MOST_BYTES / 4]);
        }
        assert_eq!(scripts.find(&name), None);
        assert!(scripts.find(&digest(&vec![3; MOST_BYTES / 4])).is_some());
        scripts.clear();
        assert_eq!(scripts.find(&digest(&vec![3; MOST_BYTES / 4])), None);
    }
}
