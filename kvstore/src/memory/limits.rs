//! The limit, the policy, and what is kept of evictions: a part of the state.

use super::Policy;
use crate::varint::{NotAVarint, put_varint, take_varint};

/// Most keys that are compared before one of them goes.
pub(crate) const MOST_SAMPLES: u64 = 64;

/// As many as Redis compares.
const SAMPLES: u64 = 5;

/// A number has at most 64 bits.
const NUMBER_BYTES_MAX: u32 = 10;

/// See the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What keys and values may take, in bytes; 0: there is no limit.
    pub(crate) most: u64,
    pub(crate) policy: Policy,
    /// How many keys are compared before one of them goes.
    pub(crate) samples: u64,
    /// How many keys have gone, ever.
    pub(crate) evicted: u64,
    /// Since when more is taken than may be; `None` if it was enough at the last look.
    pub(crate) above: Option<Above>,
}

/// What there was when a command was last let in although too much was taken. It was let in because that was falling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Above {
    /// What keys and values took, in bytes.
    pub(crate) used: u64,
    /// How many keys there were.
    pub(crate) keys: u64,
}

/// Whether keys and values take more than they may, after some commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pressure {
    /// They do not.
    None,
    /// They do, and keys are to go that no command has evicted yet.
    Eviction,
    /// They do, and none may go.
    Shortage,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { most: 0, policy: Policy::default(), samples: SAMPLES, evicted: 0, above: None }
    }
}

impl Memory {
    /// Whether so many bytes are too many.
    pub(crate) fn is_exceeded(&self, used: u64) -> bool {
        self.most != 0 && used > self.most
    }

    /// Whether it matters when keys are used.
    pub(crate) fn asks_for_uses(&self) -> bool {
        self.most != 0 && self.policy.asks_for_uses()
    }

    /// Appends it: limit | number of the policy | samples | evicted keys | 0, or 1 + used bytes | keys if there is a 1.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let Memory { most, policy, samples, evicted, above } = self;
        for number in [*most, policy.number(), *samples, *evicted] {
            put_varint(out, number);
        }
        put_varint(out, u64::from(above.is_some()));
        for number in above.iter().flat_map(|above| [above.used, above.keys]) {
            put_varint(out, number);
        }
    }

    /// Takes it. `None` in the place of what no release writes.
    pub(crate) fn decode(rest: &mut &[u8]) -> Result<Option<Memory>, NotAVarint> {
        let mut number = || take_varint(rest, NUMBER_BYTES_MAX);
        let [most, policy, samples, evicted, is_above] =
            [number()?, number()?, number()?, number()?, number()?];
        let above = match is_above {
            0 => None,
            1 => Some(Above { used: number()?, keys: number()? }),
            _ => return Ok(None),
        };
        let Some(policy) = Policy::numbered(policy).filter(|_| (1..=MOST_SAMPLES).contains(&samples)) else {
            return Ok(None);
        };
        Ok(Some(Memory { most, policy, samples, evicted, above }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Among, First};

    #[test]
    fn what_is_written_is_read() {
        let set = Memory {
            most: 100 << 20,
            policy: Policy::Evict(Among::Volatile, First::LeastRecentlyUsed),
            samples: 10,
            evicted: u64::MAX,
            above: Some(Above { used: 1 << 40, keys: 7 }),
        };
        for memory in [Memory::default(), set, Memory { above: None, ..set }] {
            let mut bytes = Vec::new();
            memory.encode(&mut bytes);
            bytes.push(99);
            let mut rest = &bytes[..];
            assert_eq!(Memory::decode(&mut rest), Ok(Some(memory)));
            assert_eq!(rest, [99]);
        }
    }

    #[test]
    fn what_no_release_writes_is_refused() {
        for bytes in [[0, 6, 5, 0, 0], [0, 0, 0, 0, 0], [0, 0, 65, 0, 0], [0, 0, 5, 0, 2]] {
            assert_eq!(Memory::decode(&mut &bytes[..]), Ok(None), "{bytes:?}");
        }
        assert!(Memory::decode(&mut &[0, 0, 5, 0][..]).is_err());
    }

    #[test]
    fn nothing_is_too_much_without_a_limit() {
        let limited = Memory { most: 10, ..Memory::default() };
        assert!(!Memory::default().is_exceeded(u64::MAX));
        assert!(!limited.is_exceeded(10) && limited.is_exceeded(11));
    }
}
