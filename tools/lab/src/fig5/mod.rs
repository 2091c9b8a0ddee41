//! Figure 5: the key-value store over HTTP on servers whose uplink is split into links, of which a single Raft group can use one.
//!
//! What the experiment holds constant, and why:
//! - Each server's end of each link is throttled, clients' ends are not: what is scarce is what servers send.
//! - Values of 2 KiB, so that bytes rather than operations are what limits.
//! - Durability `memory`, so that no disk is.
//! - A rate of the links at which processors are not ([`calibrate`]).
//!
//! | file | does |
//! |---|---|
//! | `setting.rs` | what is compared, and what each setting's uplinks allow |
//! | `measure.rs` | one measurement: throughput, and what it used of uplinks and processors |
//! | `results.rs` | tables, figures, goals |

mod measure;
mod results;
mod setting;

use std::sync::Arc;

use measure::{LinkMeasurement, measure};
use niagara_load::Failure;
use niagara_namespaces::Namespaces;
use results::Results;
use setting::{LinkWork, SETTINGS};

use super::experiment_run::ExperimentRun;
use crate::timing::Timing;

/// The most links of any setting.
const LINKS: u16 = 4;
/// The paper's rate of each link.
const PAPER_MBIT: u32 = 250;

/// Connections, a multiple of all numbers of addresses that occur; the table `fig5-connections` of a full run shows that more change
/// little. Many more would wait longer than an election timeout where a single link does all the work, and a server that has
/// waited for so long forwards its commands again.
const CONNECTIONS: u32 = 384;

/// Conducts it.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let network = Arc::new(Namespaces::create_with_clients_on_links(setting::SERVERS, LINKS)?);
    let rounds: usize = run.either(2, 5);
    let timing = run.either(Timing { warm_up: 1.0, seconds: 3.0 }, Timing { warm_up: 2.0, seconds: 8.0 });
    run.steps(rounds * SETTINGS.len() * LinkWork::ALL.len());
    let mbit = match (run.particulars.link_mbit, run.particulars.paper_links) {
        (Some(mbit), _) => mbit,
        (None, true) => PAPER_MBIT,
        (None, false) => calibrate(run, &network, timing)?,
    };
    throttle(&network, mbit)?;
    if !run.quick() {
        let table = results::connections(&try_connections(run, &network, timing)?);
        run.table(table)?;
    }
    let mut results = Results::new(mbit, timing);
    // Round after round, so that whatever else the machine does meets all settings alike.
    for round in 1..=rounds {
        for setting in &SETTINGS {
            let cluster = setting.start(run, &network)?;
            for work in LinkWork::ALL {
                run.step(format!("round {round} of {rounds}: {}, {}", setting.name, work.name()))?;
                let measured = measure(run, &network, &cluster, setting, work, timing, CONNECTIONS)?;
                run.raw(&format!("{}-{}-{round}", setting.file, work.file()), &measured)?;
                results.add(setting, work, measured);
            }
        }
    }
    results.report(run)
}

fn throttle(network: &Namespaces, mbit: u32) -> Result<(), Failure> {
    for server in network.servers() {
        for link in network.links() {
            network.throttle(link, server, mbit * 1000)?;
        }
    }
    Ok(())
}

/// The rate of a link at which four of them use a third of what the processors can write, and a half of what they can read:
/// processors are then not what limits. In megabits per second.
fn calibrate(run: &mut ExperimentRun, network: &Arc<Namespaces>, timing: Timing) -> Result<u32, Failure> {
    run.steps(LinkWork::ALL.len());
    let setting = setting::all_links();
    let cluster = setting.start(run, network)?;
    let mut mbits = Vec::new();
    for work in LinkWork::ALL {
        run.step(format!("calibration: {} without throttled links", work.name()))?;
        let measured = measure(run, network, &cluster, setting, work, timing, CONNECTIONS)?;
        run.raw(&format!("calibration-{}", work.file()), &measured)?;
        let share = match work {
            LinkWork::Writes => 1.0 / 3.0,
            LinkWork::Reads => 1.0 / 2.0,
        };
        // What one megabit per second and link would allow.
        mbits.push(share * measured.per_second / setting.predicted(work, 1.0));
        run.note(format!(
            "Without throttled links, four groups on four links did {:.0} {} per second here, with {:.1} of {} processors at work.",
            measured.per_second,
            work.name(),
            measured.server_cores + measured.client_cores,
            std::thread::available_parallelism().map_or(1, usize::from),
        ));
    }
    let mbit = mbits.into_iter().fold(f64::INFINITY, f64::min).clamp(5.0, f64::from(PAPER_MBIT));
    // Whole steps of five: two runs on one machine should mostly take the same rate.
    Ok((mbit / 5.0) as u32 * 5)
}

/// Writes of the setting with most links, with several numbers of connections: more than enough must change nothing.
fn try_connections(
    run: &mut ExperimentRun,
    network: &Arc<Namespaces>,
    timing: Timing,
) -> Result<Vec<(u32, LinkMeasurement)>, Failure> {
    let tried =
        [CONNECTIONS / 16, CONNECTIONS / 8, CONNECTIONS / 4, CONNECTIONS / 2, CONNECTIONS, CONNECTIONS * 2];
    run.steps(tried.len());
    let setting = setting::all_links();
    let cluster = setting.start(run, network)?;
    let mut all = Vec::new();
    for connections in tried {
        run.step(format!("{connections} connections"))?;
        all.push((
            connections,
            measure(run, network, &cluster, setting, LinkWork::Writes, timing, connections)?,
        ));
    }
    Ok(all)
}
