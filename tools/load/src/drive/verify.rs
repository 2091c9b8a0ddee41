//! A saved report of hash chains, held against a cluster.

use super::options::{ChainOptions, LoadOptions, PaceOptions, TargetOptions, WorkloadOptions};
use super::report::LoadReport;
use super::run::{Phases, Watch, run_with};
use super::workload::{Chains, Workload};
use crate::failure::Failure;

/// Checks that every chain of a report is stored at the last link that was acknowledged, or the one that was sent after it.
///
/// # Errors
/// When the report has no chains, or no server can be reached.
pub fn verify(
    report: &LoadReport,
    target: TargetOptions,
    watch: &mut dyn Watch,
) -> Result<LoadReport, Failure> {
    let ends = report.chains.as_ref().ok_or_else(|| {
        Failure::new("this report has no chains: give one of `niagara-load chain --json` that was not merged")
    })?;
    let workload = WorkloadOptions::Chain(ChainOptions {});
    let options = LoadOptions { target, pace: PaceOptions::default(), workload };
    let make =
        |share| -> Box<dyn Workload> { Box::new(Chains::written(ends.seed, ends.keys.clone(), share)) };
    let mut verified = run_with(&options, &make, Phases::CheckOnly, watch)?;
    verified.command = options.command_line_of("verify FILE");
    verified.chains = Some(ends.clone());
    Ok(verified)
}
