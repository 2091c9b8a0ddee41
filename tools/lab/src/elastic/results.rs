//! The table, figures and goals.

use niagara_load::Failure;
use niagara_load::drive::{Interval, LoadReport};
use niagara_measure::{Cell, ResultTable};

use super::change::Changed;
use super::{CONNECTIONS, STEP_MS};
use crate::experiment_run::ExperimentRun;
use crate::figure::{Axis, Figure, Mark, SeriesKind};

/// Steps of the timeline that a point of a figure stands for.
const DRAWN_STEPS: usize = 10;
/// What may still show of a change after all members are there.
const AFTER_MS: u64 = 500;

/// All that was measured.
pub(super) struct Results {
    timeline: Vec<Interval>,
    /// Attempts that were not done, by kind.
    errors: Vec<String>,
    changes: Vec<Effect>,
}

/// What clients noticed of a change.
struct Effect {
    name: String,
    /// From the beginning of the load.
    at_seconds: f64,
    took_ms: u64,
    /// The longest time without a completed write.
    pause_ms: u64,
    /// The longest latency of a write.
    worst_ms: f64,
    /// Writes per second from half a second after it until the next one.
    then_per_second: f64,
}

impl Results {
    pub fn of(report: &LoadReport, changed: &[Changed]) -> Results {
        let begun = report.begun_unix_ms;
        let since = |ms: u64| ms.saturating_sub(begun) as f64 / 1000.0;
        let nexts = changed.iter().skip(1).map(|next| since(next.asked_ms)).chain([report.seconds]);
        let between = |from: f64, until: f64| {
            let inside = move |interval: &&Interval| (from..until).contains(&interval.at_seconds);
            report.timeline.iter().filter(inside).collect::<Vec<_>>()
        };
        let effect = |(change, next): (&Changed, f64)| {
            let (from, until) = (since(change.asked_ms), since(change.done_ms + AFTER_MS));
            let (during, then) = (between(from, until), between(until, next));
            let silences = during.split(|interval| interval.completed > 0).map(<[&Interval]>::len);
            let completed: u64 = then.iter().map(|interval| interval.completed).sum();
            Effect {
                name: change.name.clone(),
                at_seconds: from,
                took_ms: change.done_ms.saturating_sub(change.asked_ms),
                pause_ms: STEP_MS * silences.max().unwrap_or(0) as u64,
                worst_ms: during.iter().map(|interval| interval.max_ms).fold(0.0, f64::max),
                then_per_second: completed as f64 / (next - until).max(STEP_MS as f64 / 1000.0),
            }
        };
        Results {
            changes: changed.iter().zip(nexts).map(effect).collect(),
            errors: report.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect(),
            timeline: report.timeline.clone(),
        }
    }

    pub fn report(&self, run: &mut ExperimentRun) -> Result<(), Failure> {
        run.table(self.table())?;
        let rate = |steps: &[Interval]| {
            let completed: u64 = steps.iter().map(|interval| interval.completed).sum();
            completed as f64 * 1000.0 / (STEP_MS as f64 * steps.len() as f64)
        };
        let title = "Writes while groups and servers change";
        run.figure(&self.figure("elastic-throughput", title, "writes per second", rate))?;
        let latency = |steps: &[Interval]| steps.iter().map(|interval| interval.max_ms).fold(0.0, f64::max);
        let title = "Latency of writes while groups and servers change";
        run.figure(&self.figure("elastic-latency", title, "longest latency, ms", latency))?;
        let errors = if self.errors.is_empty() { "none".into() } else { self.errors.join(", ") };
        run.goal("writes that are not done", "none", errors, self.errors.is_empty());
        // A run whose servers do not agree fails.
        run.goal("logs agree in the end", "all", "all", true);
        let mut pauses: Vec<u64> = self.changes.iter().map(|change| change.pause_ms).collect();
        pauses.sort_unstable();
        let median = pauses[pauses.len() / 2];
        run.goal("pause of writes at a change", "median at most 20 ms", format!("{median} ms"), median <= 20);
        run.note(format!(
            "{CONNECTIONS} connections write over HTTP, each one write after the other, through the two servers that stay. A pause is the \
             longest time without a completed write, in steps of {STEP_MS} ms, between the moment at which a change is asked for and \
             {AFTER_MS} ms after all members are there. All servers share this machine: more groups or servers do not make it \
             faster. Durability is `fsync`, and what is not said is as users get it.",
        ));
        Ok(())
    }

    fn table(&self) -> ResultTable {
        let mut table = ResultTable::new(
            "elastic",
            "Groups and servers that change under load",
            [
                "change",
                "asked, s",
                "all there after, ms",
                "pause of writes, ms",
                "worst latency, ms",
                "then, writes/s",
            ],
        );
        for change in &self.changes {
            table.row([
                change.name.as_str().into(),
                Cell::Number(change.at_seconds, 1),
                change.took_ms.into(),
                change.pause_ms.into(),
                Cell::Number(change.worst_ms, 0),
                Cell::Number(change.then_per_second, 0),
            ]);
        }
        table
    }

    fn figure(&self, name: &str, title: &str, y: &str, value: impl Fn(&[Interval]) -> f64) -> Figure {
        let mut figure = Figure::new(name, title, Axis::linear("seconds"), Axis::linear(y));
        figure.subtitle = format!(
            "{CONNECTIONS} connections over HTTP; each point stands for {} ms",
            DRAWN_STEPS as u64 * STEP_MS
        );
        let points = self.timeline.chunks_exact(DRAWN_STEPS).map(|steps| (steps[0].at_seconds, value(steps)));
        figure.curve("Niagara", SeriesKind::Ours, points.collect());
        figure.marks = self
            .changes
            .iter()
            .map(|change| Mark { at: change.at_seconds, label: change.name.clone() })
            .collect();
        figure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_found_where_a_change_is() {
        let interval = |at: u64| Interval {
            at_seconds: (at * STEP_MS) as f64 / 1000.0,
            completed: u64::from(!(100..104).contains(&at)),
            max_ms: if at == 104 { 45.0 } else { 1.0 },
            ..Interval::default()
        };
        let report = LoadReport {
            begun_unix_ms: 5000,
            seconds: 4.0,
            timeline: (0..400).map(interval).collect(),
            ..LoadReport::default()
        };
        let changed = |asked_ms, done_ms| Changed { name: "c".into(), asked_ms, done_ms };
        let results = Results::of(&report, &[changed(5990, 6060), changed(8000, 8010)]);
        let [first, second] = &results.changes[..] else { panic!("two changes") };
        assert_eq!((first.pause_ms, first.worst_ms, first.took_ms), (40, 45.0, 70));
        assert_eq!((second.pause_ms, second.then_per_second.round()), (0, 100.0));
    }
}
