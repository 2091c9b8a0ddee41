//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Delays that double from `min` to `max`, each shortened at random by up to a half, so that servers that
/// lost the same peer at the same moment do not all reconnect at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    random: XorShift,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Backoff {
        Backoff { min, max, next: min, random: XorShift::new(seed) }
    }

    /// Returns the delay before the next attempt, and doubles the one after it.
    pub(crate) fn delay(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(self.max);
        longest / 2 + (longest / 2).mul_f64(self.random.fraction())
    }

    /// Restarts with the shortest delay.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

/// Marsaglia's xorshift generator with a multiplied output (xorshift64*), which is good enough for jitter.
#[derive(Debug)]
struct XorShift(u64);

impl XorShift {
    /// Mixes the seed first (splitmix64's finaliser), so that seeds that differ in one bit give unlike
    /// series.
    fn new(seed: u64) -> XorShift {
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Zero is the one state that the generator never leaves.
        XorShift((mixed ^ (mixed >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A random number in 0..1.
    fn fraction(&mut self) -> f64 {
        const BITS: u32 = 53;
        (self.next() >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(20);
    const MAX: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_maximum_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(MIN, MAX, 1);
        for longest in [20, 40, 80, 160, 320, 640, 1000, 1000].map(Duration::from_millis) {
            let delay = backoff.delay();
            assert!((longest / 2..=longest).contains(&delay), "{delay:?} for at most {longest:?}");
        }
        backoff.reset();
        assert!(backoff.delay() <= MIN);
    }

    #[test]
    fn servers_with_neighbouring_seeds_wait_differently() {
        let delays = (0..100).map(|seed| Backoff::new(MAX, MAX, seed).delay());
        let early = delays.filter(|delay| *delay < MAX * 3 / 4).count();
        assert!((25..75).contains(&early), "{early} of 100 in the first half of the jitter");
    }
}
