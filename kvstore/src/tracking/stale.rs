//! What trackers are told that they must not use any more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Memory of a key beside its bytes, roughly.
const KEY_BYTES: usize = 64;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Whatever they keep.
    All,
    /// What they keep of these keys, each with the number of a change; 0 if it has not changed, as far as is known. A key may
    /// stand here several times.
    Keys(Arc<Vec<(u64, Bytes)>>),
}

impl Stale {
    /// One key.
    pub(super) fn key(number: u64, key: Bytes) -> Stale {
        Stale::Keys(Arc::new(vec![(number, key)]))
    }

    /// How much it takes while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Stale::All => KEY_BYTES,
            Stale::Keys(keys) => keys.iter().map(|(_, key)| key.len() + KEY_BYTES).sum(),
        }
    }

    /// Takes the keys out that a client has changed itself, and whose changes have these numbers.
    pub(super) fn take_own(&mut self, own: &Range<u64>) -> Vec<(u64, Bytes)> {
        match self {
            Stale::Keys(keys) if keys.iter().any(|(number, _)| own.contains(number)) => {
                Arc::make_mut(keys).extract_if(.., |(number, _)| own.contains(number)).collect()
            }
            Stale::All | Stale::Keys(_) => Vec::new(),
        }
    }

    /// Leaves only keys that a client may know of.
    pub(crate) fn retain(&mut self, may_know: impl Fn(&[u8]) -> bool) {
        if let Stale::Keys(keys) = self
            && keys.iter().any(|(_, key)| !may_know(key))
        {
            Arc::make_mut(keys).retain(|(_, key)| may_know(key));
        }
    }

    /// Whether nothing is left to tell.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Stale::Keys(keys) if keys.is_empty())
    }
}

/// Most bytes that wait for the connections of a thread to which trackers of other threads redirect. Beyond that, each of them
/// is told that all is stale.
const MOST_PASSED_BYTES: usize = 16 << 20;

/// What other threads have for a thread's connections, in order, by number of the connection.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    waiting: BTreeMap<u64, Vec<Stale>>,
    bytes: usize,
}

impl Passed {
    /// Adds something for a connection. `true`: nothing waited before.
    pub(crate) fn add(&mut self, connection: u64, stale: Stale) -> bool {
        let was_empty = self.waiting.is_empty();
        self.bytes += stale.bytes();
        self.waiting.entry(connection).or_default().push(stale);
        if self.bytes > MOST_PASSED_BYTES {
            self.waiting.values_mut().for_each(|waiting| *waiting = vec![Stale::All]);
            self.bytes = self.waiting.len() * Stale::All.bytes();
        }
        was_empty
    }

    /// What waits for whom.
    pub(crate) fn into_each(self) -> impl Iterator<Item = (u64, Stale)> {
        let each =
            |(connection, stale): (u64, Vec<Stale>)| stale.into_iter().map(move |one| (connection, one));
        self.waiting.into_iter().flat_map(each)
    }
}
