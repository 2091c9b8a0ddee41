//! The state machine of every replica: how many commands it has applied, and which, in which order.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What a replica has applied. Two replicas with the same tally have applied the same commands in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many commands.
    pub applied: u64,
    /// A hash of their numbers that depends on their order.
    pub checksum: u64,
}

impl Tally {
    /// Applies a command.
    pub fn apply(&mut self, number: u64) {
        self.applied += 1;
        // FNV-1a, a word at a time.
        self.checksum = (self.checksum ^ number.wrapping_add(1)).wrapping_mul(0x0100_0000_01b3);
    }
}

/// A tally that the replica's own thread writes, and that is read when the tool asks for it.
#[derive(Clone, Debug, Default)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// Applies commands.
    pub fn apply(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.into_iter().for_each(|number| tally.apply(number));
    }

    /// As it is now.
    pub fn get(&self) -> Tally {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_matters() {
        let tally = |numbers: [u64; 3]| {
            let shared = SharedTally::default();
            shared.apply(numbers);
            shared.get()
        };
        assert_eq!(tally([0, 1, 2]), tally([0, 1, 2]));
        assert_ne!(tally([0, 1, 2]), tally([1, 0, 2]));
        assert_eq!(tally([5, 6, 7]).applied, 3);
    }
}
