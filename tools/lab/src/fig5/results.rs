//! Tables, figures and goals.

use niagara_load::Failure;
use niagara_measure::{Cell, ResultTable};

use super::measure::LinkMeasurement;
use super::setting::{Curve, LinkWork, SETTINGS, Setting};
use super::{CONNECTIONS, LINKS};
use crate::experiment_run::ExperimentRun;
use crate::figure::{Axis, Figure, SeriesKind};
use crate::timing::Timing;

/// Writes with four links compared with one, in the paper.
const PAPER_WRITES: f64 = 2.6;
/// Strong reads of four groups compared with one group, both on four links, in the paper.
const PAPER_READS: f64 = 1.11;
const WANTED_WRITES: f64 = 3.8;
/// Two medians that differ by less are the same on a shared machine.
const SAME_WITHIN: f64 = 0.03;

/// All that was measured.
pub(super) struct Results {
    mbit: u32,
    timing: Timing,
    all: Vec<(&'static str, LinkWork, LinkMeasurement)>,
}

impl Results {
    pub fn new(mbit: u32, timing: Timing) -> Results {
        Results { mbit, timing, all: Vec::new() }
    }

    pub fn add(&mut self, setting: &Setting, work: LinkWork, measured: LinkMeasurement) {
        self.all.push((setting.name, work, measured));
    }

    /// The median over the rounds of something.
    fn median(&self, setting: &Setting, work: LinkWork, of: impl Fn(&LinkMeasurement) -> f64) -> f64 {
        let rounds = self.all.iter().filter(|(name, its, _)| (*name, *its) == (setting.name, work));
        let mut values: Vec<f64> = rounds.map(|(_, _, measured)| of(measured)).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
        }
    }

    fn per_second(&self, setting: &Setting, work: LinkWork) -> f64 {
        self.median(setting, work, |measured| measured.per_second)
    }

    pub fn report(&self, run: &mut ExperimentRun) -> Result<(), Failure> {
        for work in [LinkWork::Writes, LinkWork::Reads] {
            run.table(self.table(work))?;
            run.figure(&self.absolute(work))?;
        }
        run.figure(&self.relative_writes())?;
        run.figure(&self.relative_reads())?;
        self.goals(run);
        self.notes(run);
        Ok(())
    }

    /// A row for each setting.
    fn table(&self, work: LinkWork) -> ResultTable {
        let mut table = ResultTable::new(
            &format!("fig5-{}", work.file()),
            &format!("{} of 2-KiB values, links of {} Mbit/s", capital(work.name()), self.mbit),
            [
                "setting",
                "per second",
                "relative",
                "scarce uplinks",
                "they allow",
                "of that",
                "uplinks used, %",
                "server CPUs",
                "client CPUs",
                "p50, ms",
                "p99, ms",
                "errors",
            ],
        );
        let base = self.per_second(&SETTINGS[0], work);
        for setting in &SETTINGS {
            let (scarce, allowed) = (setting.scarce(work), setting.predicted(work, f64::from(self.mbit)));
            let per_second = self.per_second(setting, work);
            let used = self.median(setting, work, |measured| {
                let bits: f64 = scarce.iter().map(|uplink| measured.uplinks[uplink]).sum();
                bits / scarce.len() as f64 / (f64::from(self.mbit) * 1e4)
            });
            let median = |of: fn(&LinkMeasurement) -> f64| self.median(setting, work, of);
            let errors = self.all.iter().filter(|(name, its, _)| (*name, *its) == (setting.name, work));
            table.row([
                setting.name.into(),
                Cell::Number(per_second, 0),
                Cell::Number(per_second / base, 2),
                (scarce.len() as u64).into(),
                Cell::Number(allowed, 0),
                Cell::Number(per_second / allowed, 2),
                Cell::Number(used, 0),
                Cell::Number(median(|measured| measured.server_cores), 2),
                Cell::Number(median(|measured| measured.client_cores), 2),
                Cell::Number(median(|measured| measured.p50_ms), 0),
                Cell::Number(median(|measured| measured.p99_ms), 0),
                errors.map(|(_, _, measured)| measured.errors).sum::<u64>().into(),
            ]);
        }
        table
    }

    /// The settings of Niagara, from one link to all; one group on one link is the first.
    fn niagara() -> impl Iterator<Item = &'static Setting> {
        SETTINGS
            .iter()
            .filter(|setting| setting.curve == Curve::Niagara || setting.links == 1)
            .filter(|setting| setting.curve != Curve::OneLink)
    }

    fn raft() -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(|setting| setting.curve == Curve::Raft)
    }

    fn one_link() -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(|setting| setting.curve == Curve::OneLink)
    }

    fn points<'a>(
        &self,
        settings: impl Iterator<Item = &'a Setting>,
        value: impl Fn(&Setting) -> f64,
    ) -> Vec<(f64, f64)> {
        settings.map(|setting| (f64::from(setting.links), value(setting))).collect()
    }

    fn figure(&self, name: &str, title: &str, y: &str) -> Figure {
        let mut y = Axis::linear(y);
        y.at_least = Some(1.0);
        let mut figure = Figure::new(name, title, Axis::linear("links"), y);
        figure.subtitle = format!(
            "HTTP, 2-KiB values, three servers, each with an uplink of {} Mbit/s per link",
            self.mbit
        );
        figure
    }

    fn curves(&self, figure: &mut Figure, value: impl Fn(&Setting) -> f64 + Copy) {
        figure.curve("Niagara, a group for each link", SeriesKind::Ours, self.points(Self::niagara(), value));
        figure.curve(
            "Niagara, four groups on one link",
            SeriesKind::Ours,
            self.points(Self::one_link(), value),
        );
        figure.curve("single Raft group", SeriesKind::Baseline, self.points(Self::raft(), value));
    }

    fn absolute(&self, work: LinkWork) -> Figure {
        let title = format!("{} by number of links", capital(work.name()));
        let mut figure =
            self.figure(&format!("fig5-{}", work.file()), &title, &format!("{} per second", work.name()));
        self.curves(&mut figure, |setting| self.per_second(setting, work));
        figure
    }

    fn relative_writes(&self) -> Figure {
        let base = self.per_second(&SETTINGS[0], LinkWork::Writes);
        let title = "Writes, compared with one group on one link";
        let mut figure = self.figure("fig5-writes-relative", title, "times one group on one link");
        self.curves(&mut figure, |setting| self.per_second(setting, LinkWork::Writes) / base);
        let paper = vec![(f64::from(LINKS), PAPER_WRITES)];
        figure.curve("paper: four groups, links of 250 Mbit/s", SeriesKind::Published, paper);
        figure
    }

    fn relative_reads(&self) -> Figure {
        let title = "Strong reads, compared with a single Raft group on as many links";
        let mut figure = self.figure("fig5-reads-relative", title, "times a single Raft group");
        let times = |setting: &Setting| {
            let raft =
                Self::raft().find(|raft| raft.links == setting.links).expect("there is one for each number");
            self.per_second(setting, LinkWork::Reads) / self.per_second(raft, LinkWork::Reads)
        };
        figure.curve("Niagara, a group for each link", SeriesKind::Ours, self.points(Self::niagara(), times));
        figure.curve(
            "Niagara, four groups on one link",
            SeriesKind::Ours,
            self.points(Self::one_link(), times),
        );
        let paper = vec![(f64::from(LINKS), PAPER_READS)];
        figure.curve("paper: four groups, links of 250 Mbit/s", SeriesKind::Published, paper);
        figure
    }

    fn goals(&self, run: &mut ExperimentRun) {
        let writes = self.relative_writes().series[0].points.last().map_or(f64::NAN, |point| point.1);
        run.goal(
            "writes with four groups on four links, compared with one group on one link",
            &format!("at least {WANTED_WRITES} times (paper: {PAPER_WRITES})"),
            format!("{writes:.2} times"),
            writes >= WANTED_WRITES,
        );
        for (links, times) in self.relative_reads().series[0].points.iter().filter(|(links, _)| *links > 1.0)
        {
            run.goal(
                &format!(
                    "strong reads of {links} groups on {links} links, compared with a single group on as many"
                ),
                &format!("not fewer (the same within {:.0} %)", 100.0 * SAME_WITHIN),
                format!("{times:.2} times"),
                *times >= 1.0 - SAME_WITHIN,
            );
            if *links == f64::from(LINKS) {
                run.goal(
                    "strong reads of four groups, compared with a single group, both on four links",
                    &format!("at least {PAPER_READS} times (paper: {PAPER_READS})"),
                    format!("{times:.2} times"),
                    *times >= PAPER_READS,
                );
            }
        }
    }

    fn notes(&self, run: &mut ExperimentRun) {
        run.note(format!(
            "Each link is an Ethernet segment of its own; every server's end sends at most {} Mbit/s (token bucket), clients' ends are \
             not held back. {CONNECTIONS} clients, each with one request in flight, keep their connections, which are spread over all \
             servers and all links of the setting; medians of rounds of {} s. Durability is `memory`, so that no disk limits.",
            self.mbit, self.timing.seconds
        ));
        run.note(
            "What limits writes: a group's leader sends each value to two followers over the group's own link, so two copies leave on \
             one uplink, whatever number of links the clients use. Each further group with a link of its own adds one such uplink. \
             Four groups on one link are faster than one group, too: groups 1 and 4 are led by server 1, the others by servers 2 and 3, \
             so three uplinks carry copies instead of one.",
        );
        run.note(
            "Where the column of uplinks used stays well below 100 % for writes and processors have time left, links had nothing to send \
             for a part of the time. Why is not established; the merge, which takes the groups' slots in turn, makes them wait for each other.",
        );
        run.note(
            "What limits strong reads: each reply carries a value and leaves from the server that was asked, so the uplinks of all servers \
             on all links of the setting limit alike, with one group or four: the rounds by which a leader is confirmed are a few \
             bytes for many reads. They wait behind replies on the uplink of the server that leads the group which is asked, so that this \
             uplink is full while the others are not quite. Where links limit, groups can add nothing to reads; where a single leader's core limits, they can.",
        );
        run.note(
            "\"They allow\" is the number of scarce uplinks times their rate, divided by the bytes of values in full packets (two copies \
             for a write). It leaves out heads of replies, commands' framing, acknowledgements and what is forwarded to leaders.",
        );
    }
}

/// What the writes of the setting with most links need.
pub(super) fn connections(tried: &[(u32, LinkMeasurement)]) -> ResultTable {
    let title = "Writes with four groups on four links, by number of connections";
    let mut table =
        ResultTable::new("fig5-connections", title, ["connections", "writes/s", "p50, ms", "server CPUs"]);
    for (connections, measured) in tried {
        table.row([
            u64::from(*connections).into(),
            Cell::Number(measured.per_second, 0),
            Cell::Number(measured.p50_ms, 0),
            Cell::Number(measured.server_cores, 2),
        ]);
    }
    table
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}
