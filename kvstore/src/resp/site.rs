//! What all Redis connections of a thread share.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use niagara_engine::{ServerId, Status};

use super::about::About;
use super::failover::{Failover, RedisAddress};
use super::topology::{Standing, Topology};
use crate::directory;
use crate::handover::Handover;
use crate::protocol::Engine;

/// Shared by all Redis connections of a thread.
#[derive(Debug)]
pub(crate) struct RedisSite {
    /// Where this server listens for them.
    address: SocketAddr,
    /// The address of this server that is to be told.
    own: Option<RedisAddress>,
    pub(super) failover: Failover,
    /// Of all that this server leads.
    pub(super) handover: Arc<Handover>,
}

impl RedisSite {
    /// What the connections to this server share, which listens at `address`.
    pub(crate) fn new(
        server: ServerId,
        address: SocketAddr,
        failover: Failover,
        handover: Arc<Handover>,
    ) -> RedisSite {
        let own = failover.members.iter().find(|(member, _)| *member == server);
        RedisSite { address, own: own.map(|(_, address)| address.clone()), failover, handover }
    }

    /// An error in the words that clients expect: those of a cluster know by CLUSTERDOWN that another node may answer.
    pub(super) fn worded<'t>(&self, error: &'t str) -> Cow<'t, str> {
        match error.strip_prefix("NOQUORUM ").filter(|_| self.failover.cluster) {
            Some(rest) => format!("CLUSTERDOWN {rest}").into(),
            None => error.into(),
        }
    }

    /// What sentinels tell when clients should leave a master, if this server names another one now: the name, the
    /// address that was the master's, and the new one.
    pub(crate) fn switch(&self, engine: &impl Engine) -> Option<String> {
        let own = self.own.as_ref()?;
        let topology = self.topology(engine, &engine.status(), own.clone());
        let RedisAddress { host, port } = &topology.master.address;
        let name = &self.failover.master_name;
        (!topology.is_master()).then(|| format!("{name} {} {} {host} {port}", own.host, own.port))
    }

    /// What Redis calls the way in which servers work together.
    pub(super) fn mode(&self) -> &'static str {
        if self.failover.cluster { "cluster" } else { "standalone" }
    }

    /// The servers, as this client is told about them.
    pub(super) fn told(&self, engine: &impl Engine, status: &Status, about: &About) -> Topology {
        let local = || RedisAddress::from(about.seat().arrival().local.unwrap_or(self.address));
        self.topology(engine, status, self.own.clone().unwrap_or_else(local))
    }

    fn topology(&self, engine: &impl Engine, status: &Status, address: RedisAddress) -> Topology {
        let serves =
            engine.has_quorum() && !engine.is_retiring() && !engine.is_diverged() && !engine.follows();
        let standing = Standing { cluster: &status.cluster, server: status.server, address, serves };
        Topology::new(&standing, &self.members(engine), &engine.connected())
    }

    /// The cluster's servers that clients can reach, whether or not they are up.
    pub(super) fn members(&self, engine: &impl Engine) -> Vec<(ServerId, RedisAddress)> {
        directory::members(&engine.epoch(), &self.failover.members, |note| note.redis?.parse().ok())
    }
}
