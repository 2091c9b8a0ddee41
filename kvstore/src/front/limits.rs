//! How many clients there may be, and how long one may be idle.

use std::time::Duration;

use super::budget::MOST_BYTES;
use super::config::FrontEndConfig;
use crate::protocol::Wire;

/// Connections reserved for pages about the server when clients have taken all others.
pub(crate) const PAGES: usize = 8;

/// How long such a connection may be idle: a monitoring client asks at once.
const PAGES_PATIENCE: Duration = Duration::from_secs(2);

/// A server for fewer clients is not worth starting.
pub(crate) const LEAST_CLIENTS: usize = 8;

const MOST_CONNECTIONS: usize = 1 << 20;
const MOST_THREADS: usize = 256;
const MOST_CLIENT_OUTPUT: u128 = 64 << 30;
const MOST_IDLE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Linux's limit.
const MOST_KEEPALIVE: Duration = Duration::from_secs(32_767);

pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const KEEPALIVE_QUESTIONS: u32 = 3;

/// What a connection counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of the clients' connections.
    Client,
    /// One of those reserved for pages about the server.
    Pages,
}

impl Place {
    /// How long a connection may be idle; `None` for ever.
    pub(super) fn idle_limit(self, wire: Wire, config: &FrontEndConfig) -> Option<Duration> {
        let limit = match (self, wire) {
            (Place::Pages, _) => PAGES_PATIENCE,
            (Place::Client, Wire::Http) => config.http_idle,
            (Place::Client, Wire::Redis) => config.redis_idle,
        };
        (!limit.is_zero()).then_some(limit)
    }
}

/// A limit that no front end can have. Retrying does not help; it has to be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {}, but is {value}", if value < least { format!("at least {least} {unit}") } else { format!("at most {most} {unit}") })]
pub struct OutOfRange {
    /// The field's name.
    pub name: &'static str,
    /// The configured value.
    pub value: u128,
    /// Its unit.
    pub unit: &'static str,
    /// The least value that works.
    pub least: u128,
    /// The greatest value that works.
    pub most: u128,
}

impl FrontEndConfig {
    /// Checks that a front end can have these limits.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let count = |name, unit, value: usize, most: usize| (name, unit, value as u128, 1, most as u128);
        let time = |name, value: Duration, least, most: Duration| {
            (name, "ms", value.as_millis(), least, most.as_millis())
        };
        let per_address = self.max_connections_per_address.unwrap_or(1);
        let ranges = [
            count("threads", "threads", self.threads, MOST_THREADS),
            count("max_connections", "connections", self.max_connections, MOST_CONNECTIONS),
            count("max_connections_per_address", "connections", per_address, MOST_CONNECTIONS),
            ("client_output", "bytes", self.client_output as u128, 1, MOST_CLIENT_OUTPUT),
            ("subscriber_output", "bytes", self.subscriber_output as u128, 1, MOST_CLIENT_OUTPUT),
            ("tracking", "bytes", self.tracking as u128, 1, MOST_BYTES as u128),
            ("all_clients", "bytes", self.all_clients as u128, 1, MOST_BYTES as u128),
            time("http_idle", self.http_idle, 1_000, MOST_IDLE),
            time("redis_idle", self.redis_idle, 0, MOST_IDLE),
            time("tcp_keepalive", self.tcp_keepalive, 0, MOST_KEEPALIVE),
        ];
        for (name, unit, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(OutOfRange { name, value, unit, least, most });
            }
        }
        Ok(())
    }

    /// Files and sockets of the front ends besides those of clients: listeners, a poll and a waker for each
    /// thread, reserved connections for pages, and one that is about to be turned away.
    pub(crate) fn open_files(&self) -> u64 {
        let encrypted = self.tls.as_ref().map_or(0, |tls| 2 + tls.http_too.len() + tls.redis_too.len());
        let listeners = 2 + self.http_too.len() + self.redis_too.len() + encrypted;
        (listeners + 2 * self.threads + PAGES + 1) as u64
    }
}
