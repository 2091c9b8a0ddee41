//! What one thread has seen, in all and by interval.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use hdrhistogram::Histogram;
use niagara_measure::nanoseconds;

use super::operation::{Kind, Trouble};

/// The measured part of a phase, in nanoseconds on the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub begin: u64,
    pub end: u64,
    /// Step of the timeline.
    pub step: u64,
}

impl Window {
    /// The interval at a time; those before the window have negative numbers.
    pub fn interval(&self, at: u64) -> i64 {
        (at as i64 - self.begin as i64).div_euclid(self.step as i64)
    }

    /// When an interval ends.
    pub fn end_of(&self, interval: i64) -> u64 {
        let end = self.begin as i64 + (interval + 1) * self.step as i64;
        if interval < 0 { end.max(0) as u64 } else { (end as u64).min(self.end.max(self.begin)) }
    }

    /// How many intervals the window has; the last may be shorter.
    pub fn intervals(&self) -> i64 {
        (self.end - self.begin).div_ceil(self.step) as i64
    }

    fn holds(&self, at: u64) -> bool {
        (self.begin..self.end).contains(&at)
    }
}

/// What was completed in one interval.
pub(super) struct Slice {
    /// Nanoseconds, of all kinds.
    pub nanos: Histogram<u64>,
    /// By kind.
    pub completed: [u64; 3],
    pub errors: u64,
}

impl Slice {
    pub fn new() -> Slice {
        Slice { nanos: nanoseconds(), completed: [0; 3], errors: 0 }
    }

    /// Adds what another thread has seen in the same interval.
    pub fn add(&mut self, other: &Slice) {
        self.nanos.add(&other.nanos).expect("the bounds are the same");
        self.errors += other.errors;
        self.completed.iter_mut().zip(other.completed).for_each(|(sum, part)| *sum += part);
    }
}

/// What was seen in the whole window.
#[derive(Clone)]
pub(super) struct Totals {
    /// Nanoseconds, by kind.
    pub nanos: [Histogram<u64>; 3],
    pub errors: BTreeMap<Trouble, u64>,
    /// What was said about the first error of each kind.
    pub said: BTreeMap<Trouble, String>,
    /// Reads that found nothing.
    pub misses: u64,
    /// Operations that were due before the end, and could not begin.
    pub backlog: u64,
}

impl Totals {
    pub fn new() -> Totals {
        Totals {
            nanos: [nanoseconds(), nanoseconds(), nanoseconds()],
            errors: BTreeMap::new(),
            said: BTreeMap::new(),
            misses: 0,
            backlog: 0,
        }
    }

    /// Adds what another thread has seen.
    pub fn add(&mut self, other: Totals) {
        for (sum, part) in self.nanos.iter_mut().zip(&other.nanos) {
            sum.add(part).expect("the bounds are the same");
        }
        other.errors.iter().for_each(|(trouble, count)| *self.errors.entry(*trouble).or_default() += count);
        other.said.into_iter().for_each(|(trouble, text)| {
            self.said.entry(trouble).or_insert(text);
        });
        self.misses += other.misses;
        self.backlog += other.backlog;
    }
}

/// One thread's measurements of a phase.
pub(super) struct Measure {
    window: Window,
    totals: Totals,
    slice: Slice,
    interval: i64,
    finished: SyncSender<(i64, Slice)>,
}

/// Longer texts are cut.
const MOST_SAID: usize = 200;

impl Measure {
    /// Begins now; finished intervals are handed over.
    pub fn new(now: u64, window: Window, finished: SyncSender<(i64, Slice)>) -> Measure {
        Measure {
            interval: window.interval(now),
            window,
            totals: Totals::new(),
            slice: Slice::new(),
            finished,
        }
    }

    /// An operation is done.
    pub fn done(&mut self, now: u64, kind: Kind, intended: u64, miss: bool) {
        self.tick(now);
        let nanos = now.saturating_sub(intended).max(1);
        self.slice.nanos.saturating_record(nanos);
        self.slice.completed[kind as usize] += 1;
        if self.window.holds(now) {
            self.totals.nanos[kind as usize].saturating_record(nanos);
            self.totals.misses += u64::from(miss);
        }
    }

    /// Something is not.
    pub fn trouble(&mut self, now: u64, trouble: Trouble, said: &[u8]) {
        self.tick(now);
        self.slice.errors += 1;
        if self.window.holds(now) {
            *self.totals.errors.entry(trouble).or_default() += 1;
        }
        // Also of the warm-up: where nothing works, this is all that there is.
        if !said.is_empty() {
            let text = || String::from_utf8_lossy(&said[..said.len().min(MOST_SAID)]).trim_end().to_owned();
            self.totals.said.entry(trouble).or_insert_with(text);
        }
    }

    /// Hands over the intervals that have ended.
    pub fn tick(&mut self, now: u64) {
        while self.next_tick() <= now && self.interval < self.window.intervals() {
            let slice = std::mem::replace(&mut self.slice, Slice::new());
            // Nobody listens any more if the run is being given up.
            let _ = self.finished.send((self.interval, slice));
            self.interval += 1;
        }
    }

    /// When the present interval ends.
    pub fn next_tick(&self) -> u64 {
        if self.interval < self.window.intervals() { self.window.end_of(self.interval) } else { u64::MAX }
    }

    /// Ends the phase, the last interval of its window included.
    pub fn finish(mut self, now: u64, backlog: u64) -> Totals {
        self.tick(now.min(self.window.end));
        self.totals.backlog = backlog;
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn what_is_completed_counts_where_it_is_completed() {
        let (finished, slices) = sync_channel(16);
        let window = Window { begin: 1000, end: 1250, step: 100 };
        let mut measure = Measure::new(850, window, finished);
        measure.done(990, Kind::Read, 500, true);
        measure.done(1000, Kind::Read, 990, true);
        measure.done(1099, Kind::Write, 1000, false);
        measure.trouble(1249, Trouble::Lost, b"why");
        measure.done(1250, Kind::Write, 1000, false);
        let totals = measure.finish(1300, 3);
        assert_eq!((totals.misses, totals.backlog, totals.errors[&Trouble::Lost]), (1, 3, 1));
        assert_eq!(totals.nanos.each_ref().map(Histogram::len), [1, 1, 0]);
        let seen: Vec<_> =
            slices.iter().map(|(at, slice)| (at, slice.completed, slice.errors, slice.nanos.max())).collect();
        assert_eq!(
            seen,
            [
                (-2, [0, 0, 0], 0, 0),
                (-1, [0, 1, 0], 0, 490),
                (0, [1, 1, 0], 0, 99),
                (1, [0, 0, 0], 0, 0),
                (2, [0, 0, 0], 1, 0),
            ]
        );
    }
}
