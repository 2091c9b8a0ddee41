//! What happens to whom, and with how many groups.

use std::time::Duration;

use niagara_load::Failure;
use niagara_namespaces::{Host, Namespaces, Subnet};

use crate::cluster::{ClusterPlan, LabCluster};

pub(super) const SERVERS: u16 = 3;
/// The server that something happens to.
const VICTIM: u64 = 1;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9`, and a new start later.
    Kill,
    /// SIGSTOP, and SIGCONT later: its connections stay open, and nothing answers.
    Stop,
    /// The link of group 1 fails between the victim and both others, and is healed later.
    Cut,
}

/// A fault, and what the server leads to which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    pub fault: Fault,
    pub groups: u16,
    /// How many groups the victim leads: the first ones.
    pub leads: u16,
}

/// All of them; a quick run has fewer numbers of groups.
pub(super) fn all(quick: bool) -> Vec<Scenario> {
    let kills = [1, 2, 4, 8].map(|groups| Scenario { fault: Fault::Kill, groups, leads: groups });
    let numbers: &[u16] = if quick { &[1, 4] } else { &[1, 2, 4, 8] };
    let mut all = kills.to_vec();
    for &groups in numbers {
        let mut add = |fault, leads| {
            let scenario = Scenario { fault, groups, leads };
            if !all.contains(&scenario) {
                all.push(scenario);
            }
        };
        add(Fault::Kill, 0);
        add(Fault::Kill, 1);
        add(Fault::Kill, groups - 1);
        add(Fault::Stop, 1);
        add(Fault::Stop, groups);
        add(Fault::Cut, 1);
        add(Fault::Cut, groups);
    }
    all
}

impl Scenario {
    /// The one that the figures show.
    pub fn is_main(&self) -> bool {
        self.fault == Fault::Kill && self.leads == self.groups
    }

    pub fn name(&self) -> String {
        let whom = match self.leads {
            0 => "a server that leads nothing".to_owned(),
            all if all == self.groups => "the leader of all groups".to_owned(),
            1 => "the leader of one group".to_owned(),
            some => format!("the leader of {some} groups"),
        };
        match self.fault {
            Fault::Kill => format!("kill -9 of {whom}"),
            Fault::Stop => format!("SIGSTOP of {whom}"),
            Fault::Cut => format!("link of group 1 cut at {whom}"),
        }
    }

    /// Begins the names of its files.
    pub fn file(&self) -> String {
        format!("{:?}-{}-of", self.fault, self.leads).to_lowercase()
    }

    /// The first groups belong to the victim, the others to the other two in turn.
    pub fn plan(&self) -> ClusterPlan {
        let others = [2, 3].into_iter().cycle();
        let victims = std::iter::repeat_n(VICTIM, self.leads.into());
        let mut plan = ClusterPlan::new(SERVERS, self.groups);
        plan.leaders = victims.chain(others).take(self.groups.into()).collect();
        plan
    }

    /// The servers that clients talk to.
    pub fn survivors(&self, cluster: &LabCluster) -> String {
        let others = cluster.servers().filter(|server| *server != VICTIM);
        others.map(|server| cluster.http(server, Subnet::Clients)).collect::<Vec<_>>().join(",")
    }

    pub fn strike(&self, cluster: &mut LabCluster, network: &Namespaces) -> Result<(), Failure> {
        match self.fault {
            Fault::Kill => {
                cluster.kill(VICTIM);
                Ok(())
            }
            Fault::Stop => cluster.pause(VICTIM),
            Fault::Cut => Ok(network.cut_all(&self.cable(cluster))?),
        }
    }

    pub fn mend(&self, cluster: &mut LabCluster, network: &Namespaces) -> Result<(), Failure> {
        match self.fault {
            Fault::Kill => cluster.launch(VICTIM),
            Fault::Stop => cluster.resume(VICTIM),
            Fault::Cut => Ok(network.join_all(&self.cable(cluster))?),
        }
    }

    /// Both directions between the victim and the others on the link of group 1.
    fn cable(&self, cluster: &LabCluster) -> Vec<(Subnet, Host, Host)> {
        let (link, victim) = (self.plan().link_of(1), Host::Server(VICTIM));
        let others = cluster.servers().filter(|server| *server != VICTIM).map(Host::Server);
        others.flat_map(|other| [(link, victim, other), (link, other, victim)]).collect()
    }

    /// The longest that a survivor waits for a sign of life before it campaigns, with the configuration's defaults.
    pub fn election_timeout() -> Duration {
        let config = niagara_engine::Config::new(1, 1, Vec::new());
        config.tick * (2 * config.election_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_victim_leads_as_many_groups_as_said() {
        for scenario in all(false) {
            let plan = scenario.plan();
            let led = (1..=scenario.groups).filter(|group| plan.leader_of(*group) == VICTIM).count();
            assert_eq!(led, usize::from(scenario.leads), "{scenario:?}");
        }
        let mut names: Vec<String> = all(false).iter().map(|s| format!("{}{}", s.file(), s.groups)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all(false).len(), "each has a file of its own");
        assert_eq!(Scenario::election_timeout(), Duration::from_secs(1));
    }
}
