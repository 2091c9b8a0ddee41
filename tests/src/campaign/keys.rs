//! The keys that clients share for a while. What was done with a key makes one history, which is judged when its time is
//! over and its last client is done with it: so a campaign of any length keeps little in memory.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::linearizability::Operation;

use niagara_testing::parts::chance::Chance;

/// One key, or two that are only ever written together, and all that was done with it.
pub(super) struct SharedKey {
    pub name: String,
    pub is_pair: bool,
    until: Instant,
    done: Mutex<Done>,
    judge: SyncSender<Vec<Operation<String>>>,
}

#[derive(Default)]
struct Done {
    operations: Vec<Operation<String>>,
    unknown: usize,
}

/// Operations with an unknown outcome, after which a key is retired: each may have happened at any later time, which
/// makes the search for an order longer and its verdict weaker.
const UNKNOWN_PER_KEY: usize = 6;
/// Operations after which a key is retired.
const OPERATIONS_PER_KEY: usize = 1500;

impl SharedKey {
    pub(super) fn record(&self, operation: Operation<String>) {
        let mut done = self.done.lock().expect("no thread panics while it holds this");
        done.unknown += usize::from(operation.ended.is_none());
        done.operations.push(operation);
    }

    fn is_over(&self) -> bool {
        let done = self.done.lock().expect("no thread panics while it holds this");
        Instant::now() >= self.until
            || done.unknown >= UNKNOWN_PER_KEY
            || done.operations.len() >= OPERATIONS_PER_KEY
    }
}

impl Drop for SharedKey {
    fn drop(&mut self) {
        let done = self.done.get_mut().expect("no thread panics while it holds this");
        if !done.operations.is_empty() {
            // The judge ends early only with a verdict that ends the campaign.
            let _ = self.judge.send(std::mem::take(&mut done.operations));
        }
    }
}

/// The keys in use.
pub(super) struct Keys {
    places: Vec<Mutex<Option<Arc<SharedKey>>>>,
    judge: SyncSender<Vec<Operation<String>>>,
    made: AtomicU64,
}

/// Keys that are used a lot, so that many operations on each overlap,
const BUSY: usize = 4;
/// pairs of keys,
const PAIRS: usize = 2;
/// and keys that are used seldom, and live long enough to see several faults come and go.
const SELDOM: usize = 4;
/// Of a hundred operations, so many are on one of the last.
const SELDOM_PERCENT: u64 = 4;

/// The life of a key that is used a lot, in milliseconds: shorter and longer than most faults.
const BUSY_MS: (u64, u64) = (1500, 12_000);
const SELDOM_MS: (u64, u64) = (20_000, 60_000);

impl Keys {
    pub(super) fn new(judge: SyncSender<Vec<Operation<String>>>) -> Keys {
        let places = (0..BUSY + PAIRS + SELDOM).map(|_| Mutex::default()).collect();
        Keys { places, judge, made: AtomicU64::new(0) }
    }

    /// The key at one of the places, chosen at random.
    pub(super) fn any(&self, random: &mut Chance) -> Arc<SharedKey> {
        let place = if random.percent(SELDOM_PERCENT) {
            BUSY + PAIRS + random.below(SELDOM as u64) as usize
        } else {
            random.below((BUSY + PAIRS) as u64) as usize
        };
        self.at(place, random)
    }

    fn at(&self, place: usize, random: &mut Chance) -> Arc<SharedKey> {
        let mut key = self.places[place].lock().expect("no thread panics while it holds this");
        let old = key.take();
        if let Some(old) = &old
            && !old.is_over()
        {
            *key = Some(Arc::clone(old));
            return Arc::clone(old);
        }
        let new = self.make(place, random);
        *key = Some(Arc::clone(&new));
        drop(key);
        // Only now, since the judge may be busy and keep the one waiting who brings the history.
        drop(old);
        new
    }

    /// The keys in use. They are given up: whoever asks next gets others.
    pub(super) fn retire(&self) -> Vec<Arc<SharedKey>> {
        let taken =
            self.places.iter().map(|key| key.lock().expect("no thread panics while it holds this").take());
        taken.flatten().collect()
    }

    fn make(&self, place: usize, random: &mut Chance) -> Arc<SharedKey> {
        let number = self.made.fetch_add(1, Relaxed) + 1;
        let is_pair = (BUSY..BUSY + PAIRS).contains(&place);
        let (least, most) = if place < BUSY + PAIRS { BUSY_MS } else { SELDOM_MS };
        Arc::new(SharedKey {
            name: format!("{}-{number}", if is_pair { "pair" } else { "key" }),
            is_pair,
            until: Instant::now() + Duration::from_millis(random.between(least, most)),
            done: Mutex::default(),
            judge: self.judge.clone(),
        })
    }
}
