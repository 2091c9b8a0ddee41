//! Where the thread that executes commands meets the front-end threads of its server.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use niagara_engine::Wake;
use parking_lot::Mutex;

use super::Batch;

/// Most bytes of batches that wait for a thread. It takes all of them once per turn, so more than a few MiB wait only if it is
/// far too slow.
const MOST_WAITING_BYTES: usize = 64 << 20;

/// As in Redis.
const MOST_KEYS: usize = 1_000_000;

/// What the tables of all threads may take, unless a server's file says otherwise.
pub(crate) const MOST_TABLE_BYTES: usize = 64 << 20;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Clients that track. While there are none, a change costs a look at this.
    trackers: AtomicUsize,
    /// Those of them that do not want to hear of what they change themselves.
    loopless: AtomicUsize,
    /// The number of the last change.
    last: AtomicU64,
    /// Commands are told apart by digests, which nobody outside can foresee.
    hasher: RandomState,
    desks: Mutex<Vec<Arc<Desk>>>,
    /// What the tables of all threads hold, and may.
    pub(super) held: Held,
    most_keys: AtomicUsize,
    most_bytes: AtomicUsize,
}

/// How much the tables of all threads hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) keys: AtomicUsize,
    /// Pairs of a key and a client.
    pub(super) items: AtomicUsize,
    pub(super) bytes: AtomicUsize,
    pub(super) prefixes: AtomicUsize,
}

/// How much is tracked, for INFO. A key or a prefix counts once for each thread that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    pub(crate) items: usize,
    pub(crate) prefixes: usize,
}

/// What waits for a front-end thread.
pub(super) struct Desk {
    wake: Arc<dyn Wake>,
    /// How many of its connections track.
    trackers: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: Vec<Arc<Batch>>,
    bytes: usize,
    /// Batches are missing, and changes up to this number.
    lost: Option<u64>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Default for Exchange {
    fn default() -> Exchange {
        Exchange {
            trackers: 0.into(),
            loopless: 0.into(),
            last: 0.into(),
            hasher: RandomState::new(),
            desks: Mutex::default(),
            held: Held::default(),
            most_keys: MOST_KEYS.into(),
            most_bytes: MOST_TABLE_BYTES.into(),
        }
    }
}

impl Exchange {
    /// A front-end thread takes part.
    pub(super) fn open(&self, wake: Arc<dyn Wake>) -> Arc<Desk> {
        let desk = Arc::new(Desk { wake, trackers: 0.into(), waiting: Mutex::default() });
        self.desks.lock().push(Arc::clone(&desk));
        desk
    }

    /// A front-end thread has ended.
    pub(super) fn close(&self, closed: &Arc<Desk>) {
        self.desks.lock().retain(|desk| !Arc::ptr_eq(desk, closed));
    }

    /// A connection of a thread tracks from now on: it hears of all changes of what it reads later.
    pub(super) fn begin(&self, desk: &Desk) {
        desk.trackers.fetch_add(1, SeqCst);
        self.trackers.fetch_add(1, SeqCst);
    }

    /// A connection of a thread tracks no more.
    pub(super) fn end(&self, desk: &Desk) {
        self.trackers.fetch_sub(1, SeqCst);
        if desk.trackers.fetch_sub(1, SeqCst) == 1 {
            drop(desk.take());
        }
    }

    /// A client wants to hear nothing of what it changes itself, or hears it again.
    pub(super) fn set_loopless(&self, is: bool) {
        if is {
            self.loopless.fetch_add(1, SeqCst)
        } else {
            self.loopless.fetch_sub(1, SeqCst)
        };
    }

    /// Whether anybody tracks.
    pub(super) fn is_on(&self) -> bool {
        self.trackers.load(SeqCst) > 0
    }

    /// Whether anybody must be told which changes are his own.
    pub(super) fn has_loopless(&self) -> bool {
        self.loopless.load(SeqCst) > 0
    }

    /// A digest of a command, by which who awaits it finds what it has done.
    pub(super) fn digest(&self, command: &[u8]) -> u64 {
        self.hasher.hash_one(command)
    }

    /// The number of the last change: whatever has not been noted by now has a higher one.
    pub(super) fn last(&self) -> u64 {
        self.last.load(SeqCst)
    }

    /// Publishes the number of a change, while the shard of its key is locked. Only the thread that executes commands calls it.
    pub(super) fn publish(&self, last: u64) {
        self.last.store(last, SeqCst);
    }

    /// Hands over a batch.
    pub(super) fn deliver(&self, batch: Batch) {
        let batch = Arc::new(batch);
        let rung: Vec<Arc<Desk>> =
            self.desks.lock().iter().filter(|desk| desk.put(&batch)).cloned().collect();
        rung.iter().for_each(|desk| desk.wake.wake());
    }

    /// What has changed up to this number is not known.
    pub(super) fn lose(&self, last: u64) {
        let desks = self.desks.lock().clone();
        for desk in desks {
            if desk.lose(last) {
                desk.wake.wake();
            }
        }
    }

    pub(crate) fn tracked(&self) -> Tracked {
        let Held { keys, items, prefixes, .. } = &self.held;
        Tracked {
            clients: self.trackers.load(SeqCst),
            keys: keys.load(SeqCst),
            items: items.load(SeqCst),
            prefixes: prefixes.load(SeqCst),
        }
    }

    /// How many keys the tables may hold; 0 means as many as fit their bytes.
    pub(crate) fn most_keys(&self) -> usize {
        self.most_keys.load(SeqCst)
    }

    pub(crate) fn set_most_keys(&self, most: usize) {
        self.most_keys.store(most, SeqCst);
        let desks = self.desks.lock().clone();
        desks.iter().for_each(|desk| desk.wake.wake());
    }

    /// How many bytes the tables may take.
    pub(crate) fn set_most_bytes(&self, most: usize) {
        self.most_bytes.store(most, SeqCst);
    }

    /// Whether the tables hold more than they may together, and one that has so many keys and bytes more than its thread's share.
    pub(super) fn is_full(&self, keys: usize, bytes: usize) -> bool {
        let Held { keys: all_keys, bytes: all_bytes, .. } = &self.held;
        let (most_keys, most_bytes) = (self.most_keys(), self.most_bytes.load(SeqCst));
        let has_too_many = most_keys > 0 && all_keys.load(SeqCst) > most_keys;
        let has_too_much = all_bytes.load(SeqCst) > most_bytes;
        if !has_too_many && !has_too_much {
            return false;
        }
        let threads = self.desks.lock().len().max(1);
        has_too_many && keys > most_keys / threads || has_too_much && bytes > most_bytes / threads
    }
}

impl Desk {
    /// Adds a batch, if anybody here tracks. If too much waits, all of it is lost. `true`: nothing waited before.
    fn put(&self, batch: &Arc<Batch>) -> bool {
        if self.trackers.load(SeqCst) == 0 {
            return false;
        }
        let mut waiting = self.waiting.lock();
        let slept = waiting.batches.is_empty() && waiting.lost.is_none();
        let bytes = batch.bytes();
        if waiting.lost.is_some() || waiting.bytes > 0 && waiting.bytes + bytes > MOST_WAITING_BYTES {
            *waiting = Waiting { lost: Some(batch.end() - 1), ..Waiting::default() };
        } else {
            waiting.batches.push(Arc::clone(batch));
            waiting.bytes += bytes;
        }
        slept
    }

    /// `true`: somebody here is to be told.
    fn lose(&self, last: u64) -> bool {
        let is_heard = self.trackers.load(SeqCst) > 0;
        if is_heard {
            *self.waiting.lock() = Waiting { lost: Some(last), ..Waiting::default() };
        }
        is_heard
    }

    /// Takes all batches.
    ///
    /// # Errors
    /// If some are missing, with the number up to which changes are.
    pub(super) fn take(&self) -> Result<Vec<Arc<Batch>>, u64> {
        let Waiting { batches, lost, .. } = std::mem::take(&mut *self.waiting.lock());
        lost.map_or(Ok(batches), Err)
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.batches.is_empty() && waiting.lost.is_none()
    }
}
