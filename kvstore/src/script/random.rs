//! Pseudo-random numbers: those of `lrand48`, from a seed that each script begins with, as in Redis.

/// A generator. Equal seeds give equal numbers on every server.
pub(super) struct Random(u64);

const MASK: u64 = (1 << 48) - 1;

impl Random {
    pub(super) fn new(seed: u32) -> Random {
        Random(u64::from(seed) << 16 | 0x330e)
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x0005_deec_e66d).wrapping_add(0xb) & MASK;
        f64::from((self.0 >> 17) as u32) / f64::from(1u32 << 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of `srand48(0)`, `lrand48()`, by POSIX.
    #[test]
    fn numbers_are_those_of_lrand48() {
        let mut random = Random::new(0);
        let first: Vec<u32> = (0..3).map(|_| (random.next() * f64::from(1u32 << 31)) as u32).collect();
        assert_eq!(first, [366_850_414, 1_610_402_240, 206_956_554]);
    }
}
