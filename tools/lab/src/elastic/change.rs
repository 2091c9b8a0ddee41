//! The changes: how they are asked for, and when they are there.

use std::time::Duration;

use niagara_client::Request;
use niagara_engine::EpochView;
use niagara_load::Failure;
use serde::Serialize;

use crate::cluster::{ClusterPlan, LabCluster};
use crate::experiment_run::ExperimentRun;

/// Groups at the beginning.
pub(super) const GROUPS: u16 = 4;
/// Servers at the beginning.
pub(super) const SERVERS: u16 = 3;
/// Servers that come.
pub(super) const SPARES: u16 = 2;

/// One that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(30);

/// A change under load.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// So many groups from now on.
    Groups(u16),
    /// A server comes.
    Add(u64),
    /// One leaves, and another one comes.
    Replace(u64, u64),
    /// A server leaves.
    Remove(u64),
}

/// One after the other.
pub(super) const CHANGES: [Change; 5] =
    [Change::Groups(8), Change::Add(4), Change::Replace(1, 5), Change::Remove(4), Change::Groups(2)];

/// The servers that are there from the beginning to the end.
pub(super) fn stay() -> impl Iterator<Item = u64> {
    let leaves = |server: &u64| CHANGES.iter().any(|change| change.leaves() == Some(*server));
    (1..=u64::from(SERVERS)).filter(move |server| !leaves(server))
}

/// A change that was carried out. Times are those of the wall clock, in milliseconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Changed {
    pub name: String,
    pub asked_ms: u64,
    /// When all members were there.
    pub done_ms: u64,
}

impl Change {
    pub fn name(self) -> String {
        match self {
            Change::Groups(groups) => format!("{groups} groups"),
            Change::Add(server) => format!("server {server} comes"),
            Change::Replace(leaves, comes) => format!("server {comes} replaces {leaves}"),
            Change::Remove(server) => format!("server {server} leaves"),
        }
    }

    fn comes(self) -> Option<u64> {
        match self {
            Change::Add(server) | Change::Replace(_, server) => Some(server),
            Change::Groups(_) | Change::Remove(_) => None,
        }
    }

    fn leaves(self) -> Option<u64> {
        match self {
            Change::Remove(server) | Change::Replace(server, _) => Some(server),
            Change::Groups(_) | Change::Add(_) => None,
        }
    }

    /// Asks for it, and waits until all members are there.
    pub fn carry_out(
        self,
        run: &ExperimentRun,
        cluster: &mut LabCluster,
        plan: &ClusterPlan,
    ) -> Result<(), Failure> {
        let member = stay().next().expect("a server stays");
        let before = epoch(cluster, member)?;
        if let Some(server) = self.comes() {
            cluster.launch_to_join(server, member)?;
        }
        let (request, stay) =
            (self.request(plan), before.members.iter().filter(|id| self.leaves() != Some(**id)));
        let stay: Vec<u64> = stay.copied().collect();
        let (mut asked, mut why) = (None, "no server takes the request".to_owned());
        let done = run.await_that(WITHIN, || {
            let Some(server) = asked else {
                asked = self.ask(cluster, &stay, &request)?;
                return Ok(None);
            };
            let now = epoch(cluster, server)?;
            if now.number == before.number {
                // The server that comes may not have listened yet.
                if let Some(refused) = now.refused {
                    (asked, why) = (None, refused);
                }
                return Ok(None);
            }
            let is_there =
                |server: &u64| epoch(cluster, *server).is_ok_and(|there| there.number == now.number);
            Ok(now.members.iter().all(is_there).then_some(()))
        })?;
        done.ok_or_else(|| {
            Failure::new(format!("{}: not done within {} s: {why}", self.name(), WITHIN.as_secs()))
        })?;
        if let Some(server) = self.leaves() {
            cluster.kill(server);
        }
        Ok(())
    }

    /// Asks the servers in turn; the one that has taken the request. Only one that leads a group does.
    fn ask(self, cluster: &LabCluster, servers: &[u64], request: &Request) -> Result<Option<u64>, Failure> {
        for server in servers {
            let answer = cluster.ask(*server, request)?;
            match answer.status {
                202 => return Ok(Some(*server)),
                409 | 503 => {}
                status => {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(Failure::new(format!("{} is refused: {status} {body}", self.name())));
                }
            }
        }
        Ok(None)
    }

    fn request(self, plan: &ClusterPlan) -> Request {
        let come: Vec<serde_json::Value> = self.comes().iter().map(|server| plan.contact(*server)).collect();
        let leave: Vec<u64> = self.leaves().into_iter().collect();
        let (page, body) = match self {
            Change::Groups(groups) => ("/groups", serde_json::json!({ "groups": groups })),
            _ => ("/members", serde_json::json!({ "leave": leave, "come": come })),
        };
        Request::post(page).body(body.to_string().into_bytes())
    }
}

fn epoch(cluster: &LabCluster, server: u64) -> Result<EpochView, Failure> {
    let answer = cluster.ask(server, &Request::get("/members"))?;
    serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::new(format!("server {server} does not say its members: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_are_spares_and_two_stay() {
        let spares = u64::from(SERVERS) + 1..=u64::from(SERVERS + SPARES);
        let mut come: Vec<u64> = CHANGES.into_iter().filter_map(Change::comes).collect();
        come.sort_unstable();
        assert_eq!(come, spares.collect::<Vec<_>>(), "each comes once");
        assert_eq!(stay().collect::<Vec<_>>(), [2, 3]);
    }
}
