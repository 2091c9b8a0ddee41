//! How well the least recently used keys are found: hits of a cache under a Zipf load, against a cache that knows exactly.

use std::collections::BTreeMap;

use super::memory::config;
use super::*;
use crate::Database;

const KEYS: u64 = 20_000;
const REQUESTS: u64 = 200_000;
/// Requests between two reports of a server.
const REPORTED_AFTER: u64 = 2_000;
const VALUE: &[u8] = &[b'v'; 32];

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }
}

/// Draws keys by Zipf's law.
struct Zipf {
    sums: Vec<f64>,
    numbers: Numbers,
}

impl Zipf {
    fn new(exponent: f64) -> Zipf {
        let mut sum = 0.0;
        let weight = |rank: u64| {
            sum += (rank as f64).powf(-exponent);
            sum
        };
        Zipf { sums: (1..=KEYS).map(weight).collect(), numbers: Numbers(7) }
    }

    fn next(&mut self) -> u64 {
        let all = self.sums[self.sums.len() - 1];
        let drawn = self.numbers.next() as f64 / (1u64 << 53) as f64 * all;
        self.sums.partition_point(|sum| *sum <= drawn) as u64
    }
}

/// A cache that always evicts what was not used for the longest.
#[derive(Default)]
struct Exact {
    used: BTreeMap<u64, u64>,
    order: BTreeMap<u64, u64>,
    clock: u64,
}

impl Exact {
    fn hit(&mut self, key: u64, most: usize) -> bool {
        self.clock += 1;
        let before = self.used.insert(key, self.clock);
        if let Some(before) = before {
            self.order.remove(&before);
        }
        self.order.insert(self.clock, key);
        if self.used.len() > most {
            let (_, oldest) = self.order.pop_first().expect("there is one");
            self.used.remove(&oldest);
        }
        before.is_some()
    }
}

fn name(key: u64) -> Vec<u8> {
    format!("key-{key:08}").into_bytes()
}

/// The hits of the store, in percent, which a client reads and fills, and those of the exact cache of as many keys.
fn hits(exponent: f64, share: u64, policy: &str) -> (f64, f64) {
    let room = KEYS * share / 100;
    let each = {
        let mut kv = Kv::new();
        set(&mut kv, 1, &name(0), VALUE);
        kv.reader().sizes().1
    };
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", &(room * each).to_string()), ("maxmemory-policy", policy)]);
    let reader = kv.reader();
    let (mut zipf, mut exact) = (Zipf::new(exponent), Exact::default());
    let (mut hits, mut exact_hits, mut counted, mut position) = (0u64, 0u64, 0u64, 1);
    for request in 0..REQUESTS {
        let key = zipf.next();
        let is_hit = reader.get(&name(key)).is_some();
        let is_exact = exact.hit(key, room as usize);
        // The first fifth fills both.
        if request >= REQUESTS / 5 {
            counted += 1;
            hits += u64::from(is_hit);
            exact_hits += u64::from(is_exact);
        }
        if !is_hit {
            position += 1;
            set(&mut kv, position, &name(key), VALUE);
        }
        if request % REPORTED_AFTER == 0 && reader.uses().is_on() {
            let keys = reader.uses().take(position);
            position += 1;
            run(&mut kv, position, |out| {
                let keys = keys.iter().map(|(database, key): &(Database, Box<[u8]>)| (*database, &**key));
                command::encode_used(out, keys);
            });
        }
    }
    let percent = |hits: u64| 100.0 * hits as f64 / counted as f64;
    (percent(hits), percent(exact_hits))
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn hits_are_within_five_points_of_an_exact_cache() {
    for (exponent, share) in [(0.8, 10), (1.0, 5), (1.0, 20), (1.2, 10)] {
        let (hits, exact) = hits(exponent, share, "allkeys-lru");
        let (random, _) = self::hits(exponent, share, "allkeys-random");
        println!(
            "exponent {exponent}, room for {share} %: {hits:.1} % hits, exact {exact:.1} %, random {random:.1} %"
        );
        assert!(hits > exact - 5.0, "{hits} against {exact}");
        assert!(hits > random, "{hits} against {random} at random");
    }
}
