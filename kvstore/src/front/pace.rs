//! How fast those are read who hold more than their share of the memory. What they send needs memory that the system has yet to
//! give, and they can send it all at once: read as fast as it comes, it would hold up everybody else.

use std::time::{Duration, Instant};

/// One span of time,
const SPAN: Duration = Duration::from_millis(10);

/// and what is read in it, together. That is 100 MiB a second, and a fraction of a thread's time.
const SPAN_BYTES: usize = 1 << 20;

/// See the [module](self). Of one thread.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the present span ends.
    until: Option<Instant>,
    left: usize,
    /// Those that may have bytes to be read in the next span, in the order in which they come.
    waiting: Vec<u32>,
}

impl Pace {
    /// Begins another span if the last one has passed. Returns who has waited for it.
    pub(super) fn advance(&mut self, now: Instant) -> Vec<u32> {
        if self.until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        (self.until, self.left) = (Some(now + SPAN), SPAN_BYTES);
        std::mem::take(&mut self.waiting)
    }

    /// What may still be read in this span.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// So much was read.
    pub(super) fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// A connection resumes in the next span.
    pub(super) fn wait(&mut self, index: u32) {
        self.waiting.push(index);
    }

    /// When somebody who waits resumes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until.filter(|_| !self.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_nothing_left_resumes_in_the_next_span() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(pace.advance(now).is_empty());
        pace.take(SPAN_BYTES - 1);
        assert_eq!((pace.left(), pace.due()), (1, None));
        // More may have been read: what is encrypted comes in records.
        pace.take(10);
        assert_eq!(pace.left(), 0);
        pace.wait(7);
        pace.wait(3);
        assert_eq!(pace.due(), Some(now + SPAN));
        assert!(pace.advance(now + SPAN / 2).is_empty());
        assert_eq!(pace.left(), 0);
        assert_eq!(pace.advance(now + SPAN), [7, 3]);
        assert_eq!((pace.left(), pace.due()), (SPAN_BYTES, None));
    }
}
