//! The paper's figure 4: latency by provided throughput.

use niagara_load::Failure;
use niagara_measure::{Cell, ResultTable};

use super::experiment_run::ExperimentRun;
use super::figure::{Axis, Figure};
use super::saturation::{Curve, Point};
use super::sweep::Sweep;

/// From this share of the single Raft's saturation on, Niagara is to be faster.
const FROM: f64 = 0.5;

/// Measures, draws and judges.
pub(super) fn conduct(run: &mut ExperimentRun) -> Result<(), Failure> {
    let sweep = Sweep::measure(run)?;
    run.table(points(&sweep))?;
    run.figure(&latency(&sweep))?;
    run.note(
        "Each curve ends with the first rate above the capacity of its setting: from there on, latency grows for as long as \
         that goes on.",
    );
    let loads = compared(sweep.niagara(8), sweep.raft());
    let faster = loads.iter().filter(|(niagara, raft)| niagara.p90 < raft.p90).count();
    let each = |(niagara, raft): &(Point, Point)| {
        format!("{:.2} ms against {:.2} at {:.2}M/s", niagara.p90, raft.p90, niagara.requested / 1e6)
    };
    run.goal(
        "90th percentile of R = 8 below that of a single Raft with 4 cores",
        &format!("at every load from {FROM} of the single Raft's saturation on that R = 8 keeps up with"),
        format!("at {faster} of {}: {}", loads.len(), loads.iter().map(each).collect::<Vec<_>>().join(", ")),
        faster == loads.len() && !loads.is_empty(),
    );
    Ok(())
}

/// Both at the rates that count.
fn compared(niagara: &Curve, raft: &Curve) -> Vec<(Point, Point)> {
    let from = FROM * raft.saturation();
    let pairs = niagara.points.iter().copied().zip(raft.points.iter().copied());
    pairs.filter(|(niagara, _)| niagara.requested >= from && niagara.keeps_up()).collect()
}

fn points(sweep: &Sweep) -> ResultTable {
    let columns = ["setting", "provided/s", "p50, ms", "p90, ms"];
    let mut table = ResultTable::new("fig4", "Latency by provided throughput", columns);
    for (setting, curve) in &sweep.settings {
        for point in curve.until_saturated() {
            table.row([
                setting.name.clone().into(),
                Cell::Number(point.provided, 0),
                Cell::Number(point.p50, 2),
                Cell::Number(point.p90, 2),
            ]);
        }
    }
    table
}

fn latency(sweep: &Sweep) -> Figure {
    let mut figure = Figure::new(
        "fig4",
        "Latency by provided throughput",
        Axis::logarithmic("provided, commands per second"),
        Axis::logarithmic("90th percentile of latency, ms"),
    );
    figure.subtitle = sweep.conditions();
    for (setting, curve) in &sweep.settings {
        let points = curve.until_saturated().iter().map(|point| (point.provided, point.p90));
        figure.curve(setting.name.as_str(), setting.kind(), points.collect());
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_count_from_half_of_raft_to_the_most_of_niagara() {
        let curve = |saturated: f64| {
            let point = |requested: f64| Point {
                requested,
                provided: requested.min(saturated),
                p50: 1.0,
                p90: 2.0,
                leader_nanos: 15.0,
            };
            Curve {
                points: [20.0, 50.0, 100.0, 300.0, 900.0].map(point).to_vec(),
                saturated: vec![saturated],
            }
        };
        let loads: Vec<f64> =
            compared(&curve(600.0), &curve(80.0)).iter().map(|(niagara, _)| niagara.requested).collect();
        assert_eq!(loads, [50.0, 100.0, 300.0]);
    }
}
