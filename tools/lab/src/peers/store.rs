//! What the experiment wants of a running store, and how it is measured.

use std::time::Duration;

use niagara_load::Failure;
use niagara_load::drive::LoadReport;
use niagara_load::unix_ms;
use niagara_measure::Latency;
use serde::Serialize;

use super::contender::Contender;
use super::work::{Shape, Stint, StoreWork};
use crate::experiment_run::ExperimentRun;
use crate::usage::Usage;

const LOOK: Duration = Duration::from_millis(50);

/// Three running servers, which end when this is dropped.
pub(super) trait Store {
    /// The servers' processes.
    fn processes(&self) -> Result<Vec<u32>, Failure>;

    /// Sets every key, so that reads find them.
    fn fill(&self, run: &ExperimentRun) -> Result<(), Failure>;

    /// Drives the store, and calls `look` now and then until that is over.
    fn drive(
        &self,
        run: &ExperimentRun,
        stint: Stint,
        look: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Driven, Failure>;

    /// Waits until all servers have the same.
    fn await_agreement(&self, run: &ExperimentRun) -> Result<(), Failure>;
}

/// What clients have seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Driven {
    /// The beginning of the measured window, in milliseconds since 1970.
    pub begun_unix_ms: u64,
    /// The window's length.
    pub seconds: f64,
    /// Operations done.
    pub completed: u64,
    pub latency: Latency,
    /// Operations not done.
    pub errors: u64,
    /// Reads that found nothing.
    pub misses: u64,
}

impl From<&LoadReport> for Driven {
    fn from(report: &LoadReport) -> Driven {
        Driven {
            begun_unix_ms: report.begun_unix_ms,
            seconds: report.seconds,
            completed: report.completed,
            latency: report.latency_ms,
            errors: report.errors.values().sum(),
            misses: report.misses,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StoreMeasurement {
    pub contender: Contender,
    pub work: StoreWork,
    pub shape: Shape,
    pub driven: Driven,
    pub per_second: f64,
    /// Processor time of all servers for each operation, in microseconds.
    pub cpu_us: f64,
}

/// Measures a store, whose keys are there.
pub(super) fn measure(
    run: &ExperimentRun,
    store: &dyn Store,
    contender: Contender,
    stint: Stint,
) -> Result<StoreMeasurement, Failure> {
    let processes = store.processes()?;
    let mut samples = Vec::new();
    let mut look = || {
        samples.push(CpuSample::take(&processes)?);
        run.sleep(LOOK)
    };
    let driven = store.drive(run, stint, &mut look)?;
    let Stint { work, shape, .. } = stint;
    let (name, work_name) = (contender.name(), work.name());
    if driven.completed == 0 || driven.misses > 0 {
        let Driven { completed, errors, misses, .. } = driven;
        return Err(Failure::new(format!(
            "{name}, {work_name}: {completed} operations done, {errors} failed, {misses} keys not found"
        )));
    }
    let per_second = driven.completed as f64 / driven.seconds;
    let end = driven.begun_unix_ms + (1000.0 * driven.seconds) as u64;
    samples.retain(|sample| (driven.begun_unix_ms..=end).contains(&sample.unix_ms));
    let cores = match samples.as_slice() {
        [first, .., last] => {
            (last.cpu_seconds - first.cpu_seconds) * 1000.0 / (last.unix_ms - first.unix_ms).max(1) as f64
        }
        _ => return Err(Failure::new("the measured window went by unseen: is the machine overloaded?")),
    };
    Ok(StoreMeasurement { contender, work, shape, driven, per_second, cpu_us: 1e6 * cores / per_second })
}

/// What the servers have used until a moment.
struct CpuSample {
    unix_ms: u64,
    cpu_seconds: f64,
}

impl CpuSample {
    fn take(processes: &[u32]) -> Result<CpuSample, Failure> {
        let used: Result<Vec<Usage>, Failure> = processes.iter().map(|process| Usage::of(*process)).collect();
        let unix_ms = unix_ms();
        Ok(CpuSample { unix_ms, cpu_seconds: used?.iter().map(|used| used.cpu_seconds).sum() })
    }
}
