//! `peers`: the same key-value work for Niagara, for etcd, and for a Redis primary with two replicas.
//!
//! They promise different things (see the report's table of guarantees), so this is a comparison of prices, not a race. All run
//! as three servers in namespaces of their own on the same machine; what is not installed is skipped.
//!
//! | file | holds |
//! |---|---|
//! | `contender.rs` | who takes part, and what each promises |
//! | `work.rs` | what is asked of them |
//! | `store.rs` | what the experiment wants of a running store, and how it is measured |
//! | `programs.rs` | third-party servers as processes |
//! | `niagara.rs`, `redis.rs`, `etcd/` | the stores |
//! | `generator.rs` | `niagara-load`, which drives the first two |
//! | `results.rs` | tables and figures |

mod contender;
mod etcd;
mod generator;
mod niagara;
mod programs;
mod redis;
mod results;
mod start;
mod store;
mod work;

use niagara_load::Failure;

use self::contender::Contender;
use self::work::{Shape, Stint, StoreWork};
use super::experiment_run::ExperimentRun;
use crate::timing::Timing;

/// Conducts it.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let timing = run.either(Timing { warm_up: 0.3, seconds: 1.0 }, Timing { warm_up: 1.0, seconds: 5.0 });
    let shapes = run.either(Shape::FEW, Shape::ALL);
    let mut contenders = Vec::new();
    for contender in Contender::all() {
        match contender.lack() {
            None => contenders.push(contender),
            Some(lack) => {
                let skipped = format!("skipped: {}: {lack}", contender.name());
                run.say(&skipped);
                run.note(skipped);
            }
        }
    }
    let plan: Vec<(Contender, Vec<(StoreWork, Shape)>)> = contenders
        .into_iter()
        .map(|contender| {
            let pairs =
                works(run, contender).iter().flat_map(|work| shapes.iter().map(|shape| (*work, *shape)));
            let pairs = pairs.filter(|(_, shape)| contender.fits(*shape)).collect();
            (contender, pairs)
        })
        .collect();
    run.steps(plan.iter().map(|(_, pairs)| 1 + pairs.len()).sum());
    let mut measured = Vec::new();
    for (contender, pairs) in plan {
        run.step(format!("{}: starting", contender.name()))?;
        let store = start::start(contender, run)?;
        store.fill(run)?;
        for (work, shape) in pairs {
            run.step(format!("{}: {}, {}", contender.name(), work.name(), shape.name()))?;
            measured.push(store::measure(run, store.as_ref(), contender, Stint { work, shape, timing })?);
        }
        store.await_agreement(run)?;
    }
    run.raw("measurements", &measured)?;
    results::report(run, &measured)
}

/// What is asked of a contender: reads do not depend on what a write survives, so a quick run has them once.
fn works(run: &ExperimentRun, contender: Contender) -> &'static [StoreWork] {
    if run.quick() && !contender.is_synced() { &[StoreWork::Writes] } else { &StoreWork::ALL }
}
