//! Sets and gets of many keys.

use niagara_engine::{Consistency, GlobalPosition};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::{Phase, Share, Workload};
use crate::drive::keys::{Keys, Values, choices, write_key};
use crate::drive::operation::{Operation, Outcome, Verb};
use crate::drive::options::{KvOptions, ReadConsistency};

pub(super) struct Kv {
    phase: Phase,
    reads: f64,
    keys: Keys,
    key_bytes: usize,
    values: Values,
    consistency: ReadConsistency,
    random: SmallRng,
    pipeline: usize,
    /// By connection: the last position that it has seen.
    seen: Vec<u64>,
    fill: Fill,
}

/// Keys that are to be set first: every so many-th, and those whose set failed.
struct Fill {
    next: u64,
    step: u64,
    end: u64,
    again: Vec<u64>,
    /// By place.
    in_flight: Vec<u64>,
}

impl Kv {
    pub fn new(options: &KvOptions, seed: u64, share: Share) -> Kv {
        let mut random = choices(seed, share.thread as u64);
        Kv {
            phase: Phase::Prepare,
            reads: options.reads,
            keys: Keys::new(options.keys, options.distribution),
            key_bytes: options.key_bytes as usize,
            values: Values::new(options.value_bytes as usize, &mut random),
            consistency: options.consistency,
            random,
            pipeline: share.pipeline,
            seen: vec![0; share.places.div_ceil(share.pipeline)],
            fill: Fill {
                next: share.thread as u64,
                step: share.threads as u64,
                end: if options.fill { options.keys } else { 0 },
                again: Vec::new(),
                in_flight: vec![0; share.places],
            },
        }
    }

    fn set(&mut self, key: u64, operation: &mut Operation) {
        operation.verb = Verb::Set;
        write_key(&mut operation.key, key, self.key_bytes);
        operation.value.clear();
        operation.value.extend_from_slice(self.values.choose(&mut self.random));
    }

    fn get(&mut self, place: usize, key: u64, operation: &mut Operation) {
        let seen = self.seen[place / self.pipeline];
        operation.verb = Verb::Get(match self.consistency {
            ReadConsistency::Strong => Consistency::Strong,
            ReadConsistency::Weak => Consistency::Weak,
            ReadConsistency::AtLeast => Consistency::AtLeast(GlobalPosition::new(seen)),
        });
        write_key(&mut operation.key, key, self.key_bytes);
    }
}

impl Workload for Kv {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    fn next(&mut self, place: usize, operation: &mut Operation) -> bool {
        match self.phase {
            Phase::Prepare => {
                let Some(key) = self.fill.next() else { return false };
                self.fill.in_flight[place] = key;
                self.set(key, operation);
            }
            Phase::Run => {
                let key = self.keys.choose(&mut self.random);
                if self.random.random_bool(self.reads) {
                    self.get(place, key, operation);
                } else {
                    self.set(key, operation);
                }
            }
            Phase::Check => return false,
        }
        true
    }

    fn done(&mut self, place: usize, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Done(done) => {
                let seen = &mut self.seen[place / self.pipeline];
                *seen = done.position.max(*seen);
            }
            Outcome::Failed(..) if self.phase == Phase::Prepare => {
                self.fill.again.push(self.fill.in_flight[place]);
            }
            Outcome::Failed(..) => {}
        }
    }
}

impl Fill {
    fn next(&mut self) -> Option<u64> {
        if let Some(key) = self.again.pop() {
            return Some(key);
        }
        let key = self.next;
        (key < self.end).then(|| {
            self.next += self.step;
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::drive::operation::{Done, Trouble};

    const SHARE: Share = Share { thread: 0, threads: 1, first_place: 0, places: 4, pipeline: 2 };

    fn kv(options: &KvOptions) -> Kv {
        Kv::new(options, 7, SHARE)
    }

    #[test]
    fn every_key_is_filled_in_though_some_fail() {
        let mut kv = kv(&KvOptions { fill: true, keys: 20, ..KvOptions::default() });
        kv.enter(Phase::Prepare);
        let (mut operation, mut keys, mut turn) = (Operation::new(), BTreeSet::new(), 0);
        while kv.next(turn % 4, &mut operation) {
            if turn % 3 == 0 {
                kv.done(turn % 4, &Outcome::Failed(Trouble::Overloaded, b""));
            } else {
                kv.done(turn % 4, &Outcome::Done(Done::default()));
                keys.insert(operation.key.clone());
            }
            turn += 1;
        }
        assert_eq!(keys.len(), 20);
        assert_eq!(keys.first().unwrap(), b"k000000000000000");
    }

    #[test]
    fn the_share_of_reads_is_kept() {
        let mut kv = kv(&KvOptions { reads: 0.25, ..KvOptions::default() });
        kv.enter(Phase::Run);
        let mut operation = Operation::new();
        let reads = (0..10_000).filter(|_| {
            assert!(kv.next(0, &mut operation));
            operation.verb == Verb::Get(Consistency::Strong)
        });
        let reads = reads.count();
        assert!((2_300..2_700).contains(&reads), "{reads}");
    }

    #[test]
    fn reads_ask_for_what_their_connection_has_seen() {
        let mut kv =
            kv(&KvOptions { reads: 1.0, consistency: ReadConsistency::AtLeast, ..KvOptions::default() });
        kv.enter(Phase::Run);
        kv.done(2, &Outcome::Done(Done { position: 17, value: None }));
        kv.done(3, &Outcome::Done(Done { position: 5, value: None }));
        let mut operation = Operation::new();
        for (place, position) in [(0, 0), (1, 0), (2, 17), (3, 17)] {
            kv.next(place, &mut operation);
            assert_eq!(operation.verb, Verb::Get(Consistency::AtLeast(GlobalPosition::new(position))));
        }
    }
}
