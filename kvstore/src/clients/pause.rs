//! Whether, and until when, the clients of a server wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a pause holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paused {
    /// What may change something.
    Writes,
    /// Everything.
    All,
}

/// A pause that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pausing {
    pub(crate) what: Paused,
    pub(crate) until: Instant,
}

/// The longest pause: about 35 years.
const MOST_MS: u64 = 1 << 40;

/// A pause that all threads look at before each request: one load, as long as there is none.
#[derive(Debug)]
pub(super) struct Pause {
    began: Instant,
    /// The end, in milliseconds since `began`, and in the lowest bit whether everything is held up. 0: there is none.
    state: AtomicU64,
}

impl Pause {
    pub(super) fn new(now: Instant) -> Pause {
        Pause { began: now, state: AtomicU64::new(0) }
    }

    /// The pause at a time, if there is one.
    pub(super) fn at(&self, now: Instant) -> Option<Pausing> {
        let state = self.state.load(Ordering::SeqCst);
        if state == 0 {
            return None;
        }
        let until = self.began + Duration::from_millis(state >> 1);
        let what = if state & 1 == 1 { Paused::All } else { Paused::Writes };
        (now < until).then_some(Pausing { what, until })
    }

    /// Begins a pause. One that goes on keeps the later end, and the stricter kind.
    pub(super) fn begin(&self, what: Paused, milliseconds: u64, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis() as u64;
        // The millisecond that has begun does not count.
        let end = since + 1 + milliseconds.min(MOST_MS);
        let state = |end: u64, what: Paused| end << 1 | u64::from(what == Paused::All);
        let merged = |before: u64| {
            let goes_on = before >> 1 > since;
            let strictest = if goes_on && before & 1 == 1 { Paused::All } else { what };
            Some(state(end.max(if goes_on { before >> 1 } else { 0 }), strictest))
        };
        // The closure always has a new state, so this cannot fail.
        let _ = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, merged);
    }

    pub(super) fn end(&self) {
        self.state.store(0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_and_longer_pause_holds() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let pause = Pause::new(start);
        assert_eq!(pause.at(at(0)), None);
        pause.begin(Paused::Writes, 100, at(10));
        let what = |ms| pause.at(at(ms)).map(|pausing| pausing.what);
        assert_eq!((what(10), what(110), what(112)), (Some(Paused::Writes), Some(Paused::Writes), None));
        pause.begin(Paused::All, 10, at(20));
        assert_eq!((what(20), what(110)), (Some(Paused::All), Some(Paused::All)), "it takes the later end");
        pause.begin(Paused::Writes, 200, at(30));
        assert_eq!(what(220), Some(Paused::All));
        pause.begin(Paused::Writes, 10, at(300));
        assert_eq!((what(300), what(312)), (Some(Paused::Writes), None), "what is over does not count");
        pause.begin(Paused::All, u64::MAX, at(400));
        assert_eq!(what(1_000_000), Some(Paused::All));
        pause.end();
        assert_eq!(what(400), None);
    }
}
