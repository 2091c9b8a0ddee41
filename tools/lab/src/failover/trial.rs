//! One fault under load, and what it cost.

use std::collections::BTreeMap;
use std::time::Duration;

use niagara_load::Failure;
use niagara_load::drive::{Interval, LoadReport};
use niagara_load::unix_ms;
use niagara_namespaces::Namespaces;
use serde::Serialize;

use super::scenario::Scenario;
use crate::cluster::LabCluster;
use crate::experiment_run::ExperimentRun;
use crate::load::Writes;

/// Writes per second: moderate, so that what was due in a pause of a second is soon done.
pub(super) const RATE: u32 = 500;
/// Step of the timeline, in milliseconds: that is how exact pauses are.
pub(super) const STEP_MS: u64 = 20;
const WARM_UP: f64 = 0.5;
const SECONDS: f64 = 6.5;
/// From the start of the load to the fault.
const BEFORE: Duration = Duration::from_millis(1500);
/// From the fault to its end: longer than any pause should be.
const FAULT: Duration = Duration::from_millis(2500);
/// More than are due in a pause of a second, so that each write is sent when it is due.
const CONNECTIONS: u32 = 640;

/// What one fault has cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TrialOutcome {
    /// The longest time without a completed write, if the fault falls into it or comes before it.
    pub pause_ms: f64,
    /// From the fault until all writes that were due have been answered, or are as late as before it.
    pub caught_up_ms: Option<f64>,
    /// From the intended start, of all writes completed after the fault.
    pub worst_ms: f64,
    pub completed: u64,
    /// Writes without an answer that says that they are done, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Seconds from the fault, writes completed since it; below zero before.
    pub completions: Vec<(f64, f64)>,
    /// Seconds from the fault, the longest latency in milliseconds.
    pub latencies: Vec<(f64, f64)>,
}

/// Drives the survivors at a constant rate, lets the fault happen and end, and waits until all servers agree again.
pub(super) fn trial(
    run: &ExperimentRun,
    network: &Namespaces,
    cluster: &mut LabCluster,
    scenario: &Scenario,
) -> Result<TrialOutcome, Failure> {
    let writes = Writes {
        http: &scenario.survivors(cluster),
        rate: Some(RATE),
        connections: CONNECTIONS,
        step_ms: STEP_MS,
        warm_up_seconds: WARM_UP,
        seconds: SECONDS,
    };
    let generator = writes.start(run, network)?;
    run.sleep(BEFORE)?;
    let struck = unix_ms();
    scenario.strike(cluster, network)?;
    run.sleep(FAULT)?;
    scenario.mend(cluster, network)?;
    let report: LoadReport = generator.finish(run)?;
    cluster.await_leaders(run)?;
    cluster.await_agreement(run)?;
    Ok(TrialOutcome::of(&report, (struck as f64 - report.begun_unix_ms as f64) / 1000.0))
}

impl TrialOutcome {
    /// Of a run with a fault so many seconds after its window began.
    fn of(report: &LoadReport, fault: f64) -> TrialOutcome {
        let step = STEP_MS as f64 / 1000.0;
        let after: Vec<&Interval> =
            report.timeline.iter().filter(|interval| interval.at_seconds + step > fault).collect();
        let before = report.timeline.iter().filter(|interval| interval.at_seconds + step <= fault);
        let before: u64 = before.map(|interval| interval.completed).sum();
        let sum = |sum: &mut f64, interval: &Interval| {
            *sum += interval.completed as f64;
            Some((interval.at_seconds + step - fault, *sum))
        };
        let at = |interval: &Interval| interval.at_seconds - fault;
        let timeline = report.timeline.iter();
        TrialOutcome {
            pause_ms: 1000.0 * step * longest_silence(&after) as f64,
            caught_up_ms: caught_up(report, fault, step).map(|seconds| 1000.0 * seconds),
            worst_ms: after.iter().map(|interval| interval.max_ms).fold(0.0, f64::max),
            completed: report.completed,
            errors: report.errors.clone(),
            completions: timeline.clone().scan(-(before as f64), sum).collect(),
            latencies: timeline
                .filter(|interval| interval.completed > 0)
                .map(|interval| (at(interval), interval.max_ms))
                .collect(),
        }
    }
}

/// The most steps in a row without a completed write.
fn longest_silence(steps: &[&Interval]) -> usize {
    let runs = steps.split(|interval| interval.completed > 0);
    runs.map(<[&Interval]>::len).max().unwrap_or(0)
}

/// Seconds from the fault until the writes answered are again as many as before it, compared with those that were due.
fn caught_up(report: &LoadReport, fault: f64, step: f64) -> Option<f64> {
    let mut answered = 0.0;
    let mut behind_before: f64 = 0.0;
    let mut fell_behind = false;
    for interval in &report.timeline {
        answered += (interval.completed + interval.errors) as f64;
        let end = interval.at_seconds + step;
        let behind = end * f64::from(RATE) - answered;
        if end <= fault {
            behind_before = behind_before.max(behind);
        } else {
            // What arrives in two steps is no delay.
            let is_behind = behind > behind_before + 2.0 * step * f64::from(RATE);
            fell_behind |= is_behind;
            // A fault that nobody notices is over at once; another one has to begin to show before it can be over.
            if fell_behind && !is_behind {
                return Some(end - fault);
            }
        }
    }
    (!fell_behind).then_some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten writes per step, but for a silence from the fault on.
    fn report(fault_step: u64, silent_steps: u64) -> LoadReport {
        let step = STEP_MS as f64 / 1000.0;
        let interval = |at: u64| {
            let completed = match at {
                _ if at < fault_step => 10,
                _ if at < fault_step + silent_steps => 0,
                _ if at == fault_step + silent_steps => 10 * (silent_steps + 1),
                _ => 10,
            };
            Interval { at_seconds: at as f64 * step, completed, max_ms: 1.0, ..Interval::default() }
        };
        LoadReport { timeline: (0..200).map(interval).collect(), ..LoadReport::default() }
    }

    #[test]
    fn a_pause_is_as_long_as_nothing_is_completed() {
        let outcome = TrialOutcome::of(&report(50, 30), 1.0);
        assert_eq!(outcome.pause_ms.round(), 600.0);
        assert_eq!(outcome.caught_up_ms.map(f64::round), Some(620.0));
        assert_eq!(TrialOutcome::of(&report(50, 0), 1.0).caught_up_ms, Some(0.0));
        let never = TrialOutcome::of(&report(50, 1000), 1.0);
        assert_eq!((never.pause_ms.round(), never.caught_up_ms), (3000.0, None));
    }
}
