//! The services that are compared, and how each is measured: requests, and what each server uses for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use niagara_engine::Durability;
use niagara_load::Failure;
use niagara_namespaces::{Namespaces, Subnet};
use serde::Serialize;

use super::ab::{AbReport, Bench, End};
use crate::cluster::{ClusterPlan, LabCluster};
use crate::experiment_run::ExperimentRun;
use crate::usage::Usage;

/// As in the publication.
const REQUESTS: u32 = 8_000;
/// The server that `ab` talks to: it knows one address only. It leads group 1.
pub(super) const FRONT: u64 = 1;

/// A service that answers over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Service {
    pub servers: u16,
    /// Raft groups, R.
    pub groups: u16,
}

impl Service {
    pub const REPLICATED: Service = Service { servers: 3, groups: 1 };
    pub const PARALLEL: Service = Service { servers: 3, groups: 4 };
    /// The same server, alone: the log is written, and sent to nobody.
    pub const ALONE: Service = Service { servers: 1, groups: 1 };
    pub const ALL: [Service; 3] = [Service::REPLICATED, Service::PARALLEL, Service::ALONE];

    pub fn name(self) -> String {
        let Service { servers, groups } = self;
        if servers == 1 { "not replicated".into() } else { format!("replicated, R = {groups}") }
    }

    pub fn plan(self, durability: Durability) -> ClusterPlan {
        ClusterPlan { durability, ..ClusterPlan::new(self.servers, self.groups) }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measurement {
    pub service: Service,
    #[serde(serialize_with = "by_name")]
    pub durability: Durability,
    pub keep_alive: bool,
    pub clients: u32,
    pub report: AbReport,
    /// What each server has used meanwhile, by server.
    pub used: Vec<Usage>,
}

fn by_name<S: serde::Serializer>(durability: &Durability, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(durability)
}

/// The servers had the same log.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Agreement {
    pub service: Service,
    /// What had happened before.
    pub after: String,
    /// The last position of the log.
    pub position: u64,
    /// The hash of the log there, or at the last place before it that all servers keep one for.
    pub hash: String,
}

impl Agreement {
    /// Waits for it.
    ///
    /// # Errors
    /// When the logs differ.
    pub fn wait(
        run: &ExperimentRun,
        cluster: &LabCluster,
        service: Service,
        after: String,
    ) -> Result<Agreement, Failure> {
        let (position, hash) = cluster.await_agreement(run)?;
        Ok(Agreement { service, after, position, hash })
    }
}

/// Measures a service with each number of clients, keep-alive off and on, and adds what it finds.
///
/// # Errors
/// Also when the servers' logs differ afterwards.
pub(super) fn measure(
    run: &ExperimentRun,
    service: Service,
    durability: Durability,
    clients: &[u32],
    body: &Path,
    found: &mut Vec<Measurement>,
) -> Result<Agreement, Failure> {
    run.step(format!("{}, {}: starting", service.name(), durability.name()))?;
    let network = Arc::new(Namespaces::create(service.servers, service.groups)?);
    let cluster = LabCluster::start(run, &network, &service.plan(durability))?;
    let bench =
        |clients, keep_alive| Bench { url: url(&cluster), clients, keep_alive, end: End::Requests(REQUESTS) };
    // The first requests meet a cold server.
    bench(16, true).run(run, &network, body)?;
    for keep_alive in [false, true] {
        for &clients in clients {
            let how = if keep_alive { "on" } else { "off" };
            run.step(format!(
                "{}, {}: {clients} clients, keep-alive {how}",
                service.name(),
                durability.name()
            ))?;
            let mut repeats = Vec::new();
            for _ in 0..run.either(1, 3) {
                let before = usage(&cluster)?;
                let report = bench(clients, keep_alive).run(run, &network, body)?;
                let after = usage(&cluster)?;
                let used = after.iter().zip(&before).map(|(after, before)| after.since(before)).collect();
                repeats.push(Measurement { service, durability, keep_alive, clients, report, used });
                // What the connections of one run have left to do is not the next one's.
                run.sleep(Duration::from_millis(100))?;
            }
            found.push(median(repeats));
        }
    }
    Agreement::wait(run, &cluster, service, format!("the measurements, {durability}"))
}

/// Where `ab` writes.
pub(super) fn url(cluster: &LabCluster) -> String {
    format!("{}/kv/kraft", cluster.http(FRONT, Subnet::Clients))
}

fn usage(cluster: &LabCluster) -> Result<Vec<Usage>, Failure> {
    cluster.servers().map(|server| Usage::of(cluster.process(server)?)).collect()
}

/// The one in the middle, by requests per second.
fn median(mut repeats: Vec<Measurement>) -> Measurement {
    repeats.sort_by(|a, b| a.report.per_second.total_cmp(&b.report.per_second));
    repeats.swap_remove(repeats.len() / 2)
}
