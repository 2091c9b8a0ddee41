//! What is compared, and what each setting's uplinks allow.

use std::collections::BTreeSet;
use std::sync::Arc;

use niagara_engine::Durability;
use niagara_load::Failure;
use niagara_namespaces::{Namespaces, Subnet};

use crate::cluster::{ClusterPlan, LabCluster};
use crate::experiment_run::ExperimentRun;

pub(super) const SERVERS: u16 = 3;
pub(super) const KEY_BYTES: u32 = 8;
pub(super) const VALUE_BYTES: u32 = 2048;

/// A full segment of TCP on Ethernet, as the token bucket counts it, and what it carries.
const SEGMENT: (f64, f64) = (1514.0, 1448.0);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkWork {
    Reads,
    Writes,
}

impl LinkWork {
    /// Reads come first: they find the state as it was filled.
    pub const ALL: [LinkWork; 2] = [LinkWork::Reads, LinkWork::Writes];

    pub fn name(self) -> &'static str {
        match self {
            LinkWork::Reads => "strong reads",
            LinkWork::Writes => "writes",
        }
    }

    pub fn file(self) -> &'static str {
        match self {
            LinkWork::Reads => "reads",
            LinkWork::Writes => "writes",
        }
    }
}

/// Which curve a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    Raft,
    Niagara,
    /// As many groups as Niagara has on all links, on a single one.
    OneLink,
}

/// A cluster on some of the links.
#[derive(Debug)]
pub(super) struct Setting {
    pub name: &'static str,
    /// Begins the names of its files.
    pub file: &'static str,
    pub curve: Curve,
    pub groups: u16,
    /// Links that clients' connections are spread over; the groups take one each, in turn.
    pub links: u16,
}

const fn setting(name: &'static str, file: &'static str, curve: Curve, groups: u16, links: u16) -> Setting {
    Setting { name, file, curve, groups, links }
}

/// All of them. One group on one link is both a single Raft group and the least Niagara.
pub(super) const SETTINGS: [Setting; 6] = [
    setting("one group, 1 link", "raft-1", Curve::Raft, 1, 1),
    setting("one group, 2 links", "raft-2", Curve::Raft, 1, 2),
    setting("one group, 4 links", "raft-4", Curve::Raft, 1, 4),
    setting("two groups, 2 links", "niagara-2", Curve::Niagara, 2, 2),
    setting("four groups, 4 links", "niagara-4", Curve::Niagara, 4, 4),
    setting("four groups, 1 link", "niagara-4-on-1", Curve::OneLink, 4, 1),
];

/// Four groups with a link each.
pub(super) fn all_links() -> &'static Setting {
    &SETTINGS[4]
}

impl Setting {
    fn plan(&self) -> ClusterPlan {
        let mut plan = ClusterPlan::new(SERVERS, self.groups);
        plan.links = self.links;
        plan.durability = Durability::Memory;
        plan
    }

    pub fn start(&self, run: &ExperimentRun, network: &Arc<Namespaces>) -> Result<LabCluster, Failure> {
        LabCluster::start(run, network, &self.plan())
    }

    /// The servers' URLs at all links, as the load generator takes them.
    pub fn addresses(&self, cluster: &LabCluster) -> String {
        let links = (1..=self.links).map(Subnet::Link);
        let at = |link| cluster.servers().map(move |server| cluster.http(server, link));
        links.flat_map(at).collect::<Vec<_>>().join(",")
    }

    /// The uplinks, by server and link, that limit some work: for writes those over which leaders send what they append,
    /// for reads those over which replies leave.
    pub fn scarce(&self, work: LinkWork) -> BTreeSet<(u64, Subnet)> {
        let plan = self.plan();
        let leaders = (1..=self.groups).map(|group| (plan.leader_of(group), plan.link_of(group)));
        let servers = 1..=u64::from(SERVERS);
        let all = servers.flat_map(|server| (1..=self.links).map(move |link| (server, Subnet::Link(link))));
        match work {
            LinkWork::Writes => leaders.collect(),
            LinkWork::Reads => all.collect(),
        }
    }

    /// Operations per second that the scarce uplinks allow at a rate in megabits per second, if nothing but values in full
    /// packets were sent.
    pub fn predicted(&self, work: LinkWork, mbit: f64) -> f64 {
        let copies = match work {
            LinkWork::Writes => f64::from(SERVERS - 1),
            LinkWork::Reads => 1.0,
        };
        let bits = 8.0 * f64::from(VALUE_BYTES) * SEGMENT.0 / SEGMENT.1;
        self.scarce(work).len() as f64 * mbit * 1e6 / (copies * bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_leaders_uplinks_and_links_add_readers_uplinks() {
        let counts = |work| SETTINGS.each_ref().map(|setting| setting.scarce(work).len());
        assert_eq!(counts(LinkWork::Writes), [1, 1, 1, 2, 4, 3]);
        assert_eq!(counts(LinkWork::Reads), [3, 6, 12, 6, 12, 3]);
        assert_eq!((all_links().groups, all_links().links), (4, 4));
        // 100 Mbit/s carry 5,837 values of 2 KiB, or both copies of half as many.
        assert_eq!(SETTINGS[0].predicted(LinkWork::Writes, 100.0).round(), 2919.0);
    }
}
