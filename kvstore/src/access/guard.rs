//! The rules of access, for all connections of a server.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::attempts::Attempts;
use super::{AccessConfig, Secret};

/// What a client of another machine is told by a server without a password.
pub(crate) const PROTECTED: &str =
    "this server has no password, so it serves only clients of its own machine";

/// What its operator can do.
pub(crate) const PROTECTED_HINT: &str = "set `requirepass` in its configuration file; or, if everybody who can reach it may use it, \
     `insecure = true`; then restart it";

/// Why somebody may not use the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// There is no password, and the client is on another machine.
    Protected,
    /// No password was given.
    Nameless,
    /// It was a wrong one.
    Wrong,
    /// The client's address has given too many wrong ones: what it says is looked at after this time.
    TooOften(Duration),
}

/// The name of the only user.
pub(crate) const USER: &[u8] = b"default";

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Guard {
    secret: Option<Secret>,
    insecure: bool,
    attempts: Mutex<Attempts>,
    wrong: AtomicU64,
    unheard: AtomicU64,
    protected: AtomicU64,
}

impl Guard {
    pub(crate) fn new(config: &AccessConfig) -> Guard {
        Guard { secret: config.password.clone(), insecure: config.insecure, ..Guard::default() }
    }

    pub(crate) fn has_password(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether a client may use the server without a password. `certified`: it has shown a certificate.
    pub(super) fn admits(&self, address: Option<IpAddr>, certified: bool) -> Result<(), Barred> {
        let is_here = address.is_none_or(|address| address.to_canonical().is_loopback());
        match &self.secret {
            Some(_) => Err(Barred::Nameless),
            None if self.insecure || certified || is_here => Ok(()),
            None => Err(Barred::Protected),
        }
    }

    /// Whether a client who is not known yet has given the password.
    pub(super) fn hear(&self, address: Option<IpAddr>, user: &[u8], password: &[u8]) -> Result<(), Barred> {
        let now = Instant::now();
        if let Some(wait) = address.and_then(|address| self.attempts.lock().wait(address, now)) {
            self.unheard.fetch_add(1, Relaxed);
            return Err(Barred::TooOften(wait));
        }
        if self.is_right(user, password) {
            return Ok(());
        }
        self.wrong.fetch_add(1, Relaxed);
        if let Some(address) = address {
            self.attempts.lock().failed(address, now);
        }
        Err(Barred::Wrong)
    }

    /// Whether this is the password of this user.
    pub(super) fn is_right(&self, user: &[u8], password: &[u8]) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.is(password)) && user == USER
    }

    /// Counts a client that was turned away because there is no password.
    pub(super) fn note_protected(&self) {
        self.protected.fetch_add(1, Relaxed);
    }
}

/// Where a registry reads how many were barred.
#[derive(Clone, Debug)]
pub(crate) struct GuardCollector(pub(crate) Arc<Guard>);

impl Collector for GuardCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests refused for their password: a wrong one, not looked at after too many wrong ones, or from \
                    another machine while there is none";
        let name = "niagara_authentication_failures";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let Guard { wrong, unheard, protected, .. } = &*self.0;
        for (reason, count) in [("wrong", wrong), ("too_often", unheard), ("protected", protected)] {
            ConstCounter::new(count.load(Relaxed))
                .encode(family.encode_family(&[("reason", reason)].as_slice())?)?;
        }
        Ok(())
    }
}
