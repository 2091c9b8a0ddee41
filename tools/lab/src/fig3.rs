//! The paper's figure 3: requested against provided throughput, and how it scales with the number of groups.

use niagara_load::Failure;
use niagara_measure::{Cell, ResultTable};

use super::experiment_run::ExperimentRun;
use super::figure::{Axis, Figure, SeriesKind};
use super::sweep::Sweep;

/// What R = 8 is to do, in times what R = 1 does.
const WANTED: f64 = 7.5;
/// What the paper states: up to so many times the throughput of one group. Its curves are not copied.
const PAPER: f64 = 5.0;

/// Measures, draws and judges.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let sweep = Sweep::measure(run)?;
    run.table(points(&sweep))?;
    run.table(saturation(&sweep))?;
    run.figure(&provided(&sweep))?;
    run.figure(&scaling(&sweep))?;
    run.note(
        "Saturated, the threads of groups use up their cores; R = 8 does less than 8 times R = 1 by as much as its leaders' threads \
         need more CPU time for each command (last column of fig3.csv). Where many threads share the caches of few real cores, they \
         do.",
    );
    let (least, median, greatest) = sweep.niagara(8).times(sweep.niagara(1));
    run.goal(
        "saturated throughput of R = 8 over that of R = 1",
        &format!("at least {WANTED} (paper: {PAPER})"),
        format!("{median:.1} ({least:.1} to {greatest:.1} in single rounds)"),
        median >= WANTED,
    );
    Ok(())
}

fn points(sweep: &Sweep) -> ResultTable {
    let columns = ["setting", "requested/s", "provided/s", "p50, ms", "p90, ms", "leader's CPU, ns/command"];
    let mut table = ResultTable::new("fig3", "Provided throughput by requested throughput", columns);
    for (setting, curve) in &sweep.settings {
        for point in &curve.points {
            table.row([
                setting.name.clone().into(),
                Cell::Number(point.requested, 0),
                Cell::Number(point.provided, 0),
                Cell::Number(point.p50, 2),
                Cell::Number(point.p90, 2),
                Cell::Number(point.leader_nanos, 1),
            ]);
        }
    }
    table
}

fn saturation(sweep: &Sweep) -> ResultTable {
    let columns = ["setting", "saturated/s", "times R = 1", "least", "greatest"];
    let mut table = ResultTable::new("fig3-saturation", "Throughput where more is requested", columns);
    for (setting, curve) in &sweep.settings {
        let (least, median, greatest) = curve.times(sweep.niagara(1));
        table.row([
            setting.name.clone().into(),
            Cell::Number(curve.saturation(), 0),
            Cell::Number(median, 2),
            Cell::Number(least, 2),
            Cell::Number(greatest, 2),
        ]);
    }
    table
}

fn provided(sweep: &Sweep) -> Figure {
    let mut figure = Figure::new(
        "fig3",
        "Requested and provided throughput",
        Axis::linear("requested, commands per second"),
        Axis::linear("provided, commands per second"),
    );
    figure.subtitle = sweep.conditions();
    for (setting, curve) in &sweep.settings {
        let points = curve.points.iter().map(|point| (point.requested, point.provided));
        figure.curve(setting.name.as_str(), setting.kind(), points.collect());
    }
    figure
}

fn scaling(sweep: &Sweep) -> Figure {
    let mut figure = Figure::new(
        "fig3-scaling",
        "Saturated throughput, relative to Niagara with one group",
        Axis::linear("cores: one for each of R groups, or those of a server with a single Raft"),
        // As many times as there are cores would be the ideal.
        Axis { at_least: Some(8.0), ..Axis::linear("times R = 1") },
    );
    figure.subtitle = sweep.conditions();
    let relative = |kind: SeriesKind| -> Vec<(f64, f64)> {
        let settings = sweep.settings.iter().filter(|(setting, _)| setting.kind() == kind);
        settings
            .map(|(setting, curve)| (f64::from(setting.cores()), curve.times(sweep.niagara(1)).1))
            .collect()
    };
    let (niagara, raft) = (relative(SeriesKind::Ours), relative(SeriesKind::Baseline));
    let most = niagara.last().map_or(1.0, |point| point.0);
    figure.curve("Niagara, R groups", SeriesKind::Ours, niagara);
    figure.curve("a single Raft", SeriesKind::Baseline, raft);
    // A level, since what is stated is the gain, and not a value for each R.
    let stated = vec![(1.0, PAPER), (most, PAPER)];
    figure.curve(format!("the paper's stated gain, up to {PAPER} times"), SeriesKind::Published, stated);
    figure
}
