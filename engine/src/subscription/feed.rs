//! The recent part of the global log, for subscribers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use niagara_sequencer::GlobalPosition;

use super::compacted::Compacted;
use super::part::{Part, Recording};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering::SeqCst};

/// What a feed keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedLimits {
    /// The most bytes; the newest part is kept however long it is.
    pub bytes: u64,
    /// Whether it is kept while nobody subscribes.
    pub history: bool,
}

/// The recent part of the global log. Execution appends to it, subscribers read it.
pub(crate) struct Feed {
    limits: FeedLimits,
    /// Whether the next stretch is recorded.
    is_recording: AtomicBool,
    /// The last position of the stretch that execution has begun last.
    begun: AtomicU64,
    kept: Mutex<Kept>,
}

struct Kept {
    /// Number of subscriptions.
    subscribers: usize,
    /// The first position that `parts` cover: commands before it are gone.
    begin: GlobalPosition,
    parts: VecDeque<Arc<Part>>,
    bytes: u64,
    /// Subscribers that have read everything, by their number.
    waiting: Vec<(u64, Waker)>,
    last_number: u64,
    is_closed: bool,
}

/// What comes next for a subscriber.
pub(crate) enum Next {
    Part(Arc<Part>),
    /// It is too late: this is the first position that is there.
    Gone(GlobalPosition),
    /// Everything has been read. The subscriber is woken when there is more.
    Wait,
    /// Everything has been read, and the server has stopped.
    Closed,
}

impl Feed {
    /// A feed of a server that has executed nothing.
    pub fn new(limits: FeedLimits) -> Feed {
        let kept = Kept {
            subscribers: 0,
            begin: after(GlobalPosition::ZERO),
            parts: VecDeque::new(),
            bytes: 0,
            waiting: Vec::new(),
            last_number: 0,
            is_closed: false,
        };
        Feed {
            limits,
            is_recording: AtomicBool::new(limits.history),
            begun: AtomicU64::new(0),
            kept: Mutex::new(kept),
        }
    }

    /// Announces that a stretch that ends at `last` is about to be executed; `Some` if it is to be recorded.
    ///
    /// Announce, then look whether anybody subscribes; subscribe, then look what was announced: whoever
    /// subscribes either finds this stretch announced, and begins after it, or finds it recorded.
    pub fn begin(&self, last: GlobalPosition) -> Option<Recording> {
        self.begun.store(last.get(), SeqCst);
        self.is_recording.load(SeqCst).then(Recording::default)
    }

    /// Appends a stretch that was executed and published.
    pub fn append(&self, part: Part) {
        let mut kept = self.kept.lock();
        // A stretch from before the first subscription, or after the last one, or of no-ops alone.
        if !self.is_recording.load(SeqCst) || part.last() < kept.begin || part.is_empty() {
            return;
        }
        kept.bytes += part.bytes();
        kept.parts.push_back(Arc::new(part));
        let gone = kept.shorten(self.limits.bytes);
        let waiting = std::mem::take(&mut kept.waiting);
        drop(kept);
        // Both run code of others: buffers are freed, and executors told.
        drop(gone);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Continues from a received snapshot: everything up to its position counts as executed, elsewhere.
    pub fn restored(&self, last: GlobalPosition) {
        if self.begin(last).is_some() {
            self.append(Part::Restored { last });
        }
    }

    /// Begins after the snapshot that the server starts from. Nobody subscribes yet.
    pub fn start_after(&self, position: GlobalPosition) {
        self.begun.store(position.get(), SeqCst);
        self.kept.lock().begin = after(position);
    }

    /// Adds a subscriber that wants everything from `from` on, or from as early as possible. Returns its
    /// number and where it begins.
    pub fn subscribe(&self, from: Option<GlobalPosition>) -> Result<(u64, GlobalPosition), Compacted> {
        let mut kept = self.kept.lock();
        if !self.is_recording.swap(true, SeqCst) {
            kept.begin = after(GlobalPosition::new(self.begun.load(SeqCst)));
        }
        let (from, least) = match from.map(|from| from.max(after(GlobalPosition::ZERO))) {
            Some(from) => (from, kept.least(from)),
            None => {
                let from = after(GlobalPosition::new(self.begun.load(SeqCst)));
                (from, from)
            }
        };
        if least > from {
            self.rest_if_unused(&mut kept);
            return Err(Compacted { least });
        }
        kept.subscribers += 1;
        kept.last_number += 1;
        Ok((kept.last_number, from))
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&self, number: u64) {
        let mut kept = self.kept.lock();
        let waker = kept.stop_waiting(number);
        kept.subscribers -= 1;
        let gone = self.rest_if_unused(&mut kept);
        drop(kept);
        drop((waker, gone));
    }

    fn rest_if_unused(&self, kept: &mut Kept) -> VecDeque<Arc<Part>> {
        if kept.subscribers > 0 || self.limits.history {
            return VecDeque::new();
        }
        self.is_recording.store(false, SeqCst);
        kept.bytes = 0;
        std::mem::take(&mut kept.parts)
    }

    /// What follows for a subscriber that has read everything before `next`.
    pub fn next(&self, number: u64, next: GlobalPosition, waker: &Waker) -> Next {
        let waker = waker.clone();
        let mut kept = self.kept.lock();
        if next < kept.begin {
            return Next::Gone(kept.least(next));
        }
        let read = kept.parts.partition_point(|part| part.last() < next);
        if let Some(part) = kept.parts.get(read) {
            return Next::Part(Arc::clone(part));
        }
        if kept.is_closed {
            return Next::Closed;
        }
        let before = kept.stop_waiting(number);
        kept.waiting.push((number, waker));
        drop(kept);
        drop(before);
        Next::Wait
    }

    /// Ends all waiting.
    pub fn close(&self) {
        let mut kept = self.kept.lock();
        kept.is_closed = true;
        let waiting = std::mem::take(&mut kept.waiting);
        drop(kept);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Kept {
    /// The first position from `from` on at which a subscriber can begin.
    fn least(&self, from: GlobalPosition) -> GlobalPosition {
        let least = from.max(self.begin);
        let part = self.parts.partition_point(|part| part.last() < least);
        let restored =
            self.parts.iter().skip(part).take_while(|part| matches!(***part, Part::Restored { .. }));
        restored.last().map_or(least, |part| after(part.last()))
    }

    /// Removes the oldest parts until the rest fits, or one is left. Returns what was removed.
    fn shorten(&mut self, most: u64) -> Vec<Arc<Part>> {
        let mut gone = Vec::new();
        while self.bytes > most && self.parts.len() > 1 {
            let part = self.parts.pop_front().expect("there are two");
            self.bytes -= part.bytes();
            self.begin = after(part.last());
            gone.push(part);
        }
        gone
    }

    fn stop_waiting(&mut self, number: u64) -> Option<Waker> {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == number)?;
        Some(self.waiting.swap_remove(place).1)
    }
}

fn after(position: GlobalPosition) -> GlobalPosition {
    GlobalPosition::new(position.get() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody subscribes to a snapshot: it is where a subscription ends.
    #[test]
    fn what_may_be_subscribed_to_lies_behind_a_restored_snapshot() {
        let feed = Feed::new(FeedLimits { bytes: 1 << 20, history: true });
        let at = GlobalPosition::new;
        feed.restored(at(10));
        feed.restored(at(20));
        for from in [1, 10, 11, 20] {
            assert_eq!(feed.subscribe(Some(at(from))), Err(Compacted { least: at(21) }));
        }
        assert_eq!(feed.subscribe(Some(at(21))).map(|(_, from)| from), Ok(at(21)));
        assert_eq!(feed.subscribe(None).map(|(_, from)| from), Ok(at(21)));
    }
}
