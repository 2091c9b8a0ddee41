//! What Netto et al. have published, as far as it is compared here.

/// Where it stands.
pub(super) const SOURCE: &str = "Netto et al., 2019";

/// One of their services.
pub(super) struct Published {
    pub name: &'static str,
    /// Requests per second.
    pub per_second: f64,
}

/// Raft in containers that Kubernetes manages.
pub(super) const KRAFT: Published = Published { name: "KRaft", per_second: 376.0 };
/// Raft on the machines themselves.
pub(super) const RAFT: Published = Published { name: "Raft", per_second: 454.0 };
/// The same service without replication.
pub(super) const ALONE: Published = Published { name: "not replicated", per_second: 3051.0 };

pub(super) const ALL: [Published; 3] = [KRAFT, RAFT, ALONE];
