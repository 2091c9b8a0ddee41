//! What a thread has heard while its connections await something that was executed in the log.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Reads;
use super::{Batch, Deed};

/// Most bytes of batches that are kept. Whatever needs more is answered to be safe.
const MOST_BYTES: usize = 8 << 20;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Recent {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    /// What commands have done, by their names. Several may have the same.
    deeds: HashMap<(u64, u64), Vec<Deed>>,
    /// How many requests are awaited. While there are none, nothing is kept.
    awaited: usize,
    /// Changes up to this number are not kept.
    forgotten: u64,
    /// How often something was forgotten that may have been awaited.
    losses: u64,
}

/// What an awaited command has done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// The changes that are certainly its own, and no other command's.
    pub(super) own: Range<u64>,
    /// What it may have read; `None`: that is not known.
    pub(super) reads: Option<Vec<(u64, Bytes)>>,
}

impl Recent {
    /// A request is awaited from now on. Returns what `end` is to be called with.
    pub(super) fn begin(&mut self) -> u64 {
        self.awaited += 1;
        self.losses
    }

    /// So many requests are awaited no more.
    pub(super) fn end(&mut self, count: usize) {
        self.awaited -= count;
    }

    /// What the command with a name has done, which was awaited since there had been so many losses.
    pub(super) fn done(&self, name: (u64, u64), losses: u64) -> Done {
        let deeds = self.deeds.get(&name).map_or(&[][..], Vec::as_slice);
        let own = if let [deed] = deeds { deed.changes.clone() } else { 0..0 };
        let mut reads = Some(Vec::new()).filter(|_| losses == self.losses);
        for deed in deeds {
            match (&mut reads, &deed.reads) {
                (Some(all), Reads::Keys(keys)) => all.extend_from_slice(keys),
                _ => reads = None,
            }
        }
        Done { own, reads }
    }

    /// The number of a change of a key behind this one, if there may be one.
    pub(super) fn changed_after(&self, key: &[u8], since: u64) -> bool {
        if since < self.forgotten {
            return true;
        }
        let seen = self.batches.partition_point(|batch| batch.end() <= since + 1);
        let later = self.batches.range(seen..).flat_map(|batch| batch.changes_from(since + 1));
        later.into_iter().any(|(_, changed)| changed.is_none_or(|changed| changed == key))
    }

    /// Hears a batch.
    pub(super) fn hear(&mut self, batch: &Arc<Batch>) {
        if self.awaited == 0 {
            self.forget_all(batch.end() - 1);
            return;
        }
        for deed in &batch.deeds {
            self.deeds.entry(deed.name).or_default().push(deed.clone());
        }
        self.bytes += batch.bytes();
        self.batches.push_back(Arc::clone(batch));
        while self.bytes > MOST_BYTES
            && let Some(batch) = self.batches.pop_front()
        {
            self.bytes -= batch.bytes();
            self.forgotten = self.forgotten.max(batch.end() - 1);
            self.losses += 1;
            for deed in &batch.deeds {
                self.deeds.remove(&deed.name);
            }
        }
    }

    /// Changes up to this number were not heard.
    pub(super) fn lose(&mut self, last: u64) {
        self.losses += 1;
        self.forget_all(last);
    }

    fn forget_all(&mut self, last: u64) {
        self.forgotten = self.forgotten.max(last);
        if self.bytes > 0 {
            self.batches.clear();
            self.deeds.clear();
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, keys: &[&str], deeds: Vec<Deed>) -> Arc<Batch> {
        let mut batch = Batch::default();
        (batch.first, batch.deeds) = (first, deeds);
        keys.iter().for_each(|key| batch.add(key.as_bytes()));
        Arc::new(batch)
    }

    fn deed(digest: u64, changes: Range<u64>, reads: Reads) -> Deed {
        Deed { name: (100, digest), changes, reads }
    }

    fn reads(reads: &[(u64, &'static str)]) -> Vec<(u64, Bytes)> {
        reads.iter().map(|(since, key)| (*since, Bytes::from_static(key.as_bytes()))).collect()
    }

    #[test]
    fn what_is_awaited_is_found_with_all_changes_since() {
        let mut recent = Recent::default();
        recent.hear(&batch(1, &["a"], Vec::new()));
        let losses = recent.begin();
        let done = deed(7, 2..3, Reads::Keys(reads(&[(1, "a"), (2, "b")])));
        recent.hear(&batch(2, &["a"], vec![done]));
        recent.hear(&batch(3, &["c"], Vec::new()));
        let expected = Done { own: 2..3, reads: Some(reads(&[(1, "a"), (2, "b")])) };
        assert_eq!(recent.done((100, 7), losses), expected);
        assert_eq!(recent.done((100, 8), losses), Done { own: 0..0, reads: Some(Vec::new()) });
        assert!(recent.changed_after(b"a", 1) && !recent.changed_after(b"a", 2));
        assert!(recent.changed_after(b"c", 2) && !recent.changed_after(b"b", 1));
        assert!(recent.changed_after(b"b", 0), "what was before is not known");
        recent.end(1);
        recent.hear(&batch(4, &["d"], Vec::new()));
        assert_eq!((recent.bytes, recent.batches.len(), recent.deeds.len()), (0, 0, 0));
        assert!(!recent.changed_after(b"d", 4));
    }

    #[test]
    fn of_alike_commands_nobody_knows_whose_changes_are_whose() {
        let mut recent = Recent::default();
        let losses = recent.begin();
        let first = deed(7, 1..2, Reads::Keys(reads(&[(0, "a")])));
        let second = deed(7, 2..2, Reads::Keys(reads(&[(1, "a")])));
        recent.hear(&batch(1, &["a"], vec![first, second]));
        let expected = Done { own: 0..0, reads: Some(reads(&[(0, "a"), (1, "a")])) };
        assert_eq!(recent.done((100, 7), losses), expected);
    }

    #[test]
    fn what_was_lost_is_not_taken_for_nothing() {
        let mut recent = Recent::default();
        let losses = recent.begin();
        recent.hear(&batch(1, &["a"], vec![deed(7, 1..2, Reads::TooMany)]));
        assert_eq!(recent.done((100, 7), losses), Done { own: 1..2, reads: None });
        recent.lose(5);
        assert_eq!(recent.done((100, 7), losses).reads, None);
        assert!(recent.changed_after(b"x", 4) && !recent.changed_after(b"x", 5));
        let losses = recent.begin();
        let long = "k".repeat(MOST_BYTES / 2);
        for first in 6..9 {
            recent.hear(&batch(first, &[&long], Vec::new()));
        }
        assert!(recent.bytes <= MOST_BYTES);
        assert_eq!(recent.done((100, 7), losses).reads, None);
        assert!(recent.changed_after(b"x", 6) && !recent.changed_after(b"x", 8));
    }
}
