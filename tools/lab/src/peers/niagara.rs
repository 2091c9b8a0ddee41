//! Niagara, over the Redis protocol or over HTTP.

use std::sync::Arc;

use niagara_engine::Durability;
use niagara_load::Failure;
use niagara_namespaces::{Namespaces, Subnet};

use super::contender::Protocol;
use super::generator;
use super::programs::SERVERS;
use super::store::{Driven, Store};
use super::work::Stint;
use crate::cluster::{ClusterPlan, LabCluster};
use crate::experiment_run::ExperimentRun;

/// A running cluster. Its clients are spread over all servers.
pub(super) struct Niagara {
    network: Arc<Namespaces>,
    cluster: LabCluster,
    protocol: Protocol,
}

impl Niagara {
    pub fn start(
        run: &ExperimentRun,
        groups: u16,
        protocol: Protocol,
        durability: Durability,
    ) -> Result<Niagara, Failure> {
        let network = Arc::new(Namespaces::create(SERVERS, groups)?);
        let plan = ClusterPlan { durability, ..ClusterPlan::new(SERVERS, groups) };
        let cluster = LabCluster::start(run, &network, &plan)?;
        Ok(Niagara { network, cluster, protocol })
    }

    fn target(&self) -> [String; 2] {
        let redis = |server| self.cluster.redis(server, Subnet::Clients);
        match self.protocol {
            Protocol::Http => ["--http".into(), self.cluster.all_http()],
            Protocol::Redis => {
                ["--redis".into(), self.cluster.servers().map(redis).collect::<Vec<_>>().join(",")]
            }
        }
    }
}

impl Store for Niagara {
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        self.cluster.servers().map(|server| self.cluster.process(server)).collect()
    }

    fn fill(&self, run: &ExperimentRun) -> Result<(), Failure> {
        generator::fill(run, &self.network, &self.target())
    }

    fn drive(
        &self,
        run: &ExperimentRun,
        stint: Stint,
        look: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Driven, Failure> {
        generator::drive(run, &self.network, &self.target(), stint, look)
    }

    fn await_agreement(&self, run: &ExperimentRun) -> Result<(), Failure> {
        self.cluster.await_agreement(run).map(drop)
    }
}
