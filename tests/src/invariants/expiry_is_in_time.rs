use std::collections::BTreeMap;

use super::{Broken, hold};

/// What servers' clocks may add to a key's time, or take from it, in microseconds: they compare them through the log.
pub const TOLERANCE: u64 = 1_000_000;

/// A key that expires is there for as long as it was set to last, whatever one of the clocks shows, and is gone once
/// everything has settled. Each of these keys is set once, and by nothing else.
#[derive(Debug, Default)]
pub struct ExpiryIsInTime {
    keys: BTreeMap<u64, Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    sent: u64,
    lasts: u64,
    acknowledged: Option<u64>,
}

const NAME: &str = "expiry_is_in_time";

impl ExpiryIsInTime {
    /// A client sets a key that lasts so long, in microseconds.
    pub fn set(&mut self, key: u64, now: u64, lasts: u64) {
        self.keys.insert(key, Due { sent: now, lasts, acknowledged: None });
    }

    /// It was told that the key is set.
    pub fn acknowledged(&mut self, key: u64, now: u64) {
        if let Some(due) = self.keys.get_mut(&key) {
            due.acknowledged = Some(now);
        }
    }

    /// The answer to a strong read that began at `begun` arrives.
    pub fn looked(&self, key: u64, found: bool, begun: u64, now: u64) -> Result<(), Broken> {
        let Some(Due { sent, lasts, acknowledged }) = self.keys.get(&key).copied() else { return Ok(()) };
        let was_there = acknowledged.is_some_and(|acknowledged| acknowledged <= begun);
        hold(found || !was_there || now + TOLERANCE >= sent + lasts, NAME, || {
            format!(
                "due-{key} was set at {sent} to last {lasts} us, which was acknowledged, and is gone at {now}"
            )
        })
    }

    /// Long after all faults have ended, a server still has this many keys that expire, and shows these.
    pub fn settled(&self, server: u64, expiring: u64, is_shown: impl Fn(u64) -> bool) -> Result<(), Broken> {
        let shown = self.keys.keys().copied().find(|key| is_shown(*key));
        hold(shown.is_none() && expiring == 0, NAME, || {
            format!(
                "server {server} still has {expiring} keys that have expired long ago, and shows due-{shown:?}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_too_early_or_stays_is_noticed() {
        let mut times = ExpiryIsInTime::default();
        times.set(1, 100, 5 * TOLERANCE);
        times.looked(1, false, 200, 300).expect("it may not have been set");
        times.acknowledged(1, 150);
        times.looked(1, true, 200, 300).unwrap();
        times.looked(1, false, 200, 100 + 4 * TOLERANCE).unwrap();
        assert!(times.looked(1, false, 200, 99 + 4 * TOLERANCE).is_err(), "too early");
        times.settled(1, 0, |_| false).unwrap();
        assert!(times.settled(1, 0, |key| key == 1).is_err(), "it is shown");
        assert!(times.settled(1, 1, |_| false).is_err(), "it is kept");
    }
}
