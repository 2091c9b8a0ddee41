//! Settings of the state: those that decide what commands do are changed by ordered commands, alike on all servers.

use std::borrow::Cow;

use crate::decimal::decimal;
use crate::memory::{self, MOST_SAMPLES, Memory, Policy, UNKNOWN_POLICY};
use crate::notices::{NO_NOTICES, Notices};

/// A setting, with its new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Which notices of changes are sent.
    Notices(Notices),
    /// What keys and values may take, in bytes; 0: there is no limit.
    MaxMemory(u64),
    /// Which keys are evicted beyond it.
    MaxMemoryPolicy(Policy),
    /// How many keys are compared before one of them is evicted.
    MaxMemorySamples(u64),
}

pub(crate) const NOTICES: &str = "notify-keyspace-events";
pub(crate) const MAX_MEMORY: &str = "maxmemory";
pub(crate) const POLICY: &str = "maxmemory-policy";
pub(crate) const SAMPLES: &str = "maxmemory-samples";

/// The names of all of them.
const NAMES: [&str; 4] = [NOTICES, MAX_MEMORY, POLICY, SAMPLES];

/// The name of a setting of the state, as it is written here, if it is one.
pub(crate) fn name_of(name: &[u8]) -> Option<&'static str> {
    NAMES.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

impl Setting {
    /// Reads a value.
    ///
    /// # Errors
    /// Says what a value is, if this is none.
    pub(crate) fn parse(name: &str, value: &[u8]) -> Result<Setting, Cow<'static, str>> {
        match name {
            NOTICES => Notices::parse(value).map(Setting::Notices).ok_or(NO_NOTICES.into()),
            MAX_MEMORY => {
                let most = memory::bytes(value).map(Setting::MaxMemory);
                most.ok_or("argument must be a memory value".into())
            }
            POLICY => Policy::named(value).map(Setting::MaxMemoryPolicy).ok_or(UNKNOWN_POLICY.into()),
            _ => {
                let samples = decimal(value).and_then(|number| u64::try_from(number).ok());
                let samples = samples.filter(|number| (1..=MOST_SAMPLES).contains(number));
                samples
                    .map(Setting::MaxMemorySamples)
                    .ok_or_else(|| format!("argument must be between 1 and {MOST_SAMPLES} inclusive").into())
            }
        }
    }

    /// Sets it. Another limit or policy begins anew with what is above it.
    pub(crate) fn apply(self, notices: &mut Notices, memory: &mut Memory) {
        match self {
            Setting::Notices(new) => *notices = new,
            Setting::MaxMemory(most) => *memory = Memory { most, above: None, ..*memory },
            Setting::MaxMemoryPolicy(policy) => *memory = Memory { policy, above: None, ..*memory },
            Setting::MaxMemorySamples(samples) => memory.samples = samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_the_names_of_their_settings() {
        let parse =
            |name: &str, value: &str| Setting::parse(name_of(name.as_bytes()).unwrap(), value.as_bytes());
        assert_eq!(parse("MaxMemory", "2kb"), Ok(Setting::MaxMemory(2048)));
        assert_eq!(
            parse("maxmemory-policy", "AllKeys-LRU").map(|set| set != Setting::MaxMemory(0)),
            Ok(true)
        );
        assert_eq!(parse("maxmemory-samples", "64"), Ok(Setting::MaxMemorySamples(64)));
        assert!(parse("notify-keyspace-events", "Ex").is_ok());
        for (name, value) in [
            ("maxmemory", "much"),
            ("maxmemory-policy", "allkeys-lfu"),
            ("maxmemory-samples", "0"),
            ("maxmemory-samples", "65"),
            ("notify-keyspace-events", "m"),
        ] {
            assert!(parse(name, value).is_err(), "{name} {value}");
        }
        assert_eq!(name_of(b"maxmemory-clients"), None);
    }
}
