//! Which keys go first when memory is short.

/// A policy of eviction, as Redis names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// None goes: commands that need memory are refused.
    #[default]
    NoEviction,
    /// Keys go.
    Evict(Among, First),
    /// The key that would expire first goes.
    VolatileTtl,
}

/// Which keys may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// Those that expire.
    Volatile,
}

/// Which of them goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Any.
    Random,
    /// Of some, the one that was not used for the longest.
    LeastRecentlyUsed,
}

/// All policies. The place of each is its number, which never changes.
pub(crate) const POLICIES: [(&str, Policy); 6] = [
    ("noeviction", Policy::NoEviction),
    ("allkeys-random", Policy::Evict(Among::All, First::Random)),
    ("volatile-random", Policy::Evict(Among::Volatile, First::Random)),
    ("volatile-ttl", Policy::VolatileTtl),
    ("allkeys-lru", Policy::Evict(Among::All, First::LeastRecentlyUsed)),
    ("volatile-lru", Policy::Evict(Among::Volatile, First::LeastRecentlyUsed)),
];

/// Why a word names no policy.
pub(crate) const UNKNOWN_POLICY: &str = "argument(s) must be one of the following: noeviction, allkeys-random, volatile-random, \
     volatile-ttl, allkeys-lru, volatile-lru. How often a key is used is not kept, so there is no LFU.";

impl Policy {
    /// The policy with this name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Policy> {
        let known = POLICIES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        known.map(|(_, policy)| *policy)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        POLICIES[self.number() as usize].0
    }

    /// Its number.
    pub(crate) fn number(self) -> u64 {
        let at = POLICIES.iter().position(|(_, policy)| *policy == self);
        at.expect("the table has every policy") as u64
    }

    /// The policy with this number.
    pub(crate) fn numbered(number: u64) -> Option<Policy> {
        POLICIES.get(usize::try_from(number).ok()?).map(|(_, policy)| *policy)
    }

    /// Whether it depends on when keys were used.
    pub(crate) fn asks_for_uses(self) -> bool {
        matches!(self, Policy::Evict(_, First::LeastRecentlyUsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_come_back() {
        for (number, (name, policy)) in POLICIES.iter().enumerate() {
            assert_eq!(Policy::named(name.to_uppercase().as_bytes()), Some(*policy));
            assert_eq!((policy.name(), policy.number()), (*name, number as u64));
            assert_eq!(Policy::numbered(number as u64), Some(*policy));
        }
        assert_eq!(Policy::numbered(POLICIES.len() as u64), None);
        assert_eq!(Policy::named(b"allkeys-lfu"), None);
        assert_eq!(Policy::default().number(), 0);
    }
}
