//! What an experiment is.

use niagara_load::Failure;

use super::experiment_run::ExperimentRun;
use super::{elastic, failover, fig3, fig4, fig5, kraft, peers};

/// An experiment that `niagara-lab run` knows.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// What the machine must offer.
    pub needs: &'static [Need],
    /// Does it.
    pub(super) conduct: fn(&mut ExperimentRun) -> Result<(), Failure>,
}

/// Something that not every machine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Network namespaces: root, the program `ip`, and a kernel that has them.
    Namespaces,
    /// Links of a chosen rate: the token bucket filter, and the program `tc`.
    Throttling,
    /// A core for each busy thread of three servers with eight groups, or quotas that stand for cores.
    Cores,
    /// CPU quotas for single threads: cgroup v1's controller `cpu`, and root.
    Quotas,
    /// The program `ab`.
    ApacheBench,
}

/// All experiments, in the order of the papers.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "fig3",
        about: "Throughput by requested rate: Niagara with 1 to 8 groups, and a single Raft with 1 to 4 cores",
        needs: &[Need::Cores],
        conduct: fig3::conduct,
    },
    Experiment {
        name: "fig4",
        about: "Latency by throughput, for the settings of fig3",
        needs: &[Need::Cores],
        conduct: fig4::conduct,
    },
    Experiment {
        name: "fig5",
        about: "The key-value store on servers with one, two and four throttled links, compared with a single Raft group",
        needs: &[Need::Namespaces, Need::Throttling],
        conduct: fig5::conduct,
    },
    Experiment {
        name: "failover",
        about: "How long writes pause when a leader dies, stands still or loses a link, with 1 to 8 groups",
        needs: &[Need::Namespaces],
        conduct: failover::conduct,
    },
    Experiment {
        name: "elastic",
        about: "Throughput and latency over time while the number of groups and the servers change",
        needs: &[Need::Namespaces],
        conduct: elastic::conduct,
    },
    Experiment {
        name: "kraft",
        about: "ApacheBench against a replicated and a non-replicated service, and while servers are killed",
        needs: &[Need::Namespaces, Need::ApacheBench],
        conduct: kraft::conduct,
    },
    Experiment {
        name: "peers",
        about: "The same key-value work for Niagara, etcd, and a Redis primary with two replicas",
        needs: &[Need::Namespaces],
        conduct: peers::conduct,
    },
];

impl Experiment {
    /// The experiment of that name.
    ///
    /// # Errors
    /// When there is none; the failure lists those that there are.
    pub fn named(name: &str) -> Result<&'static Experiment, Failure> {
        EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
            let names: Vec<&str> = EXPERIMENTS.iter().map(|experiment| experiment.name).collect();
            Failure::new(format!("there is no experiment {name:?}; there are {}", names.join(", ")))
        })
    }
}
