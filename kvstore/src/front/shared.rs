//! What all front-end threads of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use niagara_tls::Acceptor;

use super::addresses::Addresses;
use super::allowance::Allowance;
use super::budget::Budget;
use super::config::FrontEndConfig;
use super::mailbox::Mailbox;
use super::metrics::FrontMetrics;
use super::pace::Pace;
use crate::access::Guard;
use crate::clients::Clients;
use crate::handover::Handover;
use crate::time::ClusterTime;

/// See the [module](self).
pub(super) struct Shared {
    /// With the bound addresses.
    pub(super) config: FrontEndConfig,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) metrics: Arc<FrontMetrics>,
    pub(super) stopping: AtomicBool,
    pub(super) open: AtomicUsize,
    pub(super) addresses: Addresses,
    pub(super) budget: Arc<Budget>,
    /// The most that a connection of each thread holds, or has held lately.
    pub(super) heaviest: Vec<AtomicUsize>,
    pub(super) next_id: AtomicU64,
    /// Those of the Redis port.
    pub(super) clients: Arc<Clients>,
    /// The time of the cluster, which the first thread keeps.
    pub(super) time: Arc<ClusterTime>,
    /// Of all that this server leads.
    pub(super) handover: Arc<Handover>,
    /// Who may use the server.
    pub(super) guard: Arc<Guard>,
    /// What clients that speak TLS are accepted with.
    pub(super) acceptor: Option<Arc<Acceptor>>,
}

impl Shared {
    /// What each client of an address is allowed now, if these hold so much together.
    pub(super) fn allowance(&self, held_by_address: usize) -> Allowance {
        let level = self.budget.level_of(held_by_address, self.addresses.count());
        Allowance::at(level, self.config.client_output)
    }

    /// The same at a thread with this pace.
    pub(super) fn allowance_at(&self, pace: &Pace, held_by_address: usize) -> Allowance {
        let is_paced = self.budget.is_paced(held_by_address, self.addresses.count());
        Allowance { left: is_paced.then(|| pace.left()), ..self.allowance(held_by_address) }
    }
}
