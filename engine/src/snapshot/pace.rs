//! A limit on bytes per second.

use std::time::{Duration, Instant};

/// Decides when the next bytes are due. Unused bandwidth is not saved up, so no burst follows a pause.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    due: Option<Instant>,
}

impl Pace {
    pub fn new(bytes_per_second: u64) -> Pace {
        Pace { bytes_per_second, due: None }
    }

    /// When the next bytes may be sent or written, if that is later than now.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.due.filter(|due| *due > now)
    }

    /// Notes that `bytes` were sent or written.
    pub fn spend(&mut self, now: Instant, bytes: u64) {
        let takes = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.bytes_per_second);
        self.due = Some(self.due(now).unwrap_or(now) + takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time_and_pauses_are_not_made_up_for() {
        let mut pace = Pace::new(1000);
        let start = Instant::now();
        assert_eq!(pace.due(start), None);
        pace.spend(start, 500);
        pace.spend(start, 500);
        assert_eq!(pace.due(start), Some(start + Duration::from_secs(1)));
        let later = start + Duration::from_secs(9);
        assert_eq!(pace.due(later), None);
        pace.spend(later, 1000);
        assert_eq!(pace.due(later), Some(later + Duration::from_secs(1)));
    }
}
