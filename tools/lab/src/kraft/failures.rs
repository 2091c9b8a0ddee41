//! Servers are killed while `ab` writes through one that stays.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use niagara_engine::Durability;
use niagara_load::Failure;
use niagara_namespaces::Namespaces;
use serde::Serialize;

use super::ab::{AbReport, Bench, End};
use super::services::{Agreement, FRONT, Service, url};
use crate::cluster::{ClusterPlan, LabCluster};
use crate::experiment_run::ExperimentRun;

/// The server that leads all of the only group, or group 2 of four; `ab` talks to another one.
const LEADER: u64 = 2;
/// With one group it leads nothing.
const FOLLOWER: u64 = 3;
const CLIENTS: u32 = 16;
/// What `ab` does before the failure.
const BEFORE: Duration = Duration::from_secs(2);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Case {
    Nothing,
    Follower,
    Leader,
}

/// What came of a failure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FailureOutcome {
    pub service: Service,
    pub case: Case,
    pub keep_alive: bool,
    pub report: AbReport,
    /// Of all servers, the killed one too, which has been started again.
    pub agreement: Agreement,
}

impl Case {
    /// In words, for a service with so many groups.
    pub fn name(self, groups: u16) -> &'static str {
        match (self, groups) {
            (Case::Nothing, _) => "nothing",
            (Case::Follower, _) => "a follower is killed",
            (Case::Leader, 1) => "the leader is killed",
            (Case::Leader, _) => "the leader of group 2 is killed",
        }
    }

    fn victim(self) -> Option<u64> {
        match self {
            Case::Nothing => None,
            Case::Follower => Some(FOLLOWER),
            Case::Leader => Some(LEADER),
        }
    }
}

/// Goes through all cases, with fsync and keep-alive. After each the killed server is started again.
///
/// # Errors
/// Also when the servers' logs differ then.
pub(super) fn measure(
    run: &ExperimentRun,
    service: Service,
    body: &Path,
) -> Result<Vec<FailureOutcome>, Failure> {
    // With several groups each server leads one, so each is a leader.
    let cases: &[Case] = match service.groups {
        1 => &[Case::Nothing, Case::Follower, Case::Leader],
        _ => &[Case::Nothing, Case::Leader],
    };
    let plan = ClusterPlan { leaders: leaders(service), ..service.plan(Durability::Fsync) };
    let network = Arc::new(Namespaces::create(service.servers, service.groups)?);
    let mut cluster = LabCluster::start(run, &network, &plan)?;
    let end = End::Seconds(run.either(5, 10));
    let bench = Bench { url: url(&cluster), clients: CLIENTS, keep_alive: true, end };
    let mut outcomes = Vec::new();
    for &case in cases {
        run.step(format!("{}: {}", service.name(), case.name(service.groups)))?;
        let running = bench.start(run, &network, body)?;
        run.sleep(BEFORE)?;
        if let Some(victim) = case.victim() {
            cluster.kill(victim);
        }
        let report = running.finish(run)?;
        if let Some(victim) = case.victim() {
            cluster.launch(victim)?;
        }
        // The leadership goes home once the server has caught up.
        cluster.await_leaders(run)?;
        let after = case.name(service.groups).to_owned();
        let agreement = Agreement::wait(run, &cluster, service, after)?;
        outcomes.push(FailureOutcome { service, case, keep_alive: bench.keep_alive, report, agreement });
    }
    Ok(outcomes)
}

/// A single group is led by another server than the one that `ab` talks to, so that it can be killed.
fn leaders(service: Service) -> Vec<u64> {
    debug_assert_ne!(FRONT, LEADER, "who is killed cannot answer");
    if service.groups == 1 { vec![LEADER] } else { Vec::new() }
}
