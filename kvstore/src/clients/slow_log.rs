//! The requests that have taken long lately, on this server: what SLOWLOG shows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// As in Redis.
const SLOWER_THAN: i64 = 10_000;
const MOST: usize = 128;

/// All that is kept takes no more than this, however many entries there may be.
const MOST_BYTES: usize = 4 << 20;

/// What an entry takes besides its texts, roughly.
const ENTRY_BYTES: usize = 256;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slow {
    pub(crate) id: u64,
    /// When its reply was known.
    pub(crate) at: SystemTime,
    pub(crate) took: Duration,
    /// As far as they are kept.
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) peer: String,
    pub(crate) name: Vec<u8>,
}

impl Slow {
    fn bytes(&self) -> usize {
        let words = self.words.iter().map(|word| word.len() + size_of::<Vec<u8>>()).sum::<usize>();
        ENTRY_BYTES + words + self.peer.len() + self.name.len()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct SlowLog {
    /// In microseconds; below zero, nothing is noted.
    slower_than: AtomicI64,
    most: AtomicUsize,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// The latest first.
    latest: VecDeque<Slow>,
    bytes: usize,
    total: u64,
}

impl Default for SlowLog {
    fn default() -> SlowLog {
        SlowLog { slower_than: SLOWER_THAN.into(), most: MOST.into(), noted: Mutex::default() }
    }
}

impl SlowLog {
    /// The setting: microseconds, or below zero.
    pub(crate) fn slower_than(&self) -> i64 {
        self.slower_than.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slower_than(&self, microseconds: i64) {
        self.slower_than.store(microseconds, Ordering::Relaxed);
    }

    /// How many are kept.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(crate) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.noted.lock().trim(most);
    }

    /// Whether a request that has taken so long is to be noted.
    pub(crate) fn wants(&self, took: Duration) -> bool {
        let slower_than = self.slower_than();
        slower_than >= 0 && took.as_micros() >= slower_than as u128
    }

    /// Notes a request; its id is given to it here.
    pub(crate) fn note(&self, slow: Slow) {
        let mut noted = self.noted.lock();
        let id = noted.total;
        noted.total += 1;
        noted.bytes += slow.bytes();
        noted.latest.push_front(Slow { id, ..slow });
        noted.trim(self.most());
    }

    /// The latest first.
    pub(crate) fn latest(&self, most: usize) -> Vec<Slow> {
        self.noted.lock().latest.iter().take(most).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.noted.lock().latest.len()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.noted.lock().trim(0);
    }
}

impl Noted {
    fn trim(&mut self, most: usize) {
        while self.latest.len() > most || self.bytes > MOST_BYTES {
            let Some(oldest) = self.latest.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(bytes: usize) -> Slow {
        Slow {
            id: 0,
            at: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            words: vec![vec![b'x'; bytes]],
            peer: String::new(),
            name: Vec::new(),
        }
    }

    #[test]
    fn the_latest_are_kept_as_far_as_there_is_room() {
        let log = SlowLog::default();
        (0..200).for_each(|_| log.note(slow(10)));
        assert_eq!((log.len(), log.latest(1)[0].id, log.latest(500)[127].id), (128, 199, 72));
        log.set_most(3);
        assert_eq!(log.latest(9).iter().map(|slow| slow.id).collect::<Vec<_>>(), [199, 198, 197]);
        log.set_most(usize::MAX);
        (0..100).for_each(|_| log.note(slow(MOST_BYTES / 10)));
        assert_eq!(log.len(), 9, "bytes count, too");
        log.clear();
        assert_eq!((log.len(), log.noted.lock().bytes), (0, 0));
        log.note(slow(1));
        assert_eq!(log.latest(1)[0].id, 300, "ids are not used again");
    }

    #[test]
    fn what_is_noted_is_a_setting() {
        let log = SlowLog::default();
        let wants = |microseconds| log.wants(Duration::from_micros(microseconds));
        assert!(!wants(9_999) && wants(10_000));
        log.set_slower_than(0);
        assert!(wants(0));
        log.set_slower_than(-1);
        assert!(!wants(u64::MAX));
    }
}
