//! What clients notice while the number of groups and the servers change under load.
//!
//! Each change ends an epoch: the cluster goes on with other groups, or other servers, at the same position everywhere. The
//! clients talk to servers that stay.
//!
//! | file | does |
//! |---|---|
//! | `change.rs` | the changes, how they are asked for, and when they are there |
//! | `results.rs` | the table, figures, goals |

mod change;
mod results;

use std::sync::Arc;
use std::time::Duration;

use change::{CHANGES, Changed, GROUPS, SERVERS, SPARES};
use niagara_load::Failure;
use niagara_load::drive::LoadReport;
use niagara_load::unix_ms;
use niagara_namespaces::{Namespaces, Subnet};
use results::Results;

use super::cluster::{ClusterPlan, LabCluster};
use super::experiment_run::ExperimentRun;
use super::load::{Generator, Writes};

/// Step of the timeline, in milliseconds: that is how exact pauses are.
const STEP_MS: u64 = 10;
const CONNECTIONS: u32 = 64;
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the generator may need to start.
const STARTS: Duration = Duration::from_secs(1);

/// Conducts it.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    run.steps(CHANGES.len() + 1);
    // Later groups take turns with the links of the first ones.
    let network = Arc::new(Namespaces::create(SERVERS + SPARES, GROUPS)?);
    let mut plan = ClusterPlan::new(SERVERS, GROUPS);
    plan.spares = SPARES;
    let mut cluster = LabCluster::start(run, &network, &plan)?;
    let between = run.either(Duration::from_secs(2), Duration::from_secs(5));
    // A change takes well below a second; one that does not is cut off by the end of the load, and shows.
    let seconds = (between + Duration::from_secs(1)) * (CHANGES.len() as u32 + 1);
    let generator = generator(run, &network, &cluster, seconds)?;
    run.step(format!("{GROUPS} groups, {SERVERS} servers"))?;
    run.sleep(STARTS + WARM_UP + between)?;
    let mut changed: Vec<Changed> = Vec::new();
    for change in CHANGES {
        run.step(change.name())?;
        let asked_ms = unix_ms();
        change.carry_out(run, &mut cluster, &plan)?;
        changed.push(Changed { name: change.name(), asked_ms, done_ms: unix_ms() });
        run.sleep(between)?;
    }
    let report: LoadReport = generator.finish(run)?;
    run.raw("changes", &changed)?;
    run.raw("load", &report)?;
    cluster.await_agreement(run)?;
    Results::of(&report, &changed).report(run)
}

/// Writes as fast as they go, through servers that stay.
fn generator(
    run: &ExperimentRun,
    network: &Namespaces,
    cluster: &LabCluster,
    length: Duration,
) -> Result<Generator, Failure> {
    let stay = change::stay().map(|server| cluster.http(server, Subnet::Clients));
    let writes = Writes {
        http: &stay.collect::<Vec<_>>().join(","),
        rate: None,
        connections: CONNECTIONS,
        step_ms: STEP_MS,
        warm_up_seconds: WARM_UP.as_secs_f64(),
        seconds: length.as_secs_f64(),
    };
    writes.start(run, network)
}
