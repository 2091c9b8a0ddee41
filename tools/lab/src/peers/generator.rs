//! Stores that `niagara-load` can drive.

use niagara_load::Failure;
use niagara_load::drive::LoadReport;
use niagara_namespaces::Namespaces;

use super::store::Driven;
use super::work::{KEY_BYTES, KEYS, Shape, Stint, StoreWork, VALUE_BYTES};
use crate::experiment_run::ExperimentRun;
use crate::load::Generator;
use crate::timing::Timing;

/// Sets every key. The target is the options that name servers.
pub(super) fn fill(run: &ExperimentRun, network: &Namespaces, target: &[String]) -> Result<(), Failure> {
    let shape = Shape { connections: 16, pipeline: 1 };
    let mut words = words(target, Stint { work: StoreWork::Reads, shape, timing: Timing::SHORTEST });
    words.push("--fill".into());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Generator::start(run, network, &words)?.finish::<LoadReport>(run).map(drop)
}

/// Drives a store for the time of a measurement.
pub(super) fn drive(
    run: &ExperimentRun,
    network: &Namespaces,
    target: &[String],
    stint: Stint,
    look: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<Driven, Failure> {
    let words = words(target, stint);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut generator = Generator::start(run, network, &words)?;
    while !generator.has_ended()? {
        look()?;
    }
    generator.finish::<LoadReport>(run).map(|report| Driven::from(&report))
}

fn words(target: &[String], stint: Stint) -> Vec<String> {
    let Stint { work, shape, timing } = stint;
    let consistency = if work == StoreWork::WeakReads { "weak" } else { "strong" };
    let options = [
        ("--reads", work.reads().to_string()),
        ("--consistency", consistency.into()),
        ("--connections", shape.connections.to_string()),
        ("--pipeline", shape.pipeline.to_string()),
        ("--keys", KEYS.to_string()),
        ("--key-bytes", KEY_BYTES.to_string()),
        ("--value-bytes", VALUE_BYTES.to_string()),
        ("--warm-up", timing.warm_up.to_string()),
        ("--seconds", timing.seconds.to_string()),
    ];
    let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
    ["kv".to_owned()].into_iter().chain(target.iter().cloned()).chain(options).collect()
}
