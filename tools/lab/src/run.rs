//! One run of an experiment, from start to end.

use std::time::Instant;

use niagara_load::Failure;
use niagara_load::output;

use super::experiment::Experiment;
use super::experiment_run::ExperimentRun;
use super::facts::stolen;
use super::interrupt::Interrupt;
use super::run_options::RunOptions;
use super::verdict::Verdict;
use super::{doctor, leftovers, report};

/// From this share of stolen time on, the report warns.
const STOLEN_TOO_MUCH: f64 = 0.02;

/// Conducts an experiment.
///
/// # Errors
/// When there is no such experiment, the machine lacks what it needs, the directory cannot be written, or a measurement fails.
/// What was measured until then stays in the directory.
pub fn run(options: &RunOptions) -> Result<Verdict, Failure> {
    let experiment = Experiment::named(&options.experiment)?;
    doctor::check(experiment)?;
    let interrupt = Interrupt::watch()?;
    leftovers::remove()?;
    let mut run = ExperimentRun::begin((experiment.name, experiment.about), options, interrupt)?;
    let (began, stolen_before) = (Instant::now(), stolen());
    let conducted = (experiment.conduct)(&mut run);
    run.bar.finish_and_clear();
    run.verdict.seconds = began.elapsed().as_secs_f64();
    run.verdict.stolen = stolen_before.zip(stolen()).map(|(before, after)| {
        (after.0 - before.0).as_secs_f64() / (after.1 - before.1).as_secs_f64().max(1e-9)
    });
    if let Some(share) = run.verdict.stolen.filter(|share| *share > STOLEN_TOO_MUCH) {
        run.note(format!(
            "Other virtual machines took {:.0} % of the processors' time meanwhile.",
            100.0 * share
        ));
    }
    conducted?;
    run.save("run.json", &serde_json::to_vec_pretty(&run.verdict).expect("a verdict is plain data"))?;
    run.save("REPORT.md", report::page(&run.verdict).as_bytes())?;
    if run.shown {
        output::print_line(report::closing(&run.verdict, run.directory()))?;
    }
    Ok(run.verdict)
}
