//! Which keys and values operations carry.

use std::fmt::{self, Display};
use std::str::FromStr;

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution as _, Zipf};

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All alike.
    Uniform,
    /// The key of rank k as often as 1 / k^theta.
    Zipf {
        /// The exponent.
        theta: f64,
    },
}

/// The exponent of YCSB.
const YCSB_THETA: f64 = 0.99;

impl Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distribution::Uniform => f.write_str("uniform"),
            Distribution::Zipf { theta } => write!(f, "zipf:{theta}"),
        }
    }
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let theta = match text.split_once(':') {
            None if text == "uniform" => return Ok(Distribution::Uniform),
            None if text == "zipf" => Ok(YCSB_THETA),
            Some(("zipf", theta)) => theta.parse().map_err(|_| ()),
            _ => Err(()),
        };
        match theta {
            Ok(theta) if (0.0..=10.0).contains(&theta) => Ok(Distribution::Zipf { theta }),
            _ => Err("give uniform, zipf, or zipf:THETA with an exponent from 0 to 10".into()),
        }
    }
}

/// A prime above every number of keys, so that multiplying by it visits every key once.
const SCATTER: u64 = 2_654_435_761;

/// Chooses keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    count: u64,
    zipf: Option<Zipf<f64>>,
}

impl Keys {
    /// Chooses among so many keys.
    pub fn new(count: u64, distribution: Distribution) -> Keys {
        let zipf = match distribution {
            Distribution::Uniform => None,
            Distribution::Zipf { theta } => Some(
                Zipf::new(count as f64, theta).expect("a count above zero and an exponent from zero fit"),
            ),
        };
        Keys { count, zipf }
    }

    /// The number of a key.
    pub fn choose(&self, random: &mut SmallRng) -> u64 {
        match &self.zipf {
            None => random.random_range(0..self.count),
            // Hot keys are not neighbours: ranks are scattered over all keys.
            Some(zipf) => {
                let rank = (zipf.sample(random) as u64).clamp(1, self.count) - 1;
                (u128::from(rank) * u128::from(SCATTER) % u128::from(self.count)) as u64
            }
        }
    }
}

/// Writes the text of a key: `k`, and its number with zeros in front, of so many bytes in all.
pub(super) fn write_key(out: &mut Vec<u8>, number: u64, bytes: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number).as_bytes();
    out.clear();
    out.push(b'k');
    // The formatting machinery would take an eighth of a thread's time.
    out.resize(bytes - digits.len(), b'0');
    out.extend_from_slice(digits);
}

/// Bytes that the longest of so many keys needs.
pub(super) fn least_key_bytes(count: u64) -> u32 {
    (count.max(2) - 1).ilog10() + 2
}

/// Bytes of which values are cut: letters that do not compress, made once.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

/// Values begin at one of so many places of the pool.
const PLACES: usize = 4096;

impl Values {
    /// Values of this length.
    pub fn new(bytes: usize, random: &mut SmallRng) -> Values {
        const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        let pool = (0..bytes + PLACES).map(|_| LETTERS[(random.next_u32() >> 26) as usize]).collect();
        Values { pool, bytes }
    }

    /// Some value.
    pub fn choose(&self, random: &mut SmallRng) -> &[u8] {
        let at = random.random_range(0..PLACES);
        &self.pool[at..at + self.bytes]
    }
}

/// The choices of one purpose, apart from those of others.
pub(super) fn choices(seed: u64, purpose: u64) -> SmallRng {
    // The generator mixes its seed, so neighbouring seeds have nothing in common.
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn keys_have_the_length_asked_for() {
        let mut key = Vec::new();
        write_key(&mut key, 42, 8);
        assert_eq!(key, b"k0000042");
        for (count, least) in [(1, 2), (10, 2), (11, 3), (100_000, 6), (100_001, 7)] {
            assert_eq!(least_key_bytes(count), least, "{count}");
            write_key(&mut key, count - 1, least as usize);
            assert_eq!(key.len(), least as usize);
        }
    }

    #[test]
    fn hot_keys_are_hot_and_no_neighbours() {
        let keys = Keys::new(1000, Distribution::Zipf { theta: 0.99 });
        let mut random = choices(1, 0);
        let mut seen: HashMap<u64, u64> = HashMap::new();
        (0..100_000).for_each(|_| *seen.entry(keys.choose(&mut random)).or_default() += 1);
        let mut hot: Vec<(u64, u64)> = seen.into_iter().map(|(key, times)| (times, key)).collect();
        hot.sort_unstable_by(|a, b| b.cmp(a));
        // The sum of 1 / k^0.99 for 1000 keys is 7.73: the hottest gets 12.9 %, the next half of that.
        assert!((12_000..14_000).contains(&hot[0].0), "{:?}", hot[0]);
        assert!((5_800..7_300).contains(&hot[1].0), "{:?}", hot[1]);
        assert!(hot[0].1.abs_diff(hot[1].1) > 10, "{:?}", &hot[..2]);
    }

    #[test]
    fn every_key_has_a_rank() {
        for count in [1, 2, 7, 1000, 99_999] {
            let mut keys: Vec<u64> = (0..count).map(|rank| rank * SCATTER % count).collect();
            keys.sort_unstable();
            assert!(keys.into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn distributions_are_named() {
        assert_eq!("zipf".parse(), Ok(Distribution::Zipf { theta: 0.99 }));
        assert_eq!("zipf:1.2".parse(), Ok(Distribution::Zipf { theta: 1.2 }));
        assert_eq!("uniform".parse(), Ok(Distribution::Uniform));
        for text in ["", "zip", "zipf:", "zipf:x", "zipf:-1", "uniform:1"] {
            assert!(text.parse::<Distribution>().is_err(), "{text}");
        }
    }
}
