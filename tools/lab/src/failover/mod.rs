//! What a fault costs the clients of the servers that it spares: how long no write is completed, and what becomes of those that
//! were under way.
//!
//! The global log needs every group, so a group without a leader stops all writes, whatever R, once the merge has used up what
//! the group has skipped ahead; the elections of several groups run side by side. The clients talk to servers other than the one that
//! fails: what its own clients see is a broken connection, not an election.
//!
//! | file | does |
//! |---|---|
//! | `scenario.rs` | what happens to whom, and with how many groups |
//! | `trial.rs` | one fault under load, and what it cost |
//! | `results.rs` | the table, figures, goals |

mod results;
mod scenario;
mod trial;

use std::sync::Arc;

use niagara_load::Failure;
use niagara_namespaces::Namespaces;
use results::Results;
use scenario::Scenario;
use trial::trial;

use super::cluster::LabCluster;
use super::experiment_run::ExperimentRun;

/// Conducts it.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let scenarios = scenario::all(run.quick());
    let repetitions = |scenario: &Scenario| match (run.quick(), scenario.is_main()) {
        (true, true) => 3,
        (true, false) => 1,
        (false, true) => 15,
        (false, false) => 5,
    };
    let counted: Vec<(Scenario, usize)> =
        scenarios.into_iter().map(|scenario| (scenario, repetitions(&scenario))).collect();
    run.steps(counted.iter().map(|(_, repetitions)| repetitions).sum());
    let mut results = Results::default();
    for (scenario, repetitions) in counted {
        let network = Arc::new(Namespaces::create(scenario::SERVERS, scenario.groups)?);
        let mut cluster = LabCluster::start(run, &network, &scenario.plan())?;
        for repetition in 1..=repetitions {
            run.step(format!("{}, R = {}, {repetition} of {repetitions}", scenario.name(), scenario.groups))?;
            let outcome = trial(run, &network, &mut cluster, &scenario)?;
            run.raw(&format!("{}-{}-{repetition}", scenario.file(), scenario.groups), &outcome)?;
            results.add(&scenario, outcome);
        }
    }
    results.report(run)
}
