//! Writes of a few keys again and again: the log grows, the state does not.

use std::io::Write as _;

use niagara_kvstore::command::{Condition, encode_set_head};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::{Phase, Share, Workload};
use crate::drive::keys::{Values, choices};
use crate::drive::operation::{Operation, Outcome, Verb};
use crate::drive::options::WriteOptions;

/// Keys of each connection: enough that neighbours in a batch seldom meet.
const KEYS_PER_CONNECTION: u32 = 4;
/// Bytes of each key, so that all commands are of one length.
const KEY_BYTES: usize = 16;

pub(super) struct Writes {
    values: Values,
    random: SmallRng,
    share: Share,
    running: bool,
}

impl Writes {
    pub fn new(options: &WriteOptions, seed: u64, share: Share) -> Writes {
        let mut random = choices(seed, share.thread as u64);
        let values = Values::new(value_bytes(options.payload as usize), &mut random);
        Writes { values, random, share, running: false }
    }
}

/// The length of the value with which a command takes so many bytes.
fn value_bytes(command: usize) -> usize {
    let mut head = Vec::new();
    encode_set_head(&mut head, &[b'k'; KEY_BYTES], &Condition::Always, false);
    command - head.len()
}

impl Workload for Writes {
    fn enter(&mut self, phase: Phase) {
        self.running = phase == Phase::Run;
    }

    fn next(&mut self, place: usize, operation: &mut Operation) -> bool {
        if !self.running {
            return false;
        }
        let connection = (self.share.first_place + place) / self.share.pipeline;
        let key = self.random.random_range(0..KEYS_PER_CONNECTION);
        operation.verb = Verb::Set;
        operation.key.clear();
        let width = KEY_BYTES - 3;
        write!(operation.key, "w{connection:0width$}-{key}").expect("a buffer takes all");
        operation.value.clear();
        operation.value.extend_from_slice(self.values.choose(&mut self.random));
        true
    }

    fn done(&mut self, _: usize, _: &Outcome<'_>) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn commands_have_the_size_asked_for_and_few_keys() {
        for payload in [64, 300, 5000] {
            let share = Share { thread: 0, threads: 1, first_place: 6, places: 4, pipeline: 2 };
            let mut writes = Writes::new(&WriteOptions { payload }, 1, share);
            writes.enter(Phase::Run);
            let (mut operation, mut keys) = (Operation::new(), BTreeSet::new());
            for turn in 0..1000 {
                assert!(writes.next(turn % 4, &mut operation));
                let mut command = Vec::new();
                encode_set_head(&mut command, &operation.key, &Condition::Always, false);
                command.extend_from_slice(&operation.value);
                assert_eq!(command.len(), payload as usize);
                keys.insert(operation.key.clone());
            }
            assert_eq!(keys.len(), 8, "four for each of two connections");
        }
    }
}
