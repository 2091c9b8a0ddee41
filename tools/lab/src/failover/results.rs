//! The table, figures and goals.

use niagara_load::Failure;
use niagara_measure::{Cell, ResultTable};

use super::scenario::{Fault, Scenario};
use super::trial::{RATE, STEP_MS, TrialOutcome};
use crate::experiment_run::ExperimentRun;
use crate::figure::{Axis, Figure, Mark, SeriesKind};

/// What figures show of the time around a fault, in seconds.
const SHOWN: (f64, f64) = (-0.5, 2.0);

/// All outcomes, by scenario.
#[derive(Default)]
pub(super) struct Results {
    all: Vec<(Scenario, Vec<TrialOutcome>)>,
}

impl Results {
    pub fn add(&mut self, scenario: &Scenario, outcome: TrialOutcome) {
        match self.all.iter_mut().find(|(known, _)| known == scenario) {
            Some((_, outcomes)) => outcomes.push(outcome),
            None => self.all.push((*scenario, vec![outcome])),
        }
    }

    fn mains(&self) -> impl Iterator<Item = &(Scenario, Vec<TrialOutcome>)> {
        self.all.iter().filter(|(scenario, _)| scenario.is_main())
    }

    pub fn report(&self, run: &mut ExperimentRun) -> Result<(), Failure> {
        run.table(self.table())?;
        let title = "Latency of writes around the death of the leader of all groups";
        run.figure(&self.figure("failover-latency", title, "longest latency, ms", |o| &o.latencies))?;
        let title = "Writes completed around the death of the leader of all groups";
        run.figure(&self.figure("failover-writes", title, "writes since the fault", |o| &o.completions))?;
        self.goals(run);
        self.notes(run);
        Ok(())
    }

    fn table(&self) -> ResultTable {
        let mut table = ResultTable::new(
            "failover",
            &format!("Faults under {RATE} writes per second over HTTP"),
            [
                "what happens",
                "R",
                "trials",
                "pause, ms: median",
                "longest",
                "caught up, ms: median",
                "worst latency, ms",
                "not done",
            ],
        );
        for (scenario, outcomes) in &self.all {
            let pauses = sorted(outcomes, |outcome| outcome.pause_ms);
            let caught_up = sorted(outcomes, |outcome| outcome.caught_up_ms.unwrap_or(f64::INFINITY));
            let worst = sorted(outcomes, |outcome| outcome.worst_ms);
            table.row([
                scenario.name().into(),
                u64::from(scenario.groups).into(),
                (outcomes.len() as u64).into(),
                Cell::Number(middle(&pauses), 0),
                Cell::Number(greatest(&pauses), 0),
                Cell::Number(middle(&caught_up), 0),
                Cell::Number(greatest(&worst), 0),
                errors(outcomes).into(),
            ]);
        }
        table
    }

    /// A curve for each number of groups: of the trial whose pause was the middle one.
    fn figure(
        &self,
        name: &str,
        title: &str,
        y: &str,
        points: impl Fn(&TrialOutcome) -> &Vec<(f64, f64)>,
    ) -> Figure {
        let mut figure = Figure::new(name, title, Axis::linear("seconds from the fault"), Axis::linear(y));
        figure.subtitle = format!(
            "{RATE} writes per second over HTTP, in steps of {STEP_MS} ms; the trial with the median pause"
        );
        figure.marks.push(Mark { at: 0.0, label: "kill -9".into() });
        for (scenario, outcomes) in self.mains() {
            let mut by_pause: Vec<&TrialOutcome> = outcomes.iter().collect();
            by_pause.sort_by(|one, other| one.pause_ms.total_cmp(&other.pause_ms));
            if let Some(outcome) = by_pause.get((by_pause.len() - 1) / 2) {
                let shown = points(outcome).iter().copied();
                let shown = shown.filter(|(at, _)| (SHOWN.0..=SHOWN.1).contains(at)).collect();
                figure.curve(format!("R = {}", scenario.groups), SeriesKind::Ours, shown);
            }
        }
        figure
    }

    fn goals(&self, run: &mut ExperimentRun) {
        let limit = Scenario::election_timeout().as_secs_f64() * 1000.0;
        for (scenario, outcomes) in self.all.iter().filter(|(scenario, _)| scenario.fault == Fault::Kill) {
            let longest = greatest(&sorted(outcomes, |outcome| outcome.pause_ms));
            run.goal(
                &format!("pause of writes after {}, R = {}", scenario.name(), scenario.groups),
                &format!("at most {limit:.0} ms"),
                format!("{longest:.0} ms, the longest of {}", outcomes.len()),
                longest <= limit,
            );
        }
        let trials: usize = self.all.iter().map(|(_, outcomes)| outcomes.len()).sum();
        // A trial whose servers do not agree fails the run.
        run.goal("logs agree after every fault", "all", format!("{trials} of {trials}"), true);
    }

    fn notes(&self, run: &mut ExperimentRun) {
        run.note(format!(
            "Clients talk to the two servers that nothing happens to, {RATE} writes per second at constant intervals; latency counts from \
             the moment at which a write was to be sent. A pause is the longest time after the fault without a completed write, in \
             steps of {STEP_MS} ms. Caught up is when as many writes are answered as were due, as before the fault. Faults end after 2.5 s, \
             and then all servers' logs must agree. Durability is `fsync`, timeouts are the defaults.",
        ));
        run.note(
            "The election timeout of the goal is the longest that one may draw: a follower campaigns after 10 to 20 ticks of 50 ms without \
             a sign of life, so after 1,000 ms at the latest; the first of two followers does so earlier. The elections of several groups \
             run side by side.",
        );
        run.note(
            "The global log needs every group, so a group without a leader stops all writes as soon as the merge comes to a slot that it has \
             not filled. A group without commands has skipped up to 1,000 rounds ahead; at this rate that lasts about as long as an \
             election. So writes may go on without a pause when a server dies that leads some groups only: the clients' servers lead others, \
             and put all commands into those.",
        );
    }
}

fn sorted(outcomes: &[TrialOutcome], of: impl Fn(&TrialOutcome) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = outcomes.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn greatest(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or(f64::NAN)
}

fn errors(outcomes: &[TrialOutcome]) -> String {
    let mut sums = std::collections::BTreeMap::<&str, u64>::new();
    for (kind, count) in outcomes.iter().flat_map(|outcome| &outcome.errors) {
        *sums.entry(kind).or_default() += count;
    }
    let words: Vec<String> = sums.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}
