//! `kraft`: Table 1 and Figure 12 of Netto et al., "Incorporating the Raft consensus protocol in containers managed by
//! Kubernetes: an evaluation" (2019): ApacheBench against a replicated service, and against the same service without
//! replication.
//!
//! | file | holds |
//! |---|---|
//! | `ab.rs` | ApacheBench as a process, and its report |
//! | `services.rs` | the services, measured without failures |
//! | `failures.rs` | servers that are killed |
//! | `published.rs` | the published figures |
//! | `results.rs` | tables, figures, goals |

mod ab;
mod failures;
mod published;
mod results;
mod services;

use niagara_engine::Durability;
use niagara_load::Failure;

use self::services::Service;
use super::experiment_run::ExperimentRun;
use super::leftovers;

/// Of each body, in bytes. The publication's is not known to us.
const BODY: usize = 100;

/// Conducts it.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let clients: &[u32] = run.either(&[4, 16, 64], &[4, 8, 16, 32, 64]);
    let directory = leftovers::directory()?;
    let body = ab::write_body(directory.path(), BODY)?;
    let durabilities = [Durability::Fsync, Durability::Memory];
    run.steps(durabilities.len() * Service::ALL.len() * (1 + 2 * clients.len()) + 5);
    let (mut measured, mut agreements) = (Vec::new(), Vec::new());
    for durability in durabilities {
        for service in Service::ALL {
            agreements.push(services::measure(run, service, durability, clients, &body, &mut measured)?);
        }
    }
    let mut outcomes = failures::measure(run, Service::REPLICATED, &body)?;
    outcomes.extend(failures::measure(run, Service::PARALLEL, &body)?);
    run.raw("measurements", &measured)?;
    run.raw("failures", &outcomes)?;
    let agreements =
        results::agreements(agreements.iter().chain(outcomes.iter().map(|outcome| &outcome.agreement)));
    run.table(results::comparison(&measured))?;
    run.table(results::requests(&measured, clients))?;
    run.table(results::resources(&measured))?;
    run.table(results::failures(&outcomes))?;
    for durability in durabilities {
        run.figure(&results::figure(&measured, durability, clients))?;
    }
    results::goals(run, &measured, &outcomes, &agreements);
    run.table(agreements)?;
    run.note(
        "ab knows one address, and so does every request go to server 1; with one group it leads that, except where the leader \
         is to be killed: there server 2 leads. The servers, the clients and what joins them share this machine's cores, so three \
         servers do three servers' work on the cores that one has for itself.",
    );
    run.note(
        "8,000 requests take from a tenth of a second to one and a half, and processor time is counted in ticks of a hundredth: the \
         shares of a core are coarse.",
    );
    run.note(
        "The published figures are one number for each service, drawn as levels. What that service kept on disk, and how large \
         its requests were, is not known to us: so both durabilities are measured.",
    );
    Ok(())
}
