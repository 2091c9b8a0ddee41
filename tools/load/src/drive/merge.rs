//! Several reports of one workload as one.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::report::{Check, Interval, LoadReport, decode};
use crate::failure::Failure;

/// Puts reports of one workload together: what generators on several machines have seen at the same time, or in turn.
///
/// Counts, rates and histograms add up. Steps of timelines are laid over one another by wall clock; a percentile of a step is the
/// largest of its parts, since steps carry no histograms.
///
/// # Errors
/// When there are none, or they are of different workloads, or a histogram is damaged.
pub fn merge(reports: &[LoadReport]) -> Result<LoadReport, Failure> {
    let first = reports.first().ok_or_else(|| Failure::new("there is nothing to merge: name files"))?;
    if let Some(other) = reports.iter().find(|report| report.workload != first.workload) {
        let text = format!("reports of {} and {} are of different work", first.workload, other.workload);
        return Err(Failure::new(text));
    }
    let begun_unix_ms = reports.iter().map(|report| report.begun_unix_ms).min().unwrap_or(0);
    let offset = |report: &LoadReport| (report.begun_unix_ms - begun_unix_ms) as f64 / 1e3;
    let mut merged = LoadReport {
        command: reports.iter().map(|report| report.command.as_str()).collect::<Vec<_>>().join(" & "),
        workload: first.workload.clone(),
        target: distinct(reports.iter().map(|report| report.target.as_str())),
        begun_unix_ms,
        seconds: reports.iter().map(|report| offset(report) + report.seconds).fold(0.0, f64::max),
        requested_per_second: reports.iter().map(|report| report.requested_per_second).sum(),
        ..LoadReport::default()
    };
    let mut nanos: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    for report in reports {
        for (kind, text) in &report.histograms {
            let part = decode(text)?;
            match nanos.get_mut(kind) {
                Some(sum) => sum.add(part).expect("the bounds are the same"),
                None => drop(nanos.insert(kind.clone(), part)),
            }
        }
        report
            .errors
            .iter()
            .for_each(|(kind, count)| *merged.errors.entry(kind.clone()).or_default() += count);
        for (kind, text) in &report.said {
            merged.said.entry(kind.clone()).or_insert_with(|| text.clone());
        }
        merged.backlog += report.backlog;
        merged.misses += report.misses;
        if let Some(part) = &report.check {
            let Check { checked, failed } = merged.check.get_or_insert_default();
            *checked += part.checked;
            failed.extend_from_slice(&part.failed);
        }
    }
    merged.fill_in(&nanos);
    merged.timeline = timeline(reports.iter().map(|report| (offset(report), report)), merged.seconds);
    Ok(merged)
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

/// Lays timelines over one another, in the longest step among them.
fn timeline<'a>(reports: impl Iterator<Item = (f64, &'a LoadReport)> + Clone, seconds: f64) -> Vec<Interval> {
    let step_of = |report: &LoadReport| match report.timeline.as_slice() {
        [first, second, ..] => second.at_seconds - first.at_seconds,
        _ => report.seconds,
    };
    let step = reports.clone().map(|(_, report)| step_of(report)).fold(0.001, f64::max);
    let steps = (seconds / step).ceil() as usize;
    let blank = |number| Interval { at_seconds: number as f64 * step, ..Interval::default() };
    let mut merged: Vec<Interval> = (0..steps).map(blank).collect();
    for (offset, report) in reports {
        for part in &report.timeline {
            // The middle of a step says where it belongs.
            let at = (offset + part.at_seconds + step_of(report) / 2.0) / step;
            let Some(sum) = merged.get_mut(at as usize) else { continue };
            sum.completed += part.completed;
            sum.errors += part.errors;
            for (kind, count) in &part.by_kind {
                *sum.by_kind.entry(kind.clone()).or_default() += count;
            }
            for (largest, part) in [
                (&mut sum.p50_ms, part.p50_ms),
                (&mut sum.p90_ms, part.p90_ms),
                (&mut sum.p99_ms, part.p99_ms),
                (&mut sum.max_ms, part.max_ms),
            ] {
                *largest = largest.max(part);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use niagara_measure::nanoseconds;

    use super::*;

    /// A report of one second in two steps, whose writes took so long.
    fn report(begun_unix_ms: u64, nanos: &[u64]) -> LoadReport {
        let mut report =
            LoadReport { workload: "kv".into(), begun_unix_ms, seconds: 1.0, ..LoadReport::default() };
        let mut histogram = nanoseconds();
        nanos.iter().for_each(|nanos| histogram.record(*nanos).unwrap());
        report.fill_in(&BTreeMap::from([("write".to_owned(), histogram)]));
        report.errors.insert("lost".into(), 2);
        report.check = Some(Check { checked: 3, failed: vec!["why".into()] });
        let step = |at_seconds, completed| Interval {
            at_seconds,
            completed,
            p99_ms: nanos[0] as f64,
            ..Interval::default()
        };
        report.timeline = vec![step(0.0, 1), step(0.5, nanos.len() as u64 - 1)];
        report
    }

    #[test]
    fn what_was_counted_adds_up_without_loss() {
        let parts =
            [report(1_000, &[5_000_000, 1_000_000]), report(1_500, &[9_000_000, 2_000_000, 3_000_000])];
        let merged = merge(&parts).unwrap();
        let mut all = nanoseconds();
        [5, 1, 9, 2, 3].into_iter().for_each(|millis| all.record(millis * 1_000_000).unwrap());
        assert_eq!(decode(&merged.histograms["write"]).unwrap(), all);
        assert_eq!((merged.completed, merged.errors["lost"], merged.seconds), (5, 4, 1.5));
        assert_eq!(merged.check, Some(Check { checked: 6, failed: vec!["why".into(), "why".into()] }));
        let steps: Vec<_> = merged.timeline.iter().map(|step| (step.at_seconds, step.completed)).collect();
        assert_eq!(steps, [(0.0, 1), (0.5, 2), (1.0, 2)]);
        assert_eq!(merged.timeline[1].p99_ms, 9_000_000.0);
    }

    #[test]
    fn different_work_does_not_merge() {
        let other = LoadReport { workload: "chain".into(), ..LoadReport::default() };
        assert!(merge(&[report(0, &[1]), other]).is_err() && merge(&[]).is_err());
    }
}
