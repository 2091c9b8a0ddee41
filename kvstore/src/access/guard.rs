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
use crate::audit;
use crate::users::{DEFAULT, Password, RESCUE, User, Users};

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

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Guard {
    secret: Option<Secret>,
    rescue: Option<Secret>,
    insecure: bool,
    users_by_certificate: bool,
    attempts: Mutex<Attempts>,
    wrong: AtomicU64,
    unheard: AtomicU64,
    protected: AtomicU64,
}

impl Guard {
    pub(crate) fn new(config: &AccessConfig) -> Guard {
        Guard {
            secret: config.password.clone(),
            rescue: config.rescue_password.clone(),
            insecure: config.insecure,
            users_by_certificate: config.users_by_certificate,
            ..Guard::default()
        }
    }

    /// Whether the default user has a password: one of this server's file, or one that is replicated.
    pub(super) fn has_password(&self, users: &Users) -> bool {
        self.secret.is_some() || !users.default_user().nopass
    }

    /// Whether a client may use the server as the default user without a password. `certified`: it has shown a
    /// certificate.
    pub(super) fn admits(
        &self,
        users: &Users,
        address: Option<IpAddr>,
        certified: bool,
    ) -> Result<(), Barred> {
        if self.has_password(users) || !users.default_user().enabled {
            Err(Barred::Nameless)
        } else if self.trusts(address, certified) {
            Ok(())
        } else if users.are_several() || self.rescue.is_some() {
            // It may be somebody else.
            Err(Barred::Nameless)
        } else {
            Err(Barred::Protected)
        }
    }

    /// Whether a client may be served without any password.
    pub(super) fn trusts(&self, address: Option<IpAddr>, certified: bool) -> bool {
        let is_here = address.is_none_or(|address| address.to_canonical().is_loopback());
        // Where certificates name users, one that names nobody is nobody's.
        let by_certificate = certified && !self.users_by_certificate;
        self.insecure || by_certificate || is_here
    }

    /// The user whose certificate a client has shown. Whoever can issue certificates cannot be the rescuer by that.
    pub(super) fn shown<'u>(&self, users: &'u Users, name: &[u8]) -> Option<&'u Arc<User>> {
        let found = users.find(name).filter(|user| user.enabled && name != RESCUE);
        found.filter(|_| self.users_by_certificate)
    }

    /// The user whose password a client has given who is not known yet.
    pub(super) fn hear(
        &self,
        users: &Users,
        (address, certified): (Option<IpAddr>, bool),
        user: &[u8],
        password: &[u8],
    ) -> Result<Arc<User>, Barred> {
        let now = Instant::now();
        let known = users.find(user).map(|_| user);
        if let Some(wait) = address.and_then(|address| self.attempts.lock().wait(address, now)) {
            audit::wrong_password(known, address, "not looked at: too many wrong passwords");
            self.unheard.fetch_add(1, Relaxed);
            return Err(Barred::TooOften(wait));
        }
        if let Some(user) = self.recognise(users, self.trusts(address, certified), user, password) {
            if user.name() == RESCUE {
                audit::rescuer(address);
            }
            return Ok(user);
        }
        self.wrong.fetch_add(1, Relaxed);
        audit::wrong_password(known, address, "refused: a wrong password, or a user who is off");
        if let Some(address) = address {
            self.attempts.lock().failed(address, now);
        }
        Err(Barred::Wrong)
    }

    /// The user of this name whose password this is. Without a name, it is the first one who has this password.
    /// `trusted`: the client may be the default user without a password, if that one has none.
    pub(super) fn recognise(
        &self,
        users: &Users,
        trusted: bool,
        user: &[u8],
        password: &[u8],
    ) -> Option<Arc<User>> {
        let given = Password::of(password);
        let default = users.default_user();
        let is_default = self.secret.as_ref().is_some_and(|secret| secret.has(&given)) | default.has(&given);
        let found = match user {
            RESCUE => {
                let is_rescuer = self.rescue.as_ref().is_some_and(|secret| secret.has(&given));
                users.find(RESCUE).filter(|_| is_rescuer)
            }
            DEFAULT => {
                let needs_none = default.nopass && self.secret.is_none() && trusted;
                Some(default).filter(|_| is_default || needs_none)
            }
            b"" if is_default => Some(default),
            b"" => users.iter().filter(|user| user.has(&given)).last(),
            name => users.find(name).filter(|user| user.has(&given) || user.nopass),
        };
        found.filter(|user| user.enabled).cloned()
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
