//! A run, as an experiment sees it: what it measures goes through here into the run's directory.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};
use niagara_load::Failure;
use niagara_load::output;
use niagara_measure::ResultTable;
use serde::Serialize;

use super::facts::Facts;
use super::figure::Figure;
use super::interrupt::Interrupt;
use super::plot;
use super::run_options::{Particulars, RunOptions, command_line};
use super::verdict::{Goal, Verdict};

/// A wait looks this often whether it was interrupted.
const LOOK: Duration = Duration::from_millis(50);

/// The run, as an experiment sees it.
pub(super) struct ExperimentRun {
    /// Settings of single experiments.
    pub particulars: Particulars,
    directory: PathBuf,
    interrupt: Interrupt,
    pub(super) bar: ProgressBar,
    pub(super) verdict: Verdict,
    pub(super) shown: bool,
}

impl ExperimentRun {
    /// Begins a run of an experiment: its name, and what it shows.
    pub fn begin(
        (name, about): (&str, &str),
        options: &RunOptions,
        interrupt: Interrupt,
    ) -> Result<ExperimentRun, Failure> {
        let begun = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let directory = options
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("niagara-lab-{}-{}", name, begun.replace(':', "-"))));
        if directory.exists() {
            return Err(Failure::new(format!(
                "{} exists already, and results are never overwritten; name another directory by --out",
                directory.display()
            )));
        }
        fs::create_dir_all(directory.join("raw"))
            .map_err(Failure::io(format!("cannot make {} (--out names another)", directory.display())))?;
        let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {elapsed} {msg}")
            .expect("the template is sound");
        let bar = ProgressBar::new(0).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        let verdict = Verdict {
            experiment: name.into(),
            about: about.into(),
            quick: options.quick,
            command: command_line(options),
            begun,
            seconds: 0.0,
            facts: Facts::gather(),
            stolen: None,
            goals: Vec::new(),
            notes: Vec::new(),
            figures: Vec::new(),
            tables: Vec::new(),
        };
        let particulars = options.particulars.clone();
        Ok(ExperimentRun { particulars, directory, interrupt, bar, verdict, shown: !options.json })
    }

    /// Whether it is to be short.
    pub fn quick(&self) -> bool {
        self.verdict.quick
    }

    /// One of two values: for a quick run, and for a full one.
    pub fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick() { quick } else { full }
    }

    /// So many more steps come.
    pub fn steps(&self, count: usize) {
        self.bar.inc_length(count as u64);
    }

    /// The next step begins.
    pub fn step(&self, what: impl Into<String>) -> Result<(), Failure> {
        self.interrupt.check()?;
        let what = what.into();
        self.bar.inc(1);
        // Where nobody watches a bar, a log has lines.
        if !std::io::stderr().is_terminal() {
            let (at, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
            output::note(format_args!("[{at}/{of}] {what}"));
        }
        self.bar.set_message(what);
        Ok(())
    }

    /// Tells whoever watches.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| output::note(text));
    }

    /// Sleeps; an interrupt ends it.
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            self.interrupt.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Looks again and again until something is there; `None` if it is not within that time. An interrupt ends it.
    pub fn await_that<T>(
        &self,
        within: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let until = Instant::now() + within;
        loop {
            let found = look()?;
            if found.is_some() || Instant::now() > until {
                return Ok(found);
            }
            self.sleep(LOOK)?;
        }
    }

    /// Where files of this run go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps data as it was measured.
    pub fn raw(&self, name: &str, data: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)
            .map_err(|error| Failure::new(format!("cannot write {name} as JSON: {error}")))?;
        self.save(&format!("raw/{name}.json"), &json)
    }

    /// A table of results: into a file, the report, and onto the terminal.
    pub fn table(&mut self, table: ResultTable) -> Result<(), Failure> {
        self.save(&format!("{}.csv", table.name), table.csv().as_bytes())?;
        if self.shown {
            self.bar.suspend(|| output::print_line(table.aligned()))?;
        }
        self.verdict.tables.push(table);
        Ok(())
    }

    /// A figure of results: its data, and its pictures.
    pub fn figure(&mut self, figure: &Figure) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(figure).expect("a figure is plain data");
        self.save(&format!("{}.figure.json", figure.name), &json)?;
        plot::draw(figure, &self.directory)?;
        self.verdict.figures.push(figure.name.clone());
        Ok(())
    }

    /// Whether something was shown that the experiment is for.
    pub fn goal(&mut self, what: &str, wanted: &str, measured: impl Into<String>, reached: bool) {
        let (what, wanted, measured) = (what.to_owned(), wanted.to_owned(), measured.into());
        self.verdict.goals.push(Goal { what, wanted, measured, reached });
    }

    /// A paragraph for the report.
    pub fn note(&mut self, text: impl Into<String>) {
        self.verdict.notes.push(text.into());
    }

    pub fn save(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.directory.join(name);
        fs::write(&path, content).map_err(Failure::io(format!("cannot write {}", path.display())))
    }
}
