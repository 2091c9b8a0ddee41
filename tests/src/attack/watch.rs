//! What the servers say, and the system says of them, while they are under attack.

use crate::Cluster;
use crate::metrics::Metrics;

/// The most that was seen at any server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Memory of the process.
    pub resident: u64,
    /// What the server counts for unfinished requests and replies,
    pub held: u64,
    /// and may have.
    pub budget: u64,
}

impl Watch {
    pub(super) fn look(&mut self, cluster: &mut Cluster) {
        for server in cluster.servers() {
            let metrics = Metrics::read(&mut cluster.http(server));
            self.held = self.held.max(metrics.sum("niagara_clients_held_bytes") as u64);
            self.budget = metrics.sum("niagara_clients_budget_bytes") as u64;
            self.resident = self.resident.max(cluster.process(server).resident_bytes());
        }
    }
}
