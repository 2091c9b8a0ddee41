//! Which keys were read on this server since it last reported. No part of the state.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Database;

/// A report has no more bytes of keys, with [`KEY_BYTES`] for each. What is read beyond it until the next one is not noted.
const MOST_BYTES: usize = 64 << 10;

/// What a key takes beside its bytes.
const KEY_BYTES: usize = 16;

/// See the [module](self). While nobody asks for uses, a read costs a look at a flag.
#[derive(Debug)]
pub(crate) struct Uses {
    is_on: AtomicBool,
    /// What was used at this position or later is known to have been used lately; `u64::MAX` before the first report.
    since: AtomicU64,
    /// Something was read since then that is known to have been used lately.
    read_again: AtomicBool,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    keys: BTreeSet<(Database, Box<[u8]>)>,
    bytes: usize,
}

impl Default for Uses {
    fn default() -> Uses {
        Uses {
            is_on: AtomicBool::new(false),
            since: AtomicU64::new(u64::MAX),
            read_again: AtomicBool::new(false),
            noted: Mutex::default(),
        }
    }
}

impl Uses {
    /// Begins to note, or ends it.
    pub(crate) fn turn(&self, on: bool) {
        if self.is_on.swap(on, Ordering::AcqRel) && !on {
            self.take(u64::MAX);
        }
    }

    /// Whether reads are noted.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Notes that a key was read, which was last used at this position. It is a sample: if another thread is about to note
    /// something, or there is no room, nothing is noted. Returns whether it is the first read since the last report.
    pub(crate) fn note(&self, database: Database, key: &[u8], used: u64) -> bool {
        if used >= self.since.load(Ordering::Relaxed) {
            return !self.read_again.load(Ordering::Relaxed)
                && !self.read_again.swap(true, Ordering::Relaxed);
        }
        let Some(mut noted) = self.noted.try_lock() else { return false };
        let Noted { keys, bytes } = &mut *noted;
        let more = key.len() + KEY_BYTES;
        if *bytes + more > MOST_BYTES || !keys.insert((database, key.into())) {
            return false;
        }
        *bytes += more;
        keys.len() == 1
    }

    /// Whether anything was read since the last report.
    pub(crate) fn has_news(&self) -> bool {
        self.read_again.load(Ordering::Relaxed) || !self.noted.lock().keys.is_empty()
    }

    /// What has been read since the last report and was not known to have been used. The next one tells what is read again and was
    /// not used from this position on, which is that of now.
    pub(crate) fn take(&self, position: u64) -> Vec<(Database, Box<[u8]>)> {
        self.since.store(position, Ordering::Relaxed);
        self.read_again.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.noted.lock()).keys.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(uses: &Uses, key: &str, used: u64) -> bool {
        uses.note(Database::FIRST, key.as_bytes(), used)
    }

    fn taken(uses: &Uses, position: u64) -> Vec<String> {
        let keys = uses.take(position).into_iter();
        keys.map(|(_, key)| String::from_utf8_lossy(&key).into_owned()).collect()
    }

    #[test]
    fn a_report_has_each_key_once_unless_it_is_known_to_be_used() {
        let uses = Uses::default();
        uses.turn(true);
        assert!(!uses.has_news());
        assert!(note(&uses, "b", 3) && !note(&uses, "a", 9) && !note(&uses, "b", 3));
        assert_eq!(taken(&uses, 10), ["a", "b"]);
        assert!(note(&uses, "a", 11), "somebody is told that there is something to do");
        assert!(!note(&uses, "a", 11) && uses.has_news());
        assert!(taken(&uses, 20).is_empty(), "the last report has told it");
        assert!(note(&uses, "a", 11));
        assert_eq!(taken(&uses, 30), ["a"], "it is told again, since others were used meanwhile");
        assert!(!uses.has_news());
    }

    #[test]
    fn a_report_is_bounded_and_ends_when_nobody_asks() {
        let uses = Uses::default();
        uses.turn(true);
        (0..10_000).for_each(|number| {
            note(&uses, &number.to_string(), 1);
        });
        let keys = taken(&uses, 1);
        let bytes: usize = keys.iter().map(|key| key.len() + KEY_BYTES).sum();
        assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES - 100);
        note(&uses, "late", 0);
        uses.turn(false);
        assert!(!uses.is_on() && !uses.has_news());
    }
}
